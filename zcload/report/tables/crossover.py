"""Sentences and table of a crossover along its axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zcload.model.metrics import RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.units import format_rate, format_size, human_bytes, human_rate
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, saving_text, unit_of
from zcload.report.text.question import Facts, whose

_PER = {"chunk": " per call", "file_size": " files", "transfer_size": " files", "senders": " senders", "rate": ""}
_POINT_KEYS = {
    "chunk": "chunk_bytes",
    "file_size": "file_bytes",
    "transfer_size": "transfer_bytes",
    "senders": "senders",
    "rate": "rate_bps",
}


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return the answer of a search, a sentence or two an item."""
    found = summary["crossing"]
    a, b, cost = found["baseline"], found["contender"], f"of {whose(found['metric']).whose} CPU per {_unit(summary)}"
    exact, about = _writers(found["sweep"])
    across = f"from {exact(found['range'][0])} to {exact(found['range'][1])}{_PER[found['sweep']]}"
    known = _known(found, exact)
    match found["verdict"]:
        case "crosses":
            lines = [_crossing(found, found["crossings"][0], about, cost), known]
        case "several":
            lines = [f"{b} and {a} cross {len(found['crossings'])} times {across}: there is no single size from which on it pays."]
            lines += [_crossing(found, each, about, cost) for each in found["crossings"]] + [known]
        case "always":
            lines = [f"{b} beats {a} everywhere {across}: it needs less {cost} at every value that was measured.", known]
        case "never":
            lines = [f"{b} never beats {a} {across}: it needs more {cost} at every value that was measured.", known]
        case "no difference":
            margin = f"{summary['margin_percent']:g} %"
            lines = [f"{b} makes no difference to {a} {across}: they are within {margin} of each other {cost} at every value.", known]
        case _:
            lines = [f"Where {b} starts to beat {a} cannot be told {across}: {_open(found)}.", known]
    return [line for line in lines if line]


def _crossing(found: Mapping[str, Any], crossing: Mapping[str, Any], about: Callable[[float], str], cost: str) -> str:
    at, low, high = (about(crossing[key]) for key in ("estimate", "low", "high"))
    way, side = ("from", "above") if crossing["wins"] == "above" else ("up to", "below")
    where = f"{found['contender']} pays {way} {at} ({low}..{high}){_PER[found['sweep']]} here"
    return f"{where}: {side} that it needs less {cost} than {found['baseline']} (95 % confidence)."


def _known(found: Mapping[str, Any], exact: Callable[[float], str]) -> str:
    """Say on which side the measured values are, at one error rate for all."""
    parts = [
        f"{words} at {_listed(found[key], exact)}"
        for key, words in (("wins", f"{found['contender']} wins"), ("loses", f"{found['baseline']} wins"), ("level", "no difference"))
        if found[key]
    ]
    if parts and found["undecided"]:
        parts.append(f"undecided at {_listed(found['undecided'], exact)}")
    return f"Decided at 5 % for all values and looks together: {'; '.join(parts)}." if parts else ""


def _listed(values: list[float], exact: Callable[[float], str]) -> str:
    return ", ".join(map(exact, values))


def _open(found: Mapping[str, Any]) -> str:
    a, b = found["baseline"], found["contender"]
    if not any(found[key] for key in ("wins", "loses", "level", "undecided")):
        return "nothing was measured"
    stopped = f" ({found['stopped']})" if found["stopped"] else ""
    if found["wins"] and found["loses"]:
        return f"the values between are not measured well enough{stopped}"
    if found["wins"]:
        return f"{b} beats {a} at some values, and is not shown to lose at any{stopped}"
    if found["loses"]:
        return f"{b} loses to {a} at some values, and is not shown to win at any{stopped}"
    return f"no value is decided{stopped}; more time, or a quieter machine, may decide it"


def along(summary: Mapping[str, Any]) -> Table:
    """Return the measured values of the axis with what the contender saves at each."""
    found = summary["crossing"]
    exact, _ = _writers(found["sweep"])
    sides = {
        value: word
        for key, word in (("wins", found["contender"]), ("loses", found["baseline"]), ("level", "neither"))
        for value in found[key]
    }
    asked = whose(found["metric"])
    other = ("both ends", TOTAL_CPU_S_PER_GB) if asked.metric == SENDER_CPU_S_PER_GB else ("sender", SENDER_CPU_S_PER_GB)
    ledgers = ((asked.ledger, asked.metric), other, ("receiver", RECEIVER_CPU_S_PER_GB))
    rows = []
    for point in summary["points"]:
        value = point["point"][_POINT_KEYS[found["sweep"]]]
        by_metric = {c["metric"]: c for c in point["comparisons"] if c["variant"] == found["contender"]}
        savings = [saving_text(by_metric[key]["saving_percent"]) if key in by_metric else NONE for _, key in ledgers]
        rows.append([exact(value), *savings, str(point["generations"]), sides.get(float(value), "undecided")])
    what, pair = f"Savings of CPU per {_unit(summary)}", f"{found['contender']} against {found['baseline']}"
    title = f"{what} of {pair} along {found['sweep']}, with 95 % intervals"
    return Table(title, [found["sweep"], *(ledger for ledger, _ in ledgers), "generations", "wins"], rows)


def _unit(summary: Facts) -> str:
    """Return what CPU is told per: a file where small files are sent, else GB; all points of a search are alike in that."""
    return next((unit_of(point).name for point in summary["points"]), "GB")


def point_key(sweep: str) -> str:
    """Return the key of a point's value along the axis *sweep*."""
    return _POINT_KEYS[sweep]


def _writers(sweep: str) -> tuple[Callable[[float], str], Callable[[float], str]]:
    """Return how a value of the axis is written exactly, and how an estimate of one is."""
    if sweep == "senders":
        return lambda value: f"{value:g}", lambda value: f"{value:.2g}"
    if sweep == "rate":
        return lambda value: format_rate(int(value)), human_rate
    return lambda value: format_size(int(value)), _about_bytes


def _about_bytes(value: float) -> str:
    """Write an estimate in binary units with two or three digits: "23 KiB", "1.4 MiB"."""
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= factor:
            number = value / factor
            return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"
    return human_bytes(round(value))
