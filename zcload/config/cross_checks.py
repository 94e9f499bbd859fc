"""Checks that need several keys or a registry; they read the raw tree, so that they still speak where the models refused a part of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zcload.config.check_rates import find_slow_rates
from zcload.config.check_small_files import find_transfers
from zcload.config.crossover import find_crossover
from zcload.config.finding import Finding, Path, near_miss
from zcload.config.registries import mechanism_options, moves_payload
from zcload.config.root import KEYS, is_server
from zcload.config.server_section import SERVER_KEYS, find_for_all, find_server
from zcload.config.swept import holds, values_of
from zcload.model.units import shown

MOST_POINTS = 10_000  # at one second each a run of hours: more is a slip in a list
_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True, slots=True)
class _Contender:
    name: str | None
    mechanism: str | None
    path: Path  # of the name


def find_across(tree: Mapping[str, Any]) -> list[Finding]:
    """Return what is wrong across keys of *tree*."""
    contenders = list(_contenders(tree))
    return [
        *_no_variants(tree, contenders),
        *_duplicate_names(contenders),
        *_baseline(tree, contenders),
        *_variant_keys(tree),
        *_servers(tree, contenders),
        *_too_many_points(tree),
        *_cold(tree),
        *_only_over_veth(tree),
        *find_slow_rates(tree),
        *find_crossover(tree),
        *find_transfers(tree),
    ]


def _table(tree: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = tree.get(key)
    return table if isinstance(table, dict) else {}


def _variants(tree: Mapping[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
    variants = tree.get("variant")
    listed = variants if isinstance(variants, list) else ()
    return [(("variant", index), variant if isinstance(variant, dict) else {}) for index, variant in enumerate(listed)]


def _contenders(tree: Mapping[str, Any]) -> Iterator[_Contender]:
    short = _table(tree, "study").get("variants")
    for index, name in enumerate(short if isinstance(short, list) else ()):
        yield _Contender(_text(name), _text(name), ("study", "variants", index))
    for path, variant in _variants(tree):
        yield _Contender(_text(variant.get("name")), _text(variant.get("mechanism")), (*path, "name"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _no_variants(tree: Mapping[str, Any], contenders: list[_Contender]) -> Iterator[Finding]:
    # A wrong type in either place is reported as such.
    wrong_type = not isinstance(_table(tree, "study").get("variants", []), list) or not isinstance(tree.get("variant", []), list)
    if not contenders and not wrong_type and isinstance(tree.get("study"), dict):
        yield Finding(("study", "variants"), "there are no variants: expected a list of mechanisms here, [[variant]] sections, or both")


def _duplicate_names(contenders: list[_Contender]) -> Iterator[Finding]:
    seen = set()
    for contender in contenders:
        if contender.name in seen:
            yield Finding(contender.path, f"two variants have the name {shown(contender.name)}", "each needs a name of its own")
        if contender.name is not None:
            seen.add(contender.name)


def _baseline(tree: Mapping[str, Any], contenders: list[_Contender]) -> Iterator[Finding]:
    baseline = _table(tree, "study").get("baseline")
    names = [contender.name for contender in contenders if contender.name is not None]
    # With a name missing, the baseline may be the one that it belongs to.
    if not isinstance(baseline, str) or not names or len(names) < len(contenders):
        return
    path = ("study", "baseline")
    chosen = [contender for contender in contenders if contender.name == baseline]
    if not chosen:
        listed = ", ".join(shown(name) for name in dict.fromkeys(names))
        yield Finding(path, f"{shown(baseline)} is not the name of a variant: expected one of {listed}", near_miss(baseline, names))
    elif chosen[0].mechanism is not None and not moves_payload(chosen[0].mechanism):
        yield Finding(path, f"{shown(baseline)} moves no bytes, so nothing can be compared with it", "'read_send' is the usual baseline")


def _variant_keys(tree: Mapping[str, Any]) -> Iterator[Finding]:
    for path, variant in _variants(tree):
        if is_server(variant):
            yield from (_unknown(path, key, SERVER_KEYS) for key in variant if key not in SERVER_KEYS)
            continue
        mechanism = variant.get("mechanism")
        options = mechanism_options(mechanism) if isinstance(mechanism, str) else {}
        for key, value in variant.items():
            if key in options:
                yield from _option((*path, key), value, options[key])
            elif key not in KEYS[("variant",)]:
                yield _unknown(path, key, (*KEYS[("variant",)], *options))


def _servers(tree: Mapping[str, Any], contenders: list[_Contender]) -> Iterator[Finding]:
    servers = [(path, variant) for path, variant in _variants(tree) if is_server(variant)]
    for path, variant in servers:
        yield from find_server(path, variant, tree)
        over, names = variant.get("over"), [c.name for c in contenders if c.name is not None and c.name != variant.get("name")]
        if isinstance(over, str) and over not in names:
            listed = ", ".join(shown(name) for name in dict.fromkeys(names)) or "none"
            yield Finding(
                (*path, "over"), f"{shown(over)} is not the name of another variant: expected one of {listed}", near_miss(over, names)
            )
    if servers:
        yield from find_for_all(tree, servers)


def _unknown(path: Path, key: object, allowed: tuple[str, ...]) -> Finding:
    path = (*path, str(key))
    if key in KEYS[("workload",)]:
        return Finding(path, f"cannot differ between variants, so that pairs stay fair: expected one of {', '.join(allowed)}")
    remedy = near_miss(key, allowed)
    return Finding(path, "unknown key" if remedy else f"unknown key: expected one of {', '.join(allowed)}", remedy)


def _option(path: Path, value: object, wanted: type | range) -> Iterator[Finding]:
    if isinstance(wanted, range):
        if type(value) is not int or value not in wanted:
            yield Finding(path, f"{shown(value)} does not fit: expected a whole number from {wanted[0]} to {wanted[-1]}")
        return
    fits = type(value) is wanted or (wanted is float and type(value) is int and math.isfinite(value))
    if not fits or (type(value) is float and not math.isfinite(value)):
        yield Finding(path, f"{shown(value)} does not fit: expected {_TYPE_NAMES.get(wanted, wanted.__name__)}")


def _too_many_points(tree: Mapping[str, Any]) -> Iterator[Finding]:
    points = math.prod(len(value) for value in _table(tree, "workload").values() if isinstance(value, list))
    if points > MOST_POINTS:
        yield Finding(("workload",), f"the lists make {shown(points)} points: expected at most {MOST_POINTS}")


def _cold(tree: Mapping[str, Any]) -> Iterator[Finding]:
    workload = _table(tree, "workload")
    for path, value in values_of(workload, "cache", "warm"):
        if value != "cold":
            continue
        if holds(workload, "file", "auto", "auto") and holds(workload, "dir", "auto", "auto"):
            yield Finding(path, "a file in memory cannot be cold", "set workload.dir to a directory on a disk, or workload.file to a file")
        if _table(tree, "study").get("schedule") == "together":
            yield Finding(path, "lanes that run together warm the file for each other", "schedule = 'alternate'")


def _only_over_veth(tree: Mapping[str, Any]) -> Iterator[Finding]:
    workload = _table(tree, "workload")
    if holds(workload, "network", "loopback", "veth"):
        return
    for key, default in (("mtu", "auto"), ("offloads", True)):
        wrong = [path for path, value in values_of(workload, key, default) if value != default]
        yield from (Finding(path, "only a veth pair has this", "network = 'veth'") for path in wrong[:1])
