"""A result as rows of plain values: one per point, variant and metric, one per generation, or one per window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zcload.analysis.estimates import generation_figure
from zcload.analysis.point_data import sort_out
from zcload.analysis.tally import IdleUse, window_tally
from zcload.model.metrics import GOODPUT_BPS, METRICS, RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.lines import Header, Line
from zcload.model.records.measurements import Window
from zcload.model.records.summary import ComparisonRecord, PointSummary, Summary, VariantRecord
from zcload.model.records.values import IntervalRecord

Value = str | int | float | bool | None
Row = dict[str, Value]

# Sums of a window (docs/metrics.md, CSV of windows) in the order of the columns.
WINDOW_SUMS = (
    *("elapsed_s", "open_s", "span_s", "bytes", "sender_cpu_s", "receiver_cpu_s", "sender_busiest_s", "receiver_busiest_s"),
    *("sender_syscalls", "receiver_syscalls", "observer_cpu_s"),
)
WINDOW_FIGURES = (GOODPUT_BPS, SENDER_CPU_S_PER_GB, RECEIVER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB)


def variant_facts(summary: Summary, index: int, variant: VariantRecord) -> Row:
    """Return what tells one variant at one point from the others: the first columns of a row."""
    point = summary["points"][index]
    return {
        "study": summary["name"],
        "started": summary["started"],
        "point": index,
        "point_name": point["name"],
        "chunk_bytes": point["point"]["chunk_bytes"],
        "file_bytes": point["point"]["file_bytes"],
        "senders": point["point"]["senders"],
        "rate_bps": point["point"]["rate_bps"],
        "variant": variant["name"],
        "mechanism": variant["mechanism"],
        "sink": variant["sink"],
        "variant_chunk_bytes": variant["chunk_bytes"],
        "aa": variant["aa"],
        "best_chunk": variant["best_chunk"],
        "status": variant["status"],
        "windows": variant["windows"],
        "copied_fraction": variant["copied_fraction"],
    }


def figure_rows(point: PointSummary, variant: VariantRecord) -> Iterator[Row]:
    """Return each metric of *variant* with its comparison to the point's baseline; a figure that does not exist is None with a reason."""
    compared = {c["metric"]: c for c in point["comparisons"] if c["variant"] == variant["name"]}
    for key, metric in variant["metrics"].items():
        figures: Row = {"metric": key, "unit": metric["unit"], **_interval(metric)}
        yield {**figures, **(_compared(compared[key]) if key in compared else {"reason": metric.get("reason")})}


def metric_rows(summary: Summary) -> Iterator[Row]:
    """Return one row for each point, variant and metric."""
    for index, point in enumerate(summary["points"]):
        for variant in point["variants"]:
            facts = variant_facts(summary, index, variant)
            for figures in figure_rows(point, variant):
                yield {**facts, **figures}


def _interval(figure: IntervalRecord) -> Row:
    return {"estimate": figure["estimate"], "low": figure["low"], "high": figure["high"]}


def _compared(c: ComparisonRecord) -> Row:
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


def generation_rows(records: Iterable[Line]) -> Iterator[Row]:
    """Return one row for each generation and variant, in the order measured: its own figures, without those of too few ticks in one.

    *records* are iterated twice and never held but for one generation: what the idle machine uses is known at the end only.
    """
    names: list[str] = []
    idle: dict[int, IdleUse] = defaultdict(IdleUse)
    for record in records:
        if record["kind"] == "header":
            names = [point["name"] for point in record["points"]]
        elif record["kind"] == "idle":
            idle[record["point"]].take(record["machine"])
    cores = {point: use.cores for point, use in idle.items()}
    now, held = (-1, -1), list[Line]()
    for record in records:
        at = _place(record)
        if at is None:  # an event of the point, in the midst of a generation perhaps
            continue
        if at != now:
            yield from _generation(names, now[0], held, cores)
            now, held = at, []
        held.append(record)
    yield from _generation(names, now[0], held, cores)


def _place(record: Line) -> tuple[int, int] | None:
    """Return the point and the generation of a record; None if it belongs to none."""
    match record["kind"]:
        case "generation" | "window" | "block" | "idle" | "sample" | "sampler" | "counters" | "reports":
            return record["point"], record["generation"]
    return None


def _generation(names: Sequence[str], point: int, records: Sequence[Line], cores: Mapping[int, float | None]) -> Iterator[Row]:
    """Return the rows of one generation; none for records that belong to none."""
    for generation in sort_out(records, cores.get(point), clusters=False).used():
        for name, total in sorted(generation.sums.items()):
            found = {key: generation_figure(metric, name, generation) for key, metric in METRICS.items() if not metric.ticks}
            figures: Row = {key: value for key, value in found.items() if value is not None}
            if figures:
                at: Row = {"point": point, "point_name": names[point], "generation": generation.number, "variant": name}
                yield {**at, "windows": int(total["windows"]), **figures}


def window_rows(records: Iterable[Line]) -> Iterator[Row]:
    """Return one row for each window, warm-ups, checks and repeated ones too: *fate* says what became of its block, None if cut short."""
    header: Header | None = None
    held: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for record in records:
        if record["kind"] == "header":
            header = record
        elif record["kind"] == "window" and header is not None:
            held[record["point"], record["generation"]].append(_window(header, record))
        elif record["kind"] == "block":
            for row in held.pop((record["point"], record["generation"]), []):
                yield {**row, "fate": record["fate"]}
    for rows in held.values():
        yield from rows


def _window(header: Header, record: Window) -> Row:
    tally = window_tally(record, None)
    gb, elapsed_s = tally["gb"], tally["elapsed_s"]
    figures: Row = {
        GOODPUT_BPS: tally["bits"] / elapsed_s if elapsed_s else None,
        **{key: tally[METRICS[key].numerator] / gb if gb else None for key in WINDOW_FIGURES[1:]},
    }
    return {
        "study": header["name"],
        "started": header["started"],
        "point": record["point"],
        "point_name": header["points"][record["point"]]["name"],
        "generation": record["generation"],
        "block": record["block"],
        "purpose": record["purpose"],
        "attempt": record["attempt"],
        "fate": None,
        "group": record["group"],
        "variant": record["lane"],
        "open_ns": record["open_ns"],
        **{name: tally.get(name) for name in WINDOW_SUMS},  # the system calls of a server nobody counts
        **figures,
    }
