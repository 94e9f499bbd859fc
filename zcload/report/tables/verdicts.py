"""The one table of the short report: what each variant saves, how sure that is, what it moves and what it needs."""

from __future__ import annotations

from collections.abc import Callable

from zcload.model.metrics import GOODPUT_BPS, TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import ComparisonRecord, FigureRecord, PointSummary, Summary
from zcload.report.charts.view import swept
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, Figure, percent, saving_text, significant
from zcload.report.text.headline import comparison_of, contenders
from zcload.report.text.labels import labels
from zcload.report.text.question import order, question_of

Write = Callable[[Figure], str]
UNDECIDED = "?"  # after a saving in a narrow cell: the verdict is inconclusive
MOST_ROWS = 14  # more do not leave room for the rest of a screen


def verdicts(summary: Summary, *, intervals: bool = True) -> Table | None:
    """Return the table of one point's variants, or of a sweep: a row a point, a column a contender. None if nothing was measured.

    Savings stand with their *intervals*, or in a narrower table without.
    """
    measured = [point for point in summary["points"] if point["generations"]]
    if not measured:
        return None
    write = saving_text if intervals else _estimate
    return _one_point(summary, measured[0], write) if len(measured) == 1 else _sweep(summary, measured, write)


def _estimate(saving: Figure) -> str:
    return NONE if saving["estimate"] is None else f"{percent(saving['estimate'])} %"


def _one_point(summary: Summary, point: PointSummary, write: Write) -> Table:
    question, said = question_of(summary, point), labels(point)
    rows = []
    place = order(point)
    for v in sorted(point["variants"], key=lambda v: place(v["name"])):
        if not v["moves_payload"]:
            continue
        c = comparison_of(point, v["name"], question.metric)
        name = f"{v['name']} (A/A)" if v["aa"] else v["name"]
        cpu = v["metrics"].get(question.metric)
        figures = [_figure(v["metrics"].get(key), scale) for key, scale in ((GOODPUT_BPS, 1e-9), (question.cores, 1.0))]
        verdict = "baseline" if v["name"] == point["baseline"] else v["status"] if v["status"] != "ok" else _verdict(c, v["aa"])
        if v["name"] in said:
            verdict = "copied" if "cop" in said[v["name"]] else said[v["name"]]
        rows.append([name, write(c["saving_percent"]) if c else "", _figure(cpu, 1.0), *figures, verdict])
    of = "CPU" if question.metric == TOTAL_CPU_S_PER_GB else question.ledger
    return Table(
        "", ["variant", "saves (95 %)" if write is saving_text else "saves", f"{of} s/GB", "Gbit/s", f"{of} cores", "verdict"], rows
    )


def _sweep(summary: Summary, points: list[PointSummary], write: Write) -> Table:
    names = list(dict.fromkeys(v["name"] for point in points for v in contenders(point)))
    rows = []
    key, steps = swept([point["name"] for point in points])
    for point, step in zip(points, steps, strict=True):
        metric = question_of(summary, point).metric
        cells = []
        for name in names:
            c = comparison_of(point, name, metric)
            cells.append(_short(c, write))
        base = next(v for v in point["variants"] if v["name"] == point["baseline"])
        rows.append([step, *cells, _figure(base["metrics"].get(GOODPUT_BPS), 1e-9)])
    if len(rows) > MOST_ROWS:
        hidden = len(rows) - MOST_ROWS + 1
        rows = [*rows[: MOST_ROWS - 2], [f"... {hidden} more points: --full"], rows[-1]]
    return Table("", [f"saving by {key}", *names, f"{points[0]['baseline']} Gbit/s"], rows)


def _short(c: ComparisonRecord | None, write: Write) -> str:
    """Write a saving for a narrow cell; UNDECIDED marks one that is inconclusive."""
    return NONE if c is None else write(c["saving_percent"]) + (UNDECIDED if c["verdict"] == "inconclusive" else "")


def _verdict(c: ComparisonRecord | None, aa: bool) -> str:
    if c is None or c["ratio"]["estimate"] is None:
        return NONE
    if aa:
        assert c["ratio"]["low"] is not None
        assert c["ratio"]["high"] is not None
        return "agrees" if c["ratio"]["low"] <= 1.0 <= c["ratio"]["high"] else "differs"
    return c["verdict"] or NONE


def _figure(metric: FigureRecord | None, scale: float) -> str:
    """Write the estimate of a metric; a result of an older version may lack it."""
    value = metric["estimate"] if metric else None
    return NONE if value is None else significant(value * scale)
