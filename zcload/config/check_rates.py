"""Rates that are too slow to be measured with the chunks, senders and files they come with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zcload.config.finding import Finding, Path
from zcload.config.registries import takes_whole_passes
from zcload.model.schedule import LEAST_BURSTS, LONGEST_WINDOW_S, window_s
from zcload.model.units import ValueRefused, format_size, human_rate, parse_rate, parse_size

LONGEST_PASS_S = 60.0  # of a mechanism whose windows end with its pass: as long as stop.window may be


def find_slow_rates(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Find the rate at which a window would have to be longer than one may be, for the largest chunk and the most senders it meets."""
    workload = tree.get("workload")
    stop = tree.get("stop")
    if not isinstance(workload, dict) or "per-file" in _listed(workload.get("transfer")):
        return
    slowest = min(_parsed(workload.get("rate"), parse_rate), default=None)
    if slowest is None:
        return
    rate_bps, at = slowest
    path: Path = ("workload", "rate", *at)
    variants = [v for v in tree.get("variant") or [] if isinstance(v, dict)] if isinstance(tree.get("variant"), list) else []
    chunks = _parsed(workload.get("chunk", "256KiB"), parse_size) + [c for v in variants for c in _parsed(v.get("chunk"), parse_size)]
    senders = max((n for n in _listed(workload.get("senders", 1)) if type(n) is int and n > 0), default=1)
    chunk = max((size for size, _ in chunks), default=0)
    needed = window_s(rate_bps, chunk, senders)
    fixed = isinstance(stop, dict) and stop.get("window", "auto") != "auto"
    if needed > LONGEST_WINDOW_S and not fixed:
        smaller = int(chunk * LONGEST_WINDOW_S / needed)
        remedy = f"chunk = '{format_size(1 << smaller.bit_length() - 1)}'" if smaller >= 4096 else "a higher rate or fewer senders"
        yield Finding(
            path,
            f"{human_rate(rate_bps)} in chunks of {format_size(chunk)} by {senders} sender(s): a window would need {needed:.3g} s "
            f"for {LEAST_BURSTS} chunks of each, expected at most {LONGEST_WINDOW_S:g} s",
            remedy,
        )
        return
    yield from _find_slow_requests(tree, variants, rate_bps, senders, fixed)
    names = {*_listed((tree.get("study") or {}).get("variants")), *(v.get("mechanism") for v in variants)} if _study(tree) else set()
    whole = sorted(name for name in names if isinstance(name, str) and takes_whole_passes(name))
    size = max((size for size, _ in _parsed(workload.get("file_size", "256MiB"), parse_size)), default=0)
    if whole and size * 8 * senders / rate_bps > LONGEST_PASS_S:
        what = (
            f"at {human_rate(rate_bps)} a window of {whole[0]}, which ends with its pass, would take {size * 8 * senders / rate_bps:.3g} s"
        )
        yield Finding(path, f"{what}: expected at most {LONGEST_PASS_S:g} s", "a smaller file_size")


def _find_slow_requests(
    tree: Mapping[str, Any], variants: list[dict[str, Any]], rate_bps: float, senders: int, fixed: bool
) -> Iterator[Finding]:
    """Find the servers that are asked for so much at once that a window would have to be longer than one may be."""
    workload = tree["workload"]
    size = max((size for size, _ in _parsed(workload.get("file_size", "256MiB"), parse_size)), default=0)
    for variant in variants:
        asked = variant.get("request_size", "auto")
        request = size if asked == "whole" else max((each for each, _ in _parsed(asked, parse_size)), default=0)
        needed = window_s(rate_bps, request, senders)
        if needed > LONGEST_WINDOW_S and not fixed:
            yield Finding(
                ("variant", tree["variant"].index(variant), "request_size"),
                f"requests of {format_size(request)} at {human_rate(rate_bps)} on {senders} connection(s): a window would need "
                f"{needed:.3g} s for {LEAST_BURSTS} of each, expected at most {LONGEST_WINDOW_S:g} s",
                "leave it out: 'auto' asks for a chunk at a rate; or a higher rate or fewer senders",
            )


def _study(tree: Mapping[str, Any]) -> bool:
    return isinstance(tree.get("study"), dict)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _parsed(value: object, parse: Callable[[object], Any]) -> list[tuple[Any, Path]]:
    """Return the values that can be parsed, each with its place in the list if it is in one; "max" and what is wrong are left out."""
    found: list[tuple[Any, Path]] = []
    for place, each in enumerate(_listed(value)):
        try:
            parsed = parse(each)
        except ValueRefused:
            continue
        if parsed is not None:
            found.append((parsed, (place,) if isinstance(value, list) else ()))
    return found
