"""Tables of small files: cost per file and latency, also over all sizes of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.model.metrics import (
    CPU_S_PER_TRANSFER,
    SENDER_SEGMENTS_PER_TRANSFER,
    SYSCALLS_PER_TRANSFER,
    SYSTEM_CPU_S_PER_GB,
    TRANSFERS_PER_S,
)
from zcload.model.units import format_frequency, human_bytes
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, percent, significant, with_error
from zcload.report.text.labels import in_a_cell, labels
from zcload.report.text.question import question_of

Point = Mapping[str, Any]
_US, _MS = 1e6, 1e3


def of_files(point: Point) -> bool:
    """Say whether a point is one of small files."""
    return bool(point["point"].get("transfer") == "per-file" and point["generations"])


def per_transfer(point: Point) -> Table | None:
    """CPU microseconds of a file and how many were sent in a second, with what the loop itself costs below."""
    if not of_files(point):
        return None
    said, verdicts = labels(point), {c["variant"]: c["verdict"] for c in point["comparisons"] if c["headline"]}
    keys = [(TRANSFERS_PER_S, 1.0), *((key, _US) for key in CPU_S_PER_TRANSFER.values())]
    counted = bool(point["point"].get("header_bytes"))  # packets tell ways to send a header apart
    rows = []
    for v in point["variants"]:
        if not v["windows"]:
            continue
        figures = [with_error(v["metrics"][key], scale) if key in v["metrics"] else NONE for key, scale in keys]
        calls = [with_error(v["metrics"][key]) for key in SYSCALLS_PER_TRANSFER.values()]
        if counted:
            calls.append(_plain(v["metrics"][SENDER_SEGMENTS_PER_TRANSFER]["estimate"]))
        rows.append([in_a_cell(v["name"], said), *figures, *calls, verdicts.get(v["name"]) or NONE])
    headers = [
        "variant",
        "transfers/s",
        "sender us",
        "receiver us",
        "both ends us",
        "machine us",
        "sender calls",
        "receiver calls",
        *(["packets"] if counted else []),
        "verdict",
    ]
    return Table("CPU microseconds and system calls per file (± half-width of the 95 % interval)", headers, rows)


def _plain(value: float | None) -> str:
    return NONE if value is None else significant(value)


def latencies(point: Point) -> Table | None:
    """Percentiles of latency in milliseconds, named for what they are."""
    measured = [(v, v["latency"]) for v in point["variants"] if v.get("latency")]
    if not measured:
        return None
    said, kind = labels(point), measured[0][1]["kind"]
    names = list(measured[0][1]["percentiles"])
    headers = ["variant", "transfers", *(name.replace("_", ".") for name in names)]
    late = any(found["lateness"] for _, found in measured)
    rows = []
    for v, found in measured:
        cells = [_range(found["percentiles"][name]) for name in names]
        started = [significant(found["lateness"]["p99"] * _MS) if found["lateness"] else NONE] if late else []
        rows.append([in_a_cell(v["name"], said), str(found["count"]), *cells, *started])
    what = "Response time in ms, from the scheduled start" if kind == "response_time" else "Service time in ms, from the actual start"
    return Table(f"{what} to the receiver's last byte (95 % interval)", [*headers, *(["begun late, p99"] if late else [])], rows)


def _range(figure: Mapping[str, Any]) -> str:
    """Write a percentile with its interval in milliseconds: "0.0412 (0.0398..0.0430)"."""
    if figure["estimate"] is None:
        return NONE
    if figure["low"] is None:
        return significant(figure["estimate"] * _MS)
    return f"{significant(figure['estimate'] * _MS)} ({significant(figure['low'] * _MS)}..{significant(figure['high'] * _MS)})"


def across(summary: Mapping[str, Any]) -> Table | None:
    """What each variant costs and saves per file at every point of small files: the answer of a sweep of sizes, in one table."""
    points = [point for point in summary["points"] if of_files(point)]
    if len(points) < 2:
        return None
    names = list(
        dict.fromkeys(v["name"] for p in points for v in p["variants"] if v["moves_payload"] and not v["aa"] and not v["best_chunk"])
    )
    questions = [question_of(summary, point) for point in points]
    rows = []
    for point, question in zip(points, questions, strict=True):
        by_name = {v["name"]: v for v in point["variants"]}
        verdicts = {c["variant"]: c for c in point["comparisons"] if c["metric"] == question.metric}
        rows.append([point["name"], *(_cell(by_name.get(name), verdicts.get(name), question.per_transfer) for name in names)])
    return Table(f"Small files: {questions[0].whose} CPU microseconds per file, and the saving", ["point", *names], rows)


def _cell(variant: Mapping[str, Any] | None, comparison: Mapping[str, Any] | None, key: str) -> str:
    cost = variant["metrics"][key]["estimate"] if variant else None
    if cost is None:
        return NONE
    text = significant(cost * _US)
    if comparison is None or comparison["saving_percent"]["estimate"] is None:
        return text
    return f"{text}: {percent(comparison['saving_percent']['estimate'])} % {comparison['verdict'] or NONE}"


def difference(point: Point, comparison: Mapping[str, Any], per_transfer: str) -> str:
    """Say a headline comparison in time per file: ", or 3.1 us (2.4..3.8) a file less than its 42 us"; empty where it is open.

    The saving in percent, of what the baseline's files cost by the metric *per_transfer*.
    """
    base = comparison["baseline"]
    cost = next((v["metrics"].get(per_transfer, {}).get("estimate") for v in point["variants"] if v["name"] == base), None)
    saving = comparison["saving_percent"]
    if not of_files(point) or not cost or saving["estimate"] is None or comparison["metric"] == SYSTEM_CPU_S_PER_GB:
        return ""
    most, middle, least = (significant(abs(saving[key]) / 100 * cost * _US) for key in ("low", "estimate", "high"))
    if comparison["verdict"] not in ("saves", "costs"):
        return ""
    word, ends = ("less", (most, least)) if saving["estimate"] > 0 else ("more", (least, most))
    return f", or {middle} us ({ends[0]}..{ends[1]}) a file {word} than its {significant(cost * _US)} us"


def facts(point: Point) -> Sequence[str]:
    """Say which small files were sent, when, and what the loop around them costs."""
    p = point["point"]
    if p.get("transfer") != "per-file":
        return ()
    when = {
        "closed": "in a closed loop, one of each sender at a time",
        "constant": f"by a constant schedule of {format_frequency(p['transfers_per_s'])}",
        "poisson": f"by a Poisson schedule of {format_frequency(p['transfers_per_s'])}",
    }[p["arrivals"]]
    sizes = f"{p['transfer_size']} ({human_bytes(p['transfer_bytes'])} on average)" if p["transfer_sizes"] > 1 else p["transfer_size"]
    lines = [f"small files of {sizes} over {p['connection']} connections, {when}; TCP_NODELAY"]
    if p.get("header_bytes"):
        ways = ", ".join(f"{v['name']}: {v['header']}" for v in point["variants"] if v.get("header"))
        lines.append(f"a header of {p['header_bytes']} bytes goes before each file ({ways}); packets are segments with data per file")
    if point.get("loop_s_per_transfer"):
        lines.append(f"opening, closing and the loop cost {significant(point['loop_s_per_transfer'] * _US)} us a file")
    return lines
