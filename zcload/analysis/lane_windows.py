"""The windows of a variant: one sum of all of them is a column, and logarithms are made for all generations at once.

A dictionary of floats for each of a million windows would be a gigabyte; rows of one array are a fifth of it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from math import log
from operator import itemgetter, truediv

from zcload.model.metrics import METRICS

_OF_EACH_WINDOW = (
    *dict.fromkeys(name for metric in METRICS.values() if metric.kind == "windows" for name in (metric.numerator, metric.denominator)),
    "open_s",
)
_WIDTH = len(_OF_EACH_WINDOW)
_PLACES = {name: place for place, name in enumerate(_OF_EACH_WINDOW)}

Place = tuple[float, int]  # block and group
Rows = dict[Place, int]


@cache
def _picked(names: tuple[str, ...]) -> Callable[[Sequence[float]], tuple[float, ...]]:
    """Return what picks a window's row out of its sums, whose *names* are these, and a NaN behind them for those it lacks."""
    return itemgetter(*(names.index(name) if name in names else len(names) for name in _OF_EACH_WINDOW))


@lru_cache(maxsize=64)
def _shared_rows(items: tuple[tuple[Place, int], ...]) -> Rows:
    return dict(items)


class LaneWindows:
    """The windows of one variant in a generation: *rows* gives the row of each by (block, group)."""

    __slots__ = ("rows", "values")

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.values = array("d")

    def add(self, place: Place, tally: Mapping[str, float]) -> None:
        """Take in the window at *place*; the second one there replaces the first."""
        self._put(place, array("d", _picked(tuple(tally))((*tally.values(), math.nan))))

    def merge(self, other: LaneWindows, offset: int) -> None:
        """Take in the windows of another part, whose blocks count from *offset*."""
        for (block, group), row in other.rows.items():
            self._put((block + offset, group), other.values[row * _WIDTH : (row + 1) * _WIDTH])

    def _put(self, place: Place, values: array[float]) -> None:
        row = self.rows.setdefault(place, len(self.rows))
        if row * _WIDTH == len(self.values):
            self.values.extend(values)
        else:
            self.values[row * _WIDTH : (row + 1) * _WIDTH] = values

    def share_rows(self) -> None:
        """Take the places of another that has the same ones: most lanes of a study have. Nothing may be added after that."""
        self.rows = _shared_rows(tuple(self.rows.items()))

    def column(self, name: str) -> Sequence[float]:
        """Return the sum *name* of every window, in rows; NaN where a window has none."""
        return self.values[_PLACES[name] :: _WIDTH]

    def quotients(self, numerator: str, denominator: str) -> list[float]:
        """Return one sum over the other of every window, in rows; NaN where there is none."""
        return [a / b if b else math.nan for a, b in zip(self.column(numerator), self.column(denominator), strict=True)]


class WindowColumns:
    """The windows of one variant in all generations, whose *parts* they are, None of one without a window. Nothing may change any more."""

    def __init__(self, parts: Sequence[LaneWindows | None]) -> None:
        self.rows: list[Rows] = [{} if part is None else part.rows for part in parts]
        self._values = array("d")
        for part in parts:
            if part is not None:
                self._values.extend(part.values)
        self._spans = [slice(*ends) for ends in pairwise(accumulate(map(len, self.rows), initial=0))]
        self._logs: dict[tuple[str, str], array[float]] = {}

    def logs(self, numerator: str, denominator: str) -> Iterator[array[float]]:
        """Yield for each generation the logarithms of one sum over the other of its windows, in rows, NaN where there is none.

        They are kept, for a lane is compared with several.
        """
        key = (numerator, denominator)
        if key not in self._logs:
            top, bottom = (self._values[_PLACES[name] :: _WIDTH] for name in key)
            try:
                self._logs[key] = array("d", map(log, map(truediv, top, bottom)))
            except (ValueError, ZeroDivisionError):
                self._logs[key] = array("d", [log(a / b) if b and a / b > 0 else math.nan for a, b in zip(top, bottom, strict=True)])
        return map(self._logs[key].__getitem__, self._spans)
