"""Sums by name in little memory: a long result has those of a hundred thousand generations and variants at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from operator import add


@cache
def _places(names: tuple[str, ...]) -> dict[str, int]:
    """Return the place of each of *names*: one object for all that have the same names."""
    return {name: place for place, name in enumerate(names)}


@cache
def _others(names: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    return tuple(name for name in names if not name.startswith(prefix))


class PackedSums(MutableMapping[str, float]):
    """Sums in a fifth of the memory of a dictionary. One that is not there is 0.0; to set a new one is slow, to add many at once quick."""

    __slots__ = ("names", "places", "values_in_order")

    def __init__(self, sums: Mapping[str, float] | None = None) -> None:
        self.names = tuple(sums or ())
        self.places = _places(self.names)
        self.values_in_order: list[float] | array[float] = array("d", sums.values() if sums else ())

    def __getitem__(self, name: str) -> float:
        place = self.places.get(name)
        return 0.0 if place is None else self.values_in_order[place]

    def __setitem__(self, name: str, value: float) -> None:
        if name not in self.places:
            self._rename((*self.names, name))
            self.values_in_order.append(value)
        else:
            self.values_in_order[self.places[name]] = value

    def __delitem__(self, name: str) -> None:
        self.values_in_order.pop(self.places[name])
        self._rename(tuple(each for each in self.names if each != name))

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def _rename(self, names: tuple[str, ...]) -> None:
        self.names, self.places = names, _places(names)

    def add(self, more: Mapping[str, float]) -> None:
        """Add each of *more* to the sum of that name."""
        values = more.values_in_order if isinstance(more, PackedSums) else more.values()
        names = tuple(more)
        if names == self.names:
            self.values_in_order = [*map(add, self.values_in_order, values)]
        elif not self.names:
            self._rename(names)
            self.values_in_order = [*values]
        else:
            fresh = tuple(name for name in names if name not in self.places)
            if fresh:
                self._rename(self.names + fresh)
                self.values_in_order = [*self.values_in_order, *[0.0] * len(fresh)]
            for name, value in zip(names, values, strict=True):
                self.values_in_order[self.places[name]] += value

    def pack(self) -> None:
        """Keep the sums in little memory."""
        self.values_in_order = array("d", self.values_in_order)

    def without(self, prefix: str) -> PackedSums:
        """Return the sums whose names do not begin with *prefix*."""
        found = PackedSums()
        found._rename(_others(self.names, prefix))
        found.values_in_order = array("d", map(self.values_in_order.__getitem__, map(self.places.__getitem__, found.names)))
        return found
