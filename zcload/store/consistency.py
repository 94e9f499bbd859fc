"""What types do not say of a stored result: names that must exist, numbers that belong together. Found as pairs of key and fault."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from zcload.model.metrics import FIRST_METRICS, METRICS
from zcload.model.packed import unpack
from zcload.model.records.lines import Header, Line
from zcload.model.records.measurements import LinkWorkers, MachineReading, Reading, Window, WindowTransfers
from zcload.model.records.summary import PointSummary, Summary
from zcload.model.records.values import PointFacts

Fault = tuple[str, str]
Wrong = Iterator[Fault]

_INTERVAL = ("estimate", "low", "high")


def header_problems(header: Header) -> Wrong:
    """Find what is wrong in a header."""
    yield from _time_problems(header["started"])
    if not header["points"]:
        yield "points", "is empty, expected at least one point"
    for number, point in enumerate(header["points"]):
        names = [lane["name"] for lane in point["lanes"]]
        yield from _name_problems(f"points[{number}].lanes", names, header["baseline"])
        yield from _network_problems(f"points[{number}].point", point["point"])
    yield from _config_problems(header["config"])
    if not 0 <= header["stop"]["margin"] <= 1:
        yield "stop.margin", f"found {header['stop']['margin']:g}, expected a fraction from 0 to 1"
    crossover = header.get("crossover")
    if crossover is None:
        return
    swept = crossover["values"]
    if len(swept) != len(header["points"]):
        yield "crossover.values", f"holds {len(swept)} values, expected one for each of the {len(header['points'])} points"
    if any(value <= 0 for value in swept) or any(a >= b for a, b in itertools.pairwise(swept)):
        yield "crossover.values", "expected positive values in ascending order"


def _config_problems(config: Mapping[str, object]) -> Wrong:
    """Find sections that are none: reports look into them, and the rest of a config is checked when it is run again."""
    for section in ("study", "workload", "stop"):
        if not isinstance(config.get(section, {}), Mapping):
            yield f"config.{section}", "expected a table"


def _network_problems(key: str, point: PointFacts) -> Wrong:
    if point["network"] == "veth" and not {"mtu_bytes", "offloads"} <= point.keys():
        yield key, "expected mtu_bytes and offloads of a veth pair"


def _time_problems(started: str) -> Wrong:
    try:
        datetime.fromisoformat(started)
    except ValueError:
        yield "started", f"found {started[:40]!r}, expected a time such as 2026-11-01T00:00:00Z"


def line_problems(line: Line, points: int) -> Iterable[Fault]:
    """Return what is wrong in a line of a result of so many *points*."""
    number = line.get("point", 0)
    if isinstance(number, int) and number >= points:
        return [("point", f"found {number}, expected less than {points}: the header has so many points")]
    if line["kind"] == "window":
        return _window_problems(line)
    return _machine_problems(line["machine"]) if line["kind"] == "idle" else ()


class LinkCheck:
    """Finds lines that lack hosts or workers which the links of their generation name: those stand in an earlier line."""

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], list[LinkWorkers]] = {}  # by point and generation

    def problems(self, line: Line) -> Iterable[Fault]:
        """Return what is wrong in *line*; each line of a file has to be given, in order."""
        if line["kind"] == "generation":
            if links := line.get("links"):
                self._links[line["point"], line["generation"]] = links
            return ()
        return self._missing(line) if self._links else ()

    def _missing(self, line: Line) -> Wrong:
        if line["kind"] == "window" and "hosts" in line:
            for link in self._links.get((line["point"], line["generation"]), ()):
                yield from _too_few(link, "senders", len(line["senders"]))
                yield from _too_few(link, "receivers", len(line["receivers"]))
                if link["receiver"] not in line["hosts"]:
                    yield "hosts", f"lacks {link['receiver']!r}, a host of the links of generation {line['generation']}"
        elif line["kind"] == "reports":
            for link in self._links.get((line["point"], line["generation"]), ()):
                yield from _too_few(link, "senders", len(line["senders"]))


def _too_few(link: LinkWorkers, role: Literal["senders", "receivers"], there: int) -> Wrong:
    last = max(link[role], default=-1)
    if last >= there:
        between = f"{link['sender']} to {link['receiver']}"
        yield role, f"holds {there}, expected at least {last + 1}: the link {between} has number {last}, counted from 0"


def _window_problems(window: Window) -> Iterable[Fault]:
    wrong: list[Fault] = []
    for role, pairs in (("senders", window["senders"]), ("receivers", window["receivers"]), ("relays", window.get("relays", ()))):
        if not _alike(pairs):
            wrong.append((role, "expected readings of the same length: one number for each kind of system call"))
    if window["machine"] is not None:
        wrong += _machine_problems(window["machine"])
    if "transfers" in window:
        wrong += _transfer_problems(window["transfers"])
    return wrong


def _alike(pairs: Sequence[Sequence[Reading]]) -> bool:
    if len(pairs) == 1:  # of a million windows most are of one process a role
        return len(pairs[0][0]) == len(pairs[0][1])
    return len({len(reading) for pair in pairs for reading in pair}) < 2


def _machine_problems(readings: Sequence[MachineReading]) -> Sequence[Fault]:
    before, after = readings
    if not after[4] > 0 or after[0] <= before[0]:
        return [("machine", "expected two readings, the second later, of a machine with CPUs")]
    return ()


def _transfer_problems(transfers: WindowTransfers) -> Wrong:
    sent = sum(after - before for before, after in transfers["sent"])
    for key, text in (("latency_ns", transfers.get("latency_ns")), ("late_ns", transfers.get("late_ns"))):
        if text is None:
            continue
        try:
            count = len(unpack(text, sent))
        except ValueError as error:
            yield f"transfers.{key}", f"holds no packed values: {error}"
            continue
        if count != sent:
            yield f"transfers.{key}", f"holds {count} values, expected {sent}: so many transfers were sent"


def summary_problems(summary: Summary) -> Wrong:
    """Find what is wrong in a summary."""
    yield from _time_problems(summary["started"])
    if summary["headline"] not in METRICS:
        yield "headline", f"expected a metric, for example {next(iter(METRICS))}"
    if not summary["points"]:
        yield "points", "is empty, expected at least one point"
    yield from _config_problems(summary["config"])
    if not 0 <= summary["margin_percent"] <= 100:
        yield "margin_percent", f"found {summary['margin_percent']:g}, expected 0 to 100"
    for number, point in enumerate(summary["points"]):
        for key, what in _point_problems(point):
            yield f"points[{number}].{key}", what
    yield from _interval_problems(summary, "")


def _point_problems(point: PointSummary) -> Wrong:
    names = [variant["name"] for variant in point["variants"]]
    yield from _name_problems("variants", names, point["baseline"])
    yield from _network_problems("point", point["point"])
    for number, variant in enumerate(point["variants"]):
        for key in FIRST_METRICS:
            if key not in variant["metrics"]:
                yield f"variants[{number}].metrics.{key}", "is missing"
    known = {*names, point["baseline"]}
    for group, comparisons in (
        ("comparisons", point["comparisons"]),
        ("comparisons_best_chunk", point["comparisons_best_chunk"]),
        ("comparisons_over", point.get("comparisons_over", [])),
    ):
        compared: dict[str, set[str]] = {}
        for number, comparison in enumerate(comparisons):
            compared.setdefault(comparison["variant"], set()).add(comparison["metric"])
            for key, name in (("variant", comparison["variant"]), ("baseline", comparison["baseline"])):
                if name not in known:
                    yield f"{group}[{number}].{key}", f"expected one of the variants: {', '.join(names)}"
        for name, metrics in compared.items():
            missing = [key for key in FIRST_METRICS if key not in metrics]
            if missing:
                yield group, f"compares {name} in no {missing[0]}"
    for number, explained in enumerate(point.get("why", [])):
        if explained["variant"] not in known:
            yield f"why[{number}].variant", f"expected one of the variants: {', '.join(names)}"


def _name_problems(key: str, names: Sequence[str], baseline: str) -> Wrong:
    if baseline not in names:
        yield key, f"holds no {baseline!r}, the baseline"
    if len(set(names)) < len(names):
        yield key, "holds a name twice"


def _interval_problems(found: object, key: str) -> Wrong:
    """Find figures of which a part is missing; a percentile alone may be an estimate without an interval."""
    if isinstance(found, Mapping):
        if all(name in found for name in _INTERVAL):
            missing = [found[name] is None for name in _INTERVAL]
            if any(missing) and not all(missing) and not (".percentiles." in key and not missing[0] and missing[1] == missing[2]):
                yield key, "expected estimate, low and high, or null for all of them"
        for name, value in found.items():
            yield from _interval_problems(value, f"{key}.{name}" if key else str(name))
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from _interval_problems(value, f"{key}[{number}]")
