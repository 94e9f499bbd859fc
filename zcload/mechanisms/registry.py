"""The mechanisms by name: zcload's own, and those of installed packages, which are looked for once other names are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping

from zcload.mechanisms.base import Mechanism
from zcload.mechanisms.own_file import installed
from zcload.model.units import ValueRefused


class Registry(MutableMapping[str, type[Mechanism]]):
    """A mapping of names to mechanisms, in the order of reports. No installed package may use a name that is *taken*.

    A look at all installed packages takes milliseconds, and each replicate would take it: it is put off until a name is asked for that is
    not one of zcload's own, or all names are.
    """

    def __init__(self, own: Iterable[type[Mechanism]], taken: Iterable[str]) -> None:
        self._known = {mechanism.name: mechanism for mechanism in own}
        self._taken = frozenset(taken)
        self._refused: dict[str, ValueRefused] | None = None  # None: nobody has looked for installed packages yet

    def __getitem__(self, name: str) -> type[Mechanism]:
        if name not in self._known:
            self.refused()
        return self._known[name]

    def __setitem__(self, name: str, mechanism: type[Mechanism]) -> None:
        self._known[name] = mechanism

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        self.refused()
        return iter(self._known)

    def __len__(self) -> int:
        self.refused()
        return len(self._known)

    def refused(self) -> dict[str, ValueRefused]:
        """Return the mechanisms of installed packages that break the contract, with the rule that they break."""
        if self._refused is None:
            self._refused = {}  # a package that asks for a name while it is imported finds those that are known
            found, self._refused = installed({*self._known, *self._taken})
            self._known.update(found)
        return self._refused
