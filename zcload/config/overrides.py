"""`--set key=value`: put single values into a config tree before it is checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from zcload.config.finding import Path, near_miss
from zcload.errors import Problem
from zcload.model.units import shown

ORIGIN = "--set"  # stands for the file in problems


class Override(str):
    """A "key=value" that an *option* of its own has given: problems name that option instead of --set."""

    option: str

    @classmethod
    def of(cls, option: str, key: str, value: str) -> Self:
        """Return the override of *key* that "*option* *value*" stands for."""
        made = cls(f"{key}={value}")
        made.option = option
        return made


class AddedVariant(Override):
    """A [[variant]] that an option adds to those of the config, unless one is there that is the same."""

    variant: Mapping[str, Any]

    @classmethod
    def named(cls, option: str, name: str, mechanism: str) -> Self:
        """Return the addition of the variant *name* that "*option* *mechanism*" stands for."""
        made = cls.of(option, "variant", mechanism)
        made.variant = {"name": name, "mechanism": mechanism}
        return made


@dataclass(slots=True)
class Overlaid:
    """A *tree* with overrides in it, the options that set which paths, and the *problems* of those that could not be laid over."""

    tree: dict[str, Any]
    options: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def overlay(tree: Mapping[str, Any], overrides: Sequence[str]) -> Overlaid:
    """Lay *overrides* ("workload.chunk=[64KiB,256KiB]", "variant.NAME.chunk=64KiB") over a copy of *tree*; the last of one key wins."""
    result = Overlaid(dict(tree))
    for override in overrides:
        if isinstance(override, AddedVariant):
            _add(result, override)
            continue
        key, equals, value = override.partition("=")
        parts = _parts(key.strip())
        if not equals or not all(parts):
            result.problems.append(
                Problem(f"{shown(override)} is not an override: expected key=value, as in workload.chunk=64KiB", file=ORIGIN)
            )
        else:
            _set(result, parts, read_value(value), override.option if isinstance(override, Override) else ORIGIN)
    return result


def _add(result: Overlaid, added: AddedVariant) -> None:
    variants = result.tree.get("variant", [])
    if isinstance(variants, list) and added.variant not in variants:
        result.options["variant", len(variants)] = added.option
        result.tree["variant"] = [*variants, dict(added.variant)]


def _parts(key: str) -> list[str]:
    bracketed = re.fullmatch(r"variant\[(.+)\]\.([^.]+)", key)
    if bracketed:
        return ["variant", bracketed[1], bracketed[2]]
    parts = key.split(".")
    # A variant's name may have dots in it, its keys have none.
    return ["variant", ".".join(parts[1:-1]), parts[-1]] if parts[0] == "variant" and len(parts) > 2 else parts


def _set(result: Overlaid, parts: list[str], value: Any, option: str) -> None:
    table: dict[str, Any] = result.tree
    path: Path = ()
    for part in parts[:-1]:
        below = table.get(part, {}) if path != ("variant",) else {}
        if path == () and part == "variant" and len(parts) == 3:
            index = _variant(result, parts[1], ".".join(parts))
            if index is not None:
                variants = list(result.tree["variant"])
                variants[index] = {**variants[index], parts[2]: value}
                result.tree["variant"] = variants
                result.options["variant", index, parts[2]] = option
            return
        path += (part,)
        if not isinstance(below, dict):
            result.problems.append(Problem(f"{shown('.'.join(map(str, path)))} is not a section", key=".".join(parts), file=option))
            return
        table[part] = dict(below)
        table = table[part]
    table[parts[-1]] = value
    result.options[*path, parts[-1]] = option


def _variant(result: Overlaid, name: str, key: str) -> int | None:
    variants = result.tree.get("variant")
    names = [variant.get("name") if isinstance(variant, dict) else None for variant in variants] if isinstance(variants, list) else []
    if name in names:
        return names.index(name)
    known = [name for name in names if isinstance(name, str)]
    remedy = near_miss(name, known) or "only [[variant]] sections have keys to set"
    result.problems.append(Problem(f"no [[variant]] is called {shown(name)}", key=key, file=ORIGIN, remedy=remedy))
    return None


def read_value(text: str) -> Any:
    """Read the value of an override: true, false, a number, a list in brackets, else text, with or without quotes."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        quoted = _toml(text)
        return quoted if isinstance(quoted, list) else [read_value(item) for item in text[1:-1].split(",") if item.strip()]
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]{1,18}\.[0-9]{1,18}", text):
        return float(text)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        quoted = _toml(text)
        return quoted if isinstance(quoted, str) else text[1:-1]
    return text


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return None
