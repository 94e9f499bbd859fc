"""Chart of the CPU per GB of one point: a bar for each variant, a panel for each ledger, all on one scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zcload.report.charts.parts import INK, Chart, Panel, Spec, layer, literal, quantitative, rows_axis, spec, top
from zcload.report.charts.view import LEDGERS, Point, View, drawn, figure, interval
from zcload.report.tables.overview import costs
from zcload.report.text.figures import significant

ROW_PX = 22
PLOT_PX = 190
NOTE = "CPU seconds for 10^9 bytes received, with 95 % intervals. Shorter is cheaper. All four ledgers have the same scale."


def chart(view: View, point: Point) -> Iterator[Chart]:
    """Yield the bars of *point*, without the ledgers it does not have."""
    variants = drawn(point)
    ends = [found["high"] for v in variants for _, key, _ in LEDGERS if (found := figure(v, key))]
    panels = tuple(
        Panel(ledger, _panel(view, variants, ledger, key, top(ends))) for ledger, key, _ in LEDGERS if any(figure(v, key) for v in variants)
    )
    if panels:
        yield Chart("cpu-per-gb", "CPU per GB", NOTE, panels, costs(point))


def _panel(view: View, variants: list[Any], ledger: str, key: str, end: float) -> Spec:
    values = [
        {
            "row": row,
            "from": row - 0.32,
            "to": row + 0.32,
            "zero": 0,
            "x": found["estimate"],
            "low": found["low"],
            "high": found["high"],
            "colour": view.looks[v["name"]].colour,
            "text": significant(found["estimate"]),
            "tip": f"{v['name']}: {ledger} {interval(found)} s/GB",
        }
        for row, v in enumerate(variants)
        if (found := figure(v, key))
    ]
    plain = [{name: value for name, value in v.items() if name != "tip"} for v in values]
    x = quantitative("x", "CPU (s/GB)", (0.0, end), tickCount=4)
    y = rows_axis("row", [v["name"] for v in variants])
    bar = {"type": "rect", "fillOpacity": 0.35, "strokeWidth": 1}
    text = {"type": "text", "align": "left", "dx": 5, "color": INK, "fontSize": 11}
    layers = [
        layer(values, bar, x={**x, "field": "zero"}, x2={"field": "x"}, y={**y, "field": "from"}, y2={"field": "to"},
              fill=literal("colour"), stroke=literal("colour")),
        layer(plain, {"type": "rule", "color": INK, "strokeWidth": 1.6}, x={**x, "field": "low"}, x2={"field": "high"}, y=y),
        layer(plain, text, x={**x, "field": "high"}, y=y, text={"field": "text", "type": "nominal"}),
    ]  # fmt: skip
    return spec(layers, ROW_PX * len(variants), PLOT_PX)
