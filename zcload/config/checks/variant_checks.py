"""Checks of the variants' names, the baseline, and keys that belong to one kind of variant or mechanism only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zcload.config.finding import Finding, Path, near_miss
from zcload.config.registries import header_ways, mechanism_options, moves_payload
from zcload.config.resolved import Resolved
from zcload.config.root import KEYS
from zcload.config.server_section import SERVER_KEYS
from zcload.model.units import shown

if TYPE_CHECKING:
    from zcload.mechanisms.base import OptionKind

_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def find_variants(config: Resolved) -> Iterator[Finding]:
    """Find missing and repeated variants, a baseline that is none of them, and keys that a variant does not have."""
    yield from _no_variants(config)
    yield from _duplicate_names(config)
    yield from _baseline(config)
    yield from _variant_keys(config)
    yield from _headers(config)


def _no_variants(config: Resolved) -> Iterator[Finding]:
    short = config.study.written.get("variants")
    # A wrong type in either place is reported as such.
    wrong_type = not config.has_variant_list or ("variants" in config.study and not isinstance(short, list))
    if config.study.is_table and not config.contenders and not wrong_type:
        yield Finding(config.study.at("variants"), "no variants: expected a list of mechanisms here, [[variant]] sections, or both")


def _duplicate_names(config: Resolved) -> Iterator[Finding]:
    seen = set()
    for contender in config.contenders:
        if contender.name in seen:
            yield Finding(contender.path, f"two variants have the name {shown(contender.name)}", "give each a different name")
        if contender.name is not None:
            seen.add(contender.name)


def _baseline(config: Resolved) -> Iterator[Finding]:
    baseline = config.study.text("baseline")
    names = [contender.name for contender in config.contenders if contender.name is not None]
    # With a name missing, the baseline may be the one that it belongs to.
    if baseline is None or not names or len(names) < len(config.contenders):
        return
    path = config.study.at("baseline")
    chosen = [contender for contender in config.contenders if contender.name == baseline]
    if not chosen:
        what = f"{shown(baseline)} is not the name of a variant: expected one of {config.listed()}"
        yield Finding(path, what, near_miss(baseline, names))
    elif chosen[0].mechanism is not None and not moves_payload(chosen[0].mechanism):
        yield Finding(path, f"{shown(baseline)} moves no bytes, so it cannot be the baseline", "'read_send' is the usual baseline")


def _variant_keys(config: Resolved) -> Iterator[Finding]:
    for variant in config.variants:
        if variant in config.servers:
            yield from (_unknown(variant.path, key, SERVER_KEYS) for key in variant.written if key not in SERVER_KEYS)
            continue
        mechanism = variant.text("mechanism")
        options = mechanism_options(mechanism) if mechanism else {}
        for key, value in variant.written.items():
            if key in options:
                yield from _option(variant.at(key), value, options[key])
            elif key not in KEYS[("variant",)]:
                yield _unknown(variant.path, key, (*KEYS[("variant",)], *options))


def _headers(config: Resolved) -> Iterator[Finding]:
    """Find ways of sending a header where there is none, and those that a mechanism does not have."""
    for variant in config.variants:
        if variant in config.servers or "header" not in variant:
            continue
        mechanism, way = variant.text("mechanism"), variant.text("header")
        ways = header_ways(mechanism) if mechanism else ()
        without = config.workload.is_known("header_bytes") and not config.workload.changed("header_bytes")
        if without or config.workload.never_holds("transfer", "per-file"):
            yield Finding(
                variant.at("header"), "there is no header to send", "set workload.transfer = 'per-file' and workload.header_bytes"
            )
        elif mechanism and way is not None and variant.is_known("header") and way not in ways:
            what = f"{shown(mechanism)} cannot send a header with {shown(way)}: expected {' or '.join(map(repr, ways)) or 'no header'}"
            yield Finding(variant.at("header"), what)


def _unknown(path: Path, key: object, allowed: tuple[str, ...]) -> Finding:
    path = (*path, str(key))
    if key in KEYS[("workload",)]:
        return Finding(path, f"cannot differ between variants: expected one of {', '.join(allowed)}")
    remedy = near_miss(key, allowed)
    return Finding(path, "unknown key" if remedy else f"unknown key: expected one of {', '.join(allowed)}", remedy)


def _option(path: Path, value: object, wanted: OptionKind) -> Iterator[Finding]:
    if isinstance(wanted, tuple):
        if value not in wanted:
            what = f"{shown(value)} is not valid: expected {' or '.join(repr(word) for word in wanted)}"
            yield Finding(path, what, near_miss(value, wanted))
        return
    if isinstance(wanted, range):
        if type(value) is not int or value not in wanted:
            yield Finding(path, f"{shown(value)} is not valid: expected a whole number from {wanted[0]} to {wanted[-1]}")
        return
    fits = type(value) is wanted or (wanted is float and type(value) is int and math.isfinite(value))
    if not fits or (type(value) is float and not math.isfinite(value)):
        yield Finding(path, f"{shown(value)} is not valid: expected {_TYPE_NAMES.get(wanted, wanted.__name__)}")
