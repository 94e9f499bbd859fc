"""Charts of a sweep: CPU per GB, and the headline saving with its margin, from point to point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zcload.report.charts.parts import (  # fmt: skip
    BAND,
    MUTED,
    Chart,
    Panel,
    Spec,
    beside,
    layer,
    literal,
    points,
    quantitative,
    spec,
    steps_axis,
    steps_domain,
    top,
)
from zcload.report.charts.view import LEDGERS, View, drawn, figure, interval
from zcload.report.tables.table import Table
from zcload.report.text.figures import saving_text

HEIGHT = 190
COSTS = "CPU seconds for 10^9 bytes received, from point to point, with 95 % intervals. Lower is cheaper."
SAVINGS = (
    "How much each contender saves against the baseline of its point, with 95 % intervals. Above zero is cheaper. Inside the band of "
    "{margin} % a difference is treated as none; where a line leaves the band for good it begins to pay."
)


def chart(view: View) -> Iterator[Chart]:
    """Yield the charts of a sweep; nothing for a single point."""
    if not view.several:
        return
    panels = tuple(Panel(ledger, _panel(values, view, "CPU (s/GB)")) for ledger, key, _ in LEDGERS if (values := _costs(view, ledger, key)))
    if panels:
        yield Chart("sweep-cpu-per-gb", f"CPU per GB by {view.swept}", COSTS, panels, _cost_table(view))
    values = _savings(view)
    if values:
        margin = view.summary["margin_percent"]
        panel = Panel("", _panel(values, view, "saved (%)", margin))
        title = f"Savings by {view.swept}"
        yield Chart("sweep-savings", title, SAVINGS.format(margin=f"{margin:g}"), (panel,), _saving_table(view))


def _mark(view: View, name: str, step: int, found: Any, tip: str) -> dict[str, Any]:
    look = view.looks[name]
    return {
        "n": name,
        "x": step,
        "y": found["estimate"],
        "low": found["low"],
        "high": found["high"],
        "colour": look.colour,
        "shape": look.shape,
        "tip": f"{name}, {view.labels[step]}: {tip}",
    }


def _costs(view: View, ledger: str, key: str) -> list[dict[str, Any]]:
    return [
        _mark(view, v["name"], step, found, f"{ledger} {interval(found)} s/GB")
        for step, (_, point) in enumerate(view.points)
        for v in drawn(point)
        if not v["aa"] and (found := figure(v, key))
    ]


def _savings(view: View) -> list[dict[str, Any]]:
    return [
        _mark(view, c["variant"], step, c["saving_percent"], f"{saving_text(c['saving_percent'])} {c['verdict'] or ''}")
        for step, (_, point) in enumerate(view.points)
        for c in point["comparisons"]
        if c["headline"] and not c["aa"] and c["ratio"]["estimate"] is not None
    ]


def _panel(values: list[dict[str, Any]], view: View, title: str, margin: float | None = None) -> Spec:
    steps = steps_domain(len(view.labels) - 1)
    if margin is None:
        ends = (0.0, top([v["high"] for v in values]))
    else:
        low, high = min([-2 * margin, *(v["low"] for v in values)]), max([2 * margin, *(v["high"] for v in values)])
        ends = (low - 0.04 * (high - low), high + 0.04 * (high - low))
    x, y = steps_axis("x", view.swept, view.labels), quantitative("y", title, ends)
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
            y={**y, "field": "low"},
            y2={"field": "high"},
            color=literal("colour"),
        ),
        layer(plain, {"type": "line", "strokeWidth": 1.6}, x=x, y=y, color=literal("colour"), detail=detail),
        points(values, x, y),
    ]
    last = {v["n"]: (v["n"], v["colour"], float(v["x"]), v["y"]) for v in values}
    return spec([*layers, *beside(list(last.values()), steps, ends, HEIGHT)], HEIGHT)


def _cost_table(view: View) -> Table:
    rows = [
        [name, view.labels[step], *(interval(figure(v, key)) for _, key, _ in LEDGERS)]
        for name in view.looks
        for step, (_, point) in enumerate(view.points)
        for v in drawn(point)
        if v["name"] == name and not v["aa"]
    ]
    return Table(
        "CPU seconds per GB at each point, with 95 % intervals", ["variant", view.swept, *(ledger for ledger, _, _ in LEDGERS)], rows
    )


def _saving_table(view: View) -> Table:
    found = {
        (c["variant"], step): c
        for step, (_, point) in enumerate(view.points)
        for c in point["comparisons"]
        if c["headline"] and not c["aa"]
    }
    names = list(dict.fromkeys(name for name, _ in found))

    def cell(name: str, step: int) -> str:
        c = found.get((name, step))
        if c is None or c["ratio"]["estimate"] is None:
            return "-"
        return f"{saving_text(c['saving_percent'])}: {c['verdict']}" if c["verdict"] else saving_text(c["saving_percent"])

    rows = [[label, *(cell(name, step) for name in names)] for step, label in enumerate(view.labels)]
    return Table("What each variant saves at each point, with its verdict", [view.swept, *names], rows)
