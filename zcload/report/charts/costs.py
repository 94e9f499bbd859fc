"""Chart of the CPU of one point: a bar for each variant, the sender's part and the receiver's, with the interval of both together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zcload.report.charts.parts import (
    INK,
    Chart,
    Panel,
    Spec,
    beyond,
    layer,
    literal,
    quantitative,
    rows_axis,
    spec,
    top,
    within,
)
from zcload.report.charts.view import Demand, Point, View, demand_of, drawn, figure, interval
from zcload.report.tables.overview import costs
from zcload.report.tables.small_files import per_transfer
from zcload.report.text.figures import significant

ROW_PX = 26
PLOT_PX = 250
NOTE = (
    "CPU {what}: the dark part of a bar is {dark}, the light part {light}, the rule across its end the 95 % interval of {sum} "
    "together. Shorter is cheaper."
)
ENDS = {"dark": "the sender's", "light": "the receiver's", "sum": "both"}
WITH_A_RELAY = {"dark": "the relay's", "light": "the sender's and the receiver's", "sum": "all three"}
WHAT = {"s/GB": "seconds for 10^9 bytes received", "us/file": "microseconds for each file that was sent"}


def chart(view: View, point: Point) -> Iterator[Chart]:
    """Yield the bars of *point*, of the variants that have figures of both ends."""
    demand = demand_of([point])
    rows = [row for v in drawn(point) if (row := _row(view, v, demand))]
    if not rows:
        return
    per_file = demand.unit != "s/GB"
    table = per_transfer(point) if per_file else costs(point)
    title = "CPU per file" if per_file else "CPU per GB"
    parts = WITH_A_RELAY if "relay" in point else ENDS
    yield Chart("cpu-per-gb", title, NOTE.format(what=WHAT[demand.unit], **parts), (Panel("", _panel(rows, demand)),), table)


def _row(view: View, variant: Any, demand: Demand) -> dict[str, Any] | None:
    """Return a variant's bar, figures in the chart's unit; None where an end has no figure."""
    found = [(ledger, figure(variant, key)) for ledger, key in demand.ledgers if ledger != "machine"]
    if not all(each for _, each in found):
        return None
    *parts, both = (each for _, each in found if each)
    total = both["estimate"] * demand.scale
    share = parts[0]["estimate"] / (sum(part["estimate"] for part in parts) or 1.0)
    words = ", ".join(f"{ledger} {interval(each, demand.scale)}" for ledger, each in found)
    return {
        "name": variant["name"],
        "colour": view.looks[variant["name"]].colour,
        "x": total,
        "sender": total * share,
        "low": (both["low"] if both["low"] is not None else both["estimate"]) * demand.scale,
        "high": (both["high"] if both["high"] is not None else both["estimate"]) * demand.scale,
        "text": significant(total),
        "tip": f"{variant['name']}: {words} {demand.unit}",
    }


def _panel(rows: list[dict[str, Any]], demand: Demand) -> Spec:
    ends = 0.0, top([row["high"] for row in rows], [row["x"] for row in rows])
    values = [
        {**v, "row": row, "from": row - 0.32, "to": row + 0.32, "zero": 0, "end": within(v["x"], ends), "part": within(v["sender"], ends),
         "low_end": within(v["low"], ends), "high_end": within(v["high"], ends)}
        for row, v in enumerate(rows)
    ]  # fmt: skip
    plain = [{name: value for name, value in v.items() if name != "tip"} for v in values]
    x = quantitative("x", f"CPU ({demand.unit.replace('us/file', 'us per file')})", ends, tickCount=4)
    y = rows_axis("row", [v["name"] for v in rows])
    text = {"type": "text", "align": "left", "dx": 7, "color": INK, "fontSize": 11}
    across = {"y": {**y, "field": "from"}, "y2": {"field": "to"}, "fill": literal("colour"), "stroke": literal("colour")}
    layers = [
        layer(values, {"type": "rect", "fillOpacity": 0.25, "strokeWidth": 1}, x={**x, "field": "part"}, x2={"field": "end"}, **across),
        layer(values, {"type": "rect", "fillOpacity": 0.85, "strokeWidth": 1}, x={**x, "field": "zero"}, x2={"field": "part"}, **across),
        layer(plain, {"type": "rule", "color": INK, "strokeWidth": 1.6}, x={**x, "field": "low_end"}, x2={"field": "high_end"}, y=y),
        layer(plain, text, x={**x, "field": "high_end"}, y=y, text={"field": "text", "type": "nominal"}),
        *beyond(values, x, y, ends, upright=False),
    ]
    return spec(layers, ROW_PX * len(rows), PLOT_PX)
