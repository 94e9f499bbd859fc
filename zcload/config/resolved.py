"""A resolved config: every key with its parsed values, or with its default. Checks across keys read it.

A value that the models refuse is left out here, because its finding is made already: a check that needs the value stays silent, and all
other checks still speak.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zcload.config.cluster_section import ClusterSection
from zcload.config.crossover import CrossoverSection
from zcload.config.finding import Path
from zcload.config.root import is_server
from zcload.config.sections import Section, StopSection, StudySection, VariantSection, WorkloadSection
from zcload.config.server_section import ServerSection
from zcload.config.values import Kind, Swept
from zcload.model.units import ValueRefused, shown

REFUSED: Any = object()  # the value of a key that is required and missing, or whose value its kind refuses


@dataclass(frozen=True, slots=True)
class Found:
    """One *value* of a key, the *written* form it was parsed from (the default's, where nothing is written), and the *path* to it."""

    path: Path
    value: Any
    written: Any


@dataclass(frozen=True, slots=True)
class _Key:
    """How a model reads a key: the *kind* of its values, whether these may or must stand in a list, and the *default*'s values."""

    kind: Kind
    may_be_list: bool
    must_be_list: bool
    default: tuple[tuple[Any, Any], ...]  # (parsed, as a user would write it)
    is_required: bool

    def without(self, path: Path) -> tuple[tuple[Found, ...], bool]:
        """Return the values of the key at *path* where nothing is written, and whether it may be left out."""
        return tuple(Found(path, value, text) for value, text in self.default), not self.is_required

    def read(self, given: object, path: Path) -> tuple[tuple[Found, ...], bool]:
        """Return those of the values *given* at *path* that are accepted, and whether all are."""
        if isinstance(given, list) and self.may_be_list:
            places: list[tuple[Path, Any]] = [((*path, index), each) for index, each in enumerate(given)]
        else:
            places = [] if self.must_be_list else [(path, given)]
        accepted = []
        for place, each in places:
            try:
                accepted.append(Found(place, self.kind.parse(each), each))
            except ValueRefused:
                continue
        complete = len(accepted) == len(places) and bool(places or (isinstance(given, list) and self.must_be_list))
        return tuple(accepted), complete


@functools.cache
def _keys(model: type[Section]) -> Mapping[str, _Key]:
    """Return how the keys of *model* are read, as its annotations say."""
    keys = {}
    for name, field in model.model_fields.items():
        swept = any(isinstance(part, Swept) for part in field.metadata)
        kinds = [part for part in field.metadata if isinstance(part, Kind)]
        listed = not kinds
        if listed:  # list[Annotated[..., Kind]]
            kinds = [part for part in typing.get_args(typing.get_args(field.annotation)[0]) if isinstance(part, Kind)]
        (kind,) = kinds
        texts = [] if field.is_required() else field.default if isinstance(field.default, list) and listed else [field.default]
        parse = kind.parse if model.model_config.get("validate_default") else _as_it_is
        keys[name] = _Key(kind, listed, listed and not swept, tuple((parse(text), text) for text in texts), field.is_required())
    return keys


def _as_it_is(value: Any) -> Any:
    return value


class ConfigTable:
    """A section or a variant at *path*: *written* as it stands in the file, and its keys resolved by the *model* of the section."""

    def __init__(self, model: type[Section], written: object, path: Path) -> None:
        self.path = path
        self.is_table = isinstance(written, dict)
        self.written: Mapping[str, Any] = written if isinstance(written, dict) else {}
        self._keys = _keys(model)
        self._found: dict[str, tuple[tuple[Found, ...], bool]] = {}

    def __contains__(self, key: str) -> bool:
        """Say whether *key* is written."""
        return key in self.written

    def at(self, key: str) -> Path:
        """Return the path of *key*."""
        return (*self.path, key)

    def values(self, key: str) -> tuple[Found, ...]:
        """Return the values of *key*: of a list all that its kind accepts."""
        return self._read(key)[0]

    def value(self, key: str) -> Any:
        """Return the only value of *key*, REFUSED if it has none."""
        found = self.values(key)
        return found[0].value if found else REFUSED

    def is_known(self, key: str) -> bool:
        """Say whether all values of *key* were accepted."""
        return self._read(key)[1]

    def text(self, key: str) -> str | None:
        """Return *key* as it is written, whether accepted or not, if that is a text: what names are compared by."""
        found = self.written.get(key)
        return found if isinstance(found, str) else None

    def holds(self, key: str, value: object) -> bool:
        """Say whether *value* is a value of *key*."""
        return any(found.value == value for found in self.values(key))

    def never_holds(self, key: str, value: object) -> bool:
        """Say whether *value* cannot be a value of *key*, even where one of them was refused and may have been meant to be it."""
        return self.is_known(key) and not self.holds(key, value)

    def changed(self, key: str) -> tuple[Found, ...]:
        """Return the values of *key* that are not its default."""
        defaults = [value for value, _ in self._keys[key].default]
        return tuple(found for found in self.values(key) if found.value not in defaults)

    def _read(self, key: str) -> tuple[tuple[Found, ...], bool]:
        if key not in self._found:
            self._found[key] = self._resolve(self._keys[key], key) if self.is_table else ((), False)
        return self._found[key]

    def _resolve(self, known: _Key, key: str) -> tuple[tuple[Found, ...], bool]:
        return known.read(self.written[key], self.at(key)) if key in self.written else known.without(self.at(key))


class Resolved:
    """A whole config *tree*, resolved: its sections, and its contenders in the order in which they are compared."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.tree = tree
        self.study = ConfigTable(StudySection, tree.get("study"), ("study",))
        self.workload = ConfigTable(WorkloadSection, tree.get("workload", {}), ("workload",))
        self.stop = ConfigTable(StopSection, tree.get("stop", {}), ("stop",))
        self.crossover = ConfigTable(CrossoverSection, tree["crossover"], ("crossover",)) if "crossover" in tree else None
        self.cluster = ConfigTable(ClusterSection, tree["cluster"], ("cluster",)) if "cluster" in tree else None
        written = tree.get("variant", [])
        self.has_variant_list = isinstance(written, list)
        self.variants = tuple(
            ConfigTable(ServerSection if is_server(variant) else VariantSection, variant, ("variant", index))
            for index, variant in enumerate(written if self.has_variant_list else ())
        )
        self.servers = tuple(variant for variant in self.variants if is_server(variant.written))
        self.contenders = tuple(self._contenders())

    def _contenders(self) -> Iterator[Named]:
        short = self.study.written.get("variants")
        for index, written in enumerate(short if isinstance(short, list) else ()):
            name = written if isinstance(written, str) else None
            yield Named(name, name, (*self.study.at("variants"), index))
        for variant in self.variants:
            yield Named(variant.text("name"), variant.text("mechanism"), variant.at("name"))

    def listed(self, but: object = None) -> str:
        """Return the names of the contenders for an error, without *but*."""
        names = (contender.name for contender in self.contenders if contender.name not in (None, but))
        return ", ".join(shown(name) for name in dict.fromkeys(names)) or "none"


@dataclass(frozen=True, slots=True)
class Named:
    """A contender of the short or the long form, by the *name* and *mechanism* that are written, None where neither is a text."""

    name: str | None
    mechanism: str | None
    path: Path  # of the name
