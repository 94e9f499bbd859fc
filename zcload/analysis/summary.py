"""Derive summary.json (schema zcload.summary/1) from the raw records and from nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from zcload.analysis.comparisons import (
    judge_undecided,
    keep_family_wise,
)
from zcload.analysis.crossover import crossing_record
from zcload.analysis.events import Events
from zcload.analysis.point_summary import PointAnalysis, SortedRecords
from zcload.linux import interrupt
from zcload.model.cautions import Caution, caution
from zcload.model.metrics import (
    headline,
)
from zcload.model.records.lines import Header, Line, first_time_limit
from zcload.model.records.summary import (
    SCHEMA,
    Summary,
)
from zcload.model.study import SERVER

OF_THE_RUN = -1  # where records are kept that belong to no point


def summarise(records: Iterable[Line]) -> Summary:
    """Return the summary of *records*: a header, then what was recorded, complete or not; each is read once and not kept."""
    header, by_point = sort(records)
    return conclude(header, by_point.get(OF_THE_RUN, SortedRecords()).events, analyse(header, by_point, range(len(header["points"]))))


def sort(records: Iterable[Line]) -> tuple[Header, dict[int, SortedRecords]]:
    """Return the header of *records*, and the others by their point; raises ValueError if the first is no header."""
    stream = iter(records)
    header = next(stream)
    if header["kind"] != "header":
        raise ValueError("the first record is no header")
    by_point: dict[int, SortedRecords] = defaultdict(SortedRecords)
    for record in stream:
        number = record.get("point", OF_THE_RUN)
        by_point[number if isinstance(number, int) else OF_THE_RUN].take(record)
    return header, by_point


def analyse(header: Header, by_point: dict[int, SortedRecords], numbers: Iterable[int]) -> list[PointAnalysis]:
    """Analyse the points with these *numbers*, taking each out of *by_point*, so that its records need not stay in memory."""
    key, margin, several = _headline(header), header["stop"]["margin"], len(header["points"]) > 1
    points: list[PointAnalysis] = []
    for index in numbers:
        if header.get("crossover") and index not in by_point:
            continue  # a value that the search did not come to
        interrupt.check_limit()
        described = header["points"][index]
        where = f"{described['name']}: " if several else ""
        points.append(PointAnalysis(header, described, by_point.pop(index, SortedRecords()), key, margin, where, index))
    return points


def _headline(header: Header) -> str:
    serves = any(lane["mechanism"] == SERVER for point in header["points"] for lane in point["lanes"])
    relays = any("origin" in point["point"] for point in header["points"])
    machines = {host["machine"] for host in header["cluster"]["hosts"]} if "cluster" in header else set()
    return headline(header["environment"].get("irq_time_accounting"), header["schedule"], serves, relays, devices=len(machines) > 1)


def conclude(header: Header, run: Events, points: Sequence[PointAnalysis]) -> Summary:
    """Return the summary of all *points*, in order, with what was recorded of the *run* as a whole."""
    key, margin, crossover = _headline(header), header["stop"]["margin"], header.get("crossover")
    complete = bool(run.end and run.end["complete"])
    cautions = [Caution(c["code"], c["message"], c["remedy"]) for c in header["cautions"]]
    cautions += [Caution(r["code"], r["message"], r["remedy"]) for r in run.cautions]
    sessions = run.resumed
    if sessions:
        times = ", ".join(record["at"] for record in sessions)
        cautions.append(caution("resumed", times=times))
    logs: dict[float, Sequence[float]] = {}
    if crossover:
        for point in points:
            of_contender = [c for c in point.comparisons if c.headline and c.variant == crossover["contender"]]
            logs[crossover["values"][point.index]] = of_contender[0].ratio.logs if of_contender else ()
    family = keep_family_wise([c for point in points for c in point.all_comparisons], margin)
    crossing = crossing_record(crossover, header["baseline"], key, margin, logs, _stopped(points)) if crossover else None
    if crossover and crossing:
        undecided = set(crossing["undecided"])
        for point in points:
            if crossover["values"][point.index] in undecided:
                judge_undecided([c for c in point.comparisons if c.headline and c.variant == crossing["contender"]])
    for point in points:
        cautions += point.cautions
    if not complete:
        reason = run.end["reason"] if run.end else "the run was killed"
        cautions.insert(0, caution("partial", reason=reason))
    summary: Summary = {
        "schema": SCHEMA,
        "name": header["name"],
        "zcload_version": header["zcload_version"],
        "complete": complete,
        "started": header["started"],
        "resumed": [record["at"] for record in sessions],
        "max_time_s": next((r["max_time_s"] for r in reversed(sessions) if "max_time_s" in r), first_time_limit(header)),
        "seed": header["seed"],
        "schedule": header["schedule"],
        "headline": key,
        "margin_percent": 100 * margin,
        "target_percent": 100 * header["stop"]["target"],
        "family": family,
        "config": header["config"],
        "environment": header["environment"],
        "cautions": [caution.as_dict() for caution in cautions],
        "points": [point.record() for point in points],
        "crossing": crossing,
    }
    if "cluster" in header:
        summary["cluster"] = header["cluster"]
    return summary


def _stopped(points: Sequence[PointAnalysis]) -> str | None:
    """Return why the points that could be measured ended."""
    reasons = [event["reason"] for point in points for event in point.events.stopped]
    return next((reason for reason in reasons if not reason.startswith("failed")), None)
