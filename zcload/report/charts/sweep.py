"""Charts of a sweep: CPU per GB, and the headline saving with its margin, from point to point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from zcload.model.records.summary import ComparisonRecord
from zcload.report.charts.costs import WHAT
from zcload.report.charts.parts import (  # fmt: skip
    BAND,
    MUTED,
    Chart,
    Panel,
    Spec,
    beside,
    beyond,
    layer,
    literal,
    points,
    quantitative,
    savings_ends,
    spec,
    steps_axis,
    top,
    within,
)
from zcload.report.charts.view import Demand, Point, View, demand_of, drawn, figure, interval
from zcload.report.tables.table import Table
from zcload.report.text.figures import saving_text
from zcload.report.text.question import order, question_of

HEIGHT = 190
COSTS = "CPU {what}, from point to point, with 95 % intervals. Lower is cheaper."
LOG = " The axis is logarithmic."
SAVINGS = (
    "How much of {whose} CPU each contender saves against the baseline of its point, with 95 % intervals. Above zero is cheaper. "
    "Inside the band of {margin} % a difference is treated as none; where a line leaves the band for good it begins to pay."
)


def chart(view: View) -> Iterator[Chart]:
    """Yield the charts of a sweep; nothing for a single point."""
    if not view.several:
        return
    demand = demand_of([point for _, point in view.points])
    found = {ledger: values for ledger, key in demand.ledgers if (values := _costs(view, ledger, key, demand))}
    if found:
        per_file = demand.unit != "s/GB"
        title = f"CPU per {'file' if per_file else 'GB'} by {view.swept}"
        label = "CPU (us per file)" if per_file else "CPU (s/GB)"
        panels = tuple(Panel(ledger, _panel(values, view, label, log=per_file)) for ledger, values in found.items())
        note = COSTS.format(what=WHAT[demand.unit]) + (LOG if per_file else "")
        yield Chart("sweep-cpu-per-gb", title, note, panels, _cost_table(view, demand))
    if view.summary.get("crossing"):
        return  # its own chart has the savings, and its own verdicts, which allow for its many looks
    values = _savings(view)
    if values:
        margin = view.summary["margin_percent"]
        panel = Panel("", _panel(values, view, "saved (%)", margin))
        title = f"Savings by {view.swept}"
        yield Chart(
            "sweep-savings",
            title,
            SAVINGS.format(whose=question_of(view.summary, view.points[0][1]).whose, margin=f"{margin:g}"),
            (panel,),
            _saving_table(view),
        )


def _mark(view: View, name: str, step: int, found: Any, tip: str, scale: float = 1.0) -> dict[str, Any]:
    look = view.looks[name]
    low, high = (found["estimate"] if found[end] is None else found[end] for end in ("low", "high"))
    return {
        "n": name,
        "x": step,
        "y": found["estimate"] * scale,
        "low": low * scale,
        "high": high * scale,
        "colour": look.colour,
        "shape": look.shape,
        "tip": f"{name}, {view.labels[step]}: {tip}",
    }


def _costs(view: View, ledger: str, key: str, demand: Demand) -> list[dict[str, Any]]:
    return [
        _mark(view, v["name"], step, found, f"{ledger} {interval(found, demand.scale)} {demand.unit}", demand.scale)
        for step, (_, point) in enumerate(view.points)
        for v in drawn(point)
        if not v["aa"] and (found := figure(v, key)) and (found["estimate"] > 0 or demand.unit == "s/GB")  # no 0 on a logarithmic axis
    ]


def _asked(view: View, point: Point) -> list[ComparisonRecord]:
    """Return the comparisons that answer the question of *point*, the contenders that it is about first."""
    metric, place = question_of(view.summary, point).metric, order(point)
    return sorted((c for c in point["comparisons"] if c["metric"] == metric and not c["aa"]), key=lambda c: place(c["variant"]))


def _savings(view: View) -> list[dict[str, Any]]:
    return [
        _mark(view, c["variant"], step, c["saving_percent"], f"{saving_text(c['saving_percent'])} {c['verdict'] or ''}")
        for step, (_, point) in enumerate(view.points)
        for c in _asked(view, point)
        if c["ratio"]["estimate"] is not None
    ]


def _panel(values: list[dict[str, Any]], view: View, title: str, margin: float | None = None, *, log: bool = False) -> Spec:
    if margin is not None:
        ends = savings_ends([{"estimate": v["y"], "low": v["low"], "high": v["high"]} for v in values], margin)
    elif log:
        ends = _decades([v["y"] for v in values if v["y"] > 0])
    else:
        ends = (0.0, top([v["high"] for v in values], [v["y"] for v in values]))
    x, y = steps_axis("x", view.swept, view.labels), quantitative("y", title, ends)
    if log:
        y = {**y, "scale": {"type": "log", "domain": list(ends), "nice": False}, "axis": {"tickCount": 5, "format": "~g"}}
    values = [{**v, "y": within(v["y"], ends), "from": within(v["low"], ends), "to": within(v["high"], ends)} for v in values]
    plain = [{name: value for name, value in v.items() if name != "tip"} for v in values]
    layers: list[Spec] = []
    if margin is not None:
        band = {"data": {"values": [{"a": -margin, "b": margin}]}, "mark": {"type": "rect", "color": BAND, "aria": False}}
        zero = {"data": {"values": [{"a": 0}]}, "mark": {"type": "rule", "color": MUTED, "strokeDash": [3, 2], "aria": False}}
        layers += [{**band, "encoding": {"y": {**y, "field": "a"}, "y2": {"field": "b"}}}, {**zero, "encoding": {"y": {**y, "field": "a"}}}]
    detail = {"field": "n", "type": "nominal"}
    layers += [
        layer(
            plain,
            {"type": "rule", "strokeWidth": 1.4, "opacity": 0.8},
            x=x,
            y={**y, "field": "from"},
            y2={"field": "to"},
            color=literal("colour"),
        ),
        layer(plain, {"type": "line", "strokeWidth": 1.6}, x=x, y=y, color=literal("colour"), detail=detail),
        points(values, x, y),
    ]
    last = {v["n"]: (v["n"], view.looks[v["n"]], math.log(v["y"]) if log else v["y"]) for v in values}
    names = beside(list(last.values()), (math.log(ends[0]), math.log(ends[1])) if log else ends, HEIGHT)
    return spec([*layers, *beyond(values, x, y, ends, upright=True), *names], HEIGHT)


def _decades(values: list[float]) -> tuple[float, float]:
    """Return the ends of a logarithmic axis: half as much again beyond the least and the greatest of *values*."""
    return min(values) / 1.5, max(values) * 1.5


def _cost_table(view: View, demand: Demand) -> Table:
    rows = [
        [name, view.labels[step], *(interval(figure(v, key), demand.scale) for _, key in demand.ledgers)]
        for name in view.looks
        for step, (_, point) in enumerate(view.points)
        for v in drawn(point)
        if v["name"] == name and not v["aa"]
    ]
    return Table(
        f"CPU ({demand.unit}) at each point, with 95 % intervals", ["variant", view.swept, *(ledger for ledger, _ in demand.ledgers)], rows
    )


def _saving_table(view: View) -> Table:
    found = {(c["variant"], step): c for step, (_, point) in enumerate(view.points) for c in _asked(view, point)}
    names = list(dict.fromkeys(name for name, _ in found))

    def cell(name: str, step: int) -> str:
        c = found.get((name, step))
        if c is None or c["ratio"]["estimate"] is None:
            return "-"
        return f"{saving_text(c['saving_percent'])}: {c['verdict']}" if c["verdict"] else saving_text(c["saving_percent"])

    rows = [[label, *(cell(name, step) for name in names)] for step, label in enumerate(view.labels)]
    return Table("What each variant saves at each point, with its verdict", [view.swept, *names], rows)
