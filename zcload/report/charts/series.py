"""Read what charts need of the raw records, record by record: each window's cost, and psutil's time series."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zcload.model.metrics import GOODPUT_BPS

Record = Mapping[str, Any]
SWITCHES = ("voluntary", "involuntary")


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a lane did between two samples of one generation, per second of its own open windows; *t_s* counts from the first record."""

    generation: int
    t_s: float
    open_s: float
    goodput_bps: float
    sender_cores: float
    receiver_cores: float
    sender_switches_per_s: float
    receiver_switches_per_s: float


@dataclass(slots=True)
class PointRaw:
    """The raw view of one point, by name of lane: CPU seconds per GB of both ends in every window that counts, and the stretches."""

    windows: dict[str, array[float]] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    stretches: dict[str, list[Stretch]] = field(default_factory=lambda: defaultdict(list))


def read_raw(records: Iterable[Record]) -> dict[str, PointRaw]:
    """Read *records* into the raw view of each point, by its name: a search's summary has only some of those numbered here."""
    points: dict[int, PointRaw] = defaultdict(PointRaw)
    block: dict[int, list[Record]] = defaultdict(list)  # of a block that is not over yet
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)  # open to last byte, of the generation at hand
    samples: list[Record] = []
    names: dict[int, str] = {}
    start_ns: int | None = None
    here: tuple[int, int, str] | None = None
    for record in records:
        kind = record["kind"]
        if kind == "header":
            names = {number: point["name"] for number, point in enumerate(record["points"])}
        if kind not in ("window", "block", "sample"):
            continue
        point, purpose = record["point"], record["purpose"]
        if kind == "sample" or kind == "window":
            moment = record["t_ns"] if kind == "sample" else record["open_ns"]
            start_ns = moment if start_ns is None else start_ns
        now = (point, record["generation"], "check" if purpose == "check" else "measure")
        if now != here:
            _close(points, here, samples, spans, start_ns or 0)
            here, samples = now, []
            spans.clear()
        if kind == "sample":
            samples.append(record)
        elif kind == "window":
            spans[record["lane"]].append((record["open_ns"], record["last_byte_ns"]))
            block[point].append(record)
        else:
            for window in block.pop(point, ()):
                cost = _cost(window)
                if purpose == "measure" and record["fate"] in ("counted", "kept") and cost is not None:
                    points[point].windows[window["lane"]].append(cost)
    _close(points, here, samples, spans, start_ns or 0)
    return {names.get(number, ""): raw for number, raw in points.items()}


def _cost(window: Record) -> float | None:
    """Return a window's CPU seconds of both ends per GB received; None where nothing was received."""
    moved = sum(after[1] - before[1] for before, after in window["receivers"])
    spent = sum(after[0] - before[0] for role in ("senders", "receivers", "relays") for before, after in window.get(role, ()))
    return spent / moved if moved else None  # ns per byte are s per GB


def _close(
    points: dict[int, PointRaw],
    here: tuple[int, int, str] | None,
    samples: Sequence[Record],
    spans: Mapping[str, Sequence[tuple[int, int]]],
    start_ns: int,
) -> None:
    """Turn the samples of a generation that is over into stretches. Windows of 2 s that only check the others are left out."""
    if here is None or here[2] == "check":
        return
    point, generation, _ = here
    for lane, windows in spans.items():
        seen = [(s["t_ns"], s["lanes"][lane]) for s in samples if lane in s["lanes"]]
        last = None
        for t_ns, counters in seen:
            if last is not None and counters["bytes"] <= last[1]["bytes"]:
                # Nothing moved. If a window was open it belongs to the next stretch, so the start stays where it is.
                continue
            if last is not None:
                stretch = _stretch(generation, last, (t_ns, counters), windows, start_ns)
                if stretch is not None:
                    points[point].stretches[lane].append(stretch)
            last = (t_ns, counters)


def _stretch(generation: int, a: tuple[int, Any], b: tuple[int, Any], windows: Sequence[tuple[int, int]], start_ns: int) -> Stretch | None:
    (from_ns, before), (to_ns, after) = a, b
    parts = [(max(opened, from_ns), min(last, to_ns)) for opened, last in windows if opened < to_ns and last > from_ns]
    open_s = sum(last - opened for opened, last in parts) / 1e9
    if open_s <= 0:
        return None

    def rate(role: str, *names: str) -> float:
        return float(sum(after[role][name] - before[role][name] for name in names)) / open_s

    def cores(role: str) -> float:
        return rate(role, "cpu_ns") / 1e9 if "cpu_ns" in after[role] else rate(role, "user_s", "system_s")

    middle_ns = (parts[0][0] + parts[-1][1]) / 2
    return Stretch(
        generation,
        (middle_ns - start_ns) / 1e9,
        open_s,
        8 * (after["bytes"] - before["bytes"]) / open_s,
        cores("senders"),
        cores("receivers"),
        rate("senders", *SWITCHES),
        rate("receivers", *SWITCHES),
    )


def thinned(values: Sequence[float], most: int) -> list[float]:
    """Return at most *most* of *values*, sorted: order statistics at even distances, the least and the greatest among them."""
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]


def merged(stretches: Sequence[Stretch], most: int) -> list[Stretch]:
    """Return at most about *most* stretches: neighbours within a generation joined, then whole generations left out at even distances."""
    if len(stretches) <= most:
        return list(stretches)
    by_generation: dict[int, list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        by_generation[stretch.generation].append(stretch)
    each = max(1, most // len(by_generation))
    joined = [group for found in by_generation.values() for group in _joined(found, each)]
    step = -(-len(by_generation) // most)  # more generations than room: every step-th
    kept = set(list(by_generation)[::step])
    return [stretch for stretch in joined if stretch.generation in kept]


def _joined(stretches: Sequence[Stretch], count: int) -> list[Stretch]:
    size = -(-len(stretches) // count)
    return [_mean(stretches[i : i + size]) for i in range(0, len(stretches), size)]


def _mean(group: Sequence[Stretch]) -> Stretch:
    """Join stretches into one: rates weighed by the time they were measured in, which is what one longer stretch would have shown."""
    total = sum(s.open_s for s in group)

    def weighed(name: str) -> float:
        return float(sum(getattr(s, name) * s.open_s for s in group)) / total

    names = (GOODPUT_BPS, "sender_cores", "receiver_cores", "sender_switches_per_s", "receiver_switches_per_s")
    return Stretch(group[0].generation, (group[0].t_s + group[-1].t_s) / 2, total, *(weighed(name) for name in names))
