"""The generations of a point, and each of their sums as a column: read once, however many figures are made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from zcload.analysis.lane_windows import WindowColumns
from zcload.analysis.tally import Generation


class Column(tuple[float, ...]):
    """One sum of one variant: a value of each generation, 0.0 where a generation has none."""

    present = True  # in one generation at least
    total: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Column:
        """Return *values* with their sum."""
        column = cls(values)
        column.total = sum(column)
        return column


class NoColumn(Column):
    """A sum that no generation has."""

    present = False


class Generations(Sequence[Generation]):
    """Generations of which nothing changes any more."""

    def __init__(self, members: Iterable[Generation]) -> None:
        self._members = tuple(members)
        self._columns: dict[str, dict[str, Column]] = {}
        self._windows: dict[str, WindowColumns] = {}

    @overload
    def __getitem__(self, index: int) -> Generation: ...
    @overload
    def __getitem__(self, index: slice) -> Generations: ...
    def __getitem__(self, index: int | slice) -> Generation | Generations:
        return Generations(self._members[index]) if isinstance(index, slice) else self._members[index]

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    @classmethod
    def of(cls, generations: Sequence[Generation]) -> Generations:
        """Return *generations* as such, themselves if they are."""
        return generations if isinstance(generations, cls) else cls(generations)

    def column(self, variant: str, name: str) -> Column:
        """Return the sum *name* of *variant*."""
        if variant not in self._columns:
            self._columns[variant] = self._read(variant)
        found = self._columns[variant].get(name)
        return NoColumn.of([0.0] * len(self)) if found is None else found

    def totals(self, variant: str) -> dict[str, float]:
        """Return all sums of *variant* over all generations; empty where it has none."""
        if variant not in self._columns:
            self._columns[variant] = self._read(variant)
        return {name: column.total for name, column in self._columns[variant].items()}

    def windows(self, variant: str) -> WindowColumns:
        """Return the windows of *variant*."""
        if variant not in self._windows:
            self._windows[variant] = WindowColumns([g.windows.get(variant) for g in self._members])
        return self._windows[variant]

    def _read(self, variant: str) -> dict[str, Column]:
        """Return all sums of *variant*, in one pass: there are thousands of generations with fifty sums each."""
        values: dict[str, list[float]] = {}
        sums = [g.sums.get(variant) for g in self._members]
        there = [each for each in sums if each is not None]
        if there and len(there) == len(sums) and all(each.places is there[0].places for each in there):
            rows = [each.values_in_order for each in there]
            return dict(zip(there[0].names, map(Column.of, zip(*rows, strict=True)), strict=True))
        for number, total in enumerate(sums):
            for name, value in total.items() if total is not None else ():
                if name not in values:
                    values[name] = [0.0] * len(self)
                values[name][number] = value
        return {name: Column.of(column) for name, column in values.items()}
