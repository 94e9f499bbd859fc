"""A result as rows of plain values: one per point, variant and metric, one per generation, or one per window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from zcload.analysis.estimates import generation_figure
from zcload.analysis.point_data import sort_out
from zcload.analysis.tally import idle_cores, window_tally
from zcload.model.metrics import METRICS

Record = Mapping[str, Any]
Row = dict[str, Any]

# Sums of a window (docs/metrics.md, CSV of windows) in the order of the columns.
WINDOW_SUMS = (
    *("elapsed_s", "open_s", "span_s", "bytes", "sender_cpu_s", "receiver_cpu_s", "sender_busiest_s", "receiver_busiest_s"),
    *("sender_syscalls", "receiver_syscalls", "observer_cpu_s"),
)
WINDOW_FIGURES = ("goodput_bps", "sender_cpu_s_per_gb", "receiver_cpu_s_per_gb", "total_cpu_s_per_gb")


def variant_facts(summary: Record, index: int, variant: Record) -> Row:
    """Return what tells one variant at one point from the others: the first columns of a row."""
    point = summary["points"][index]
    return {
        "study": summary["name"],
        "started": summary["started"],
        "point": index,
        "point_name": point["name"],
        **{name: point["point"][name] for name in ("chunk_bytes", "file_bytes", "senders", "rate_bps")},
        "variant": variant["name"],
        "mechanism": variant["mechanism"],
        "sink": variant["sink"],
        "variant_chunk_bytes": variant["chunk_bytes"],
        **{name: variant[name] for name in ("aa", "best_chunk", "status", "windows", "copied_fraction")},
    }


def figure_rows(point: Record, variant: Record) -> Iterator[Row]:
    """Return each metric of *variant* with its comparison to the point's baseline; a figure that does not exist is None with a reason."""
    compared = {c["metric"]: c for c in point["comparisons"] if c["variant"] == variant["name"]}
    for key, metric in variant["metrics"].items():
        figures = {"metric": key, **{name: metric[name] for name in ("unit", "estimate", "low", "high")}}
        yield {**figures, **(_compared(compared[key]) if key in compared else {"reason": metric.get("reason")})}


def metric_rows(summary: Record) -> Iterator[Row]:
    """Return one row for each point, variant and metric."""
    for index, point in enumerate(summary["points"]):
        for variant in point["variants"]:
            facts = variant_facts(summary, index, variant)
            for figures in figure_rows(point, variant):
                yield {**facts, **figures}


def _compared(c: Record) -> Row:
    return {
        "baseline": c["baseline"],
        "ratio": c["ratio"]["estimate"],
        "ratio_low": c["ratio"]["low"],
        "ratio_high": c["ratio"]["high"],
        "saving_percent": c["saving_percent"]["estimate"],
        "saving_low": c["saving_percent"]["low"],
        "saving_high": c["saving_percent"]["high"],
        "verdict": c["verdict"],
        "reason": c["reason"],
    }


def generation_rows(records: Iterable[Record]) -> Iterator[Row]:
    """Return one row for each generation and variant, in the order measured: its own figures, without those of too few ticks in one.

    *records* are iterated twice and never held but for one generation: what the idle machine uses is known at the end only.
    """
    header: Record = {}
    idle: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        if record["kind"] == "header":
            header = record
        elif record["kind"] == "idle":
            idle[record["point"]].append(record)
    cores = {point: idle_cores(of_point) for point, of_point in idle.items()}
    now, held = (-1, -1), list[Record]()
    for record in records:
        if "generation" not in record:  # an event of the point, in the midst of a generation perhaps
            continue
        at = (record["point"], record["generation"])
        if at != now:
            yield from _generation(header, now[0], held, cores)
            now, held = at, []
        held.append(record)
    yield from _generation(header, now[0], held, cores)


def _generation(header: Record, point: int, records: Sequence[Record], cores: Mapping[int, float | None]) -> Iterator[Row]:
    """Return the rows of one generation; none for records that belong to none."""
    for generation in sort_out(records, cores.get(point), clusters=False).used():
        for name, total in sorted(generation.sums.items()):
            found = {key: generation_figure(metric, name, generation) for key, metric in METRICS.items() if not metric.ticks}
            figures = {key: value for key, value in found.items() if value is not None}
            if figures:
                at = {"point": point, "point_name": header["points"][point]["name"], "generation": generation.number, "variant": name}
                yield {**at, "windows": int(total["windows"]), **figures}


def window_rows(records: Iterable[Record]) -> Iterator[Row]:
    """Return one row for each window, warm-ups, checks and repeated ones too: *fate* says what became of its block, None if cut short."""
    header: Record = {}
    held: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for record in records:
        at = (record.get("point", -1), record.get("generation", -1))
        if record["kind"] == "header":
            header = record
        elif record["kind"] == "window":
            held[at].append(_window(header, record))
        elif record["kind"] == "block":
            for row in held.pop(at, []):
                yield {**row, "fate": record["fate"]}
    for rows in held.values():
        yield from rows


def _window(header: Record, record: Record) -> Row:
    tally = window_tally(record, None)
    gb, elapsed_s = tally["gb"], tally["elapsed_s"]
    figures = {
        "goodput_bps": tally["bits"] / elapsed_s if elapsed_s else None,
        **{key: tally[METRICS[key].numerator] / gb if gb else None for key in WINDOW_FIGURES[1:]},
    }
    return {
        "study": header["name"],
        "started": header["started"],
        "point": record["point"],
        "point_name": header["points"][record["point"]]["name"],
        **{name: record[name] for name in ("generation", "block", "purpose", "attempt")},
        "fate": None,
        "group": record["group"],
        "variant": record["lane"],
        "open_ns": record["open_ns"],
        **{name: tally.get(name) for name in WINDOW_SUMS},  # the system calls of a server nobody counts
        **figures,
    }
