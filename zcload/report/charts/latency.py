"""Chart of the latency percentiles of one point of small files: a line for each variant, logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from zcload.model.records.summary import FigureRecord
from zcload.report.charts.parts import WIDTH, Chart, Panel, beside, layer, literal, points, quantitative, spec, steps_axis
from zcload.report.charts.view import Point, View, interval
from zcload.report.tables.small_files import latencies

HEIGHT = 200
NOTE = (
    "{kind}, to the receiver's last byte: percentiles from the raw values with their 95 % intervals, on a logarithmic axis. "
    "Lower is sooner. The steps are percentiles, and further to the right stand rarer cases."
)
KINDS = {"response_time": "Response time, from the scheduled start", "service_time": "Service time, from the actual start"}


def chart(view: View, point: Point) -> Iterator[Chart]:
    """Yield the latency of *point*, if it was measured."""
    measured = [(v, found) for v in point["variants"] if (found := v.get("latency")) and not v["aa"]]
    table = latencies(point)
    if not measured or table is None:
        return
    names = list(measured[0][1]["percentiles"])
    marks: list[dict[str, Any]] = []
    for variant, found in measured:
        look = view.looks[variant["name"]]
        for step, name in enumerate(names):
            figure = cast("Mapping[str, FigureRecord]", found["percentiles"]).get(name)
            if not figure or not figure["estimate"] or figure["estimate"] <= 0:
                continue
            low, high = figure["low"] or figure["estimate"], figure["high"] or figure["estimate"]
            marks.append(
                {
                    "n": variant["name"],
                    "x": step,
                    "y": figure["estimate"] * 1e3,
                    "low": low * 1e3,
                    "high": high * 1e3,
                    "colour": look.colour,
                    "shape": look.shape,
                    "tip": f"{variant['name']}, {name.replace('_', '.')}: {interval(figure, 1e3)} ms",
                }
            )
    if not marks:
        return
    x = steps_axis("x", "percentile", [name.replace("_", ".") for name in names])
    ends = (min(m["low"] for m in marks) / 1.2, max(m["high"] for m in marks) * 1.2)
    y = {**quantitative("y", "latency (ms)", ends), "scale": {"type": "log", "domain": list(ends), "nice": False}}
    y["axis"] = {"tickCount": 5, "format": "~g", "labelOverlap": True}
    plain = [{name: value for name, value in m.items() if name != "tip"} for m in marks]
    detail = {"field": "n", "type": "nominal"}
    layers = [
        layer(plain, {"type": "rule", "strokeWidth": 1.4}, x=x, y={**y, "field": "low"}, y2={"field": "high"}, color=literal("colour")),
        layer(plain, {"type": "line", "strokeWidth": 1.4}, x=x, y=y, color=literal("colour"), detail=detail),
        points(marks, x, y),
    ]
    last = {m["n"]: m for m in marks}
    logs = (math.log(ends[0]), math.log(ends[1]))
    layers += beside([(n, view.looks[n], math.log(m["y"])) for n, m in last.items()], logs, HEIGHT)
    note = NOTE.format(kind=KINDS[measured[0][1]["kind"]])
    yield Chart("latency", "Latency", note, (Panel("", spec(layers, HEIGHT, WIDTH)),), table)
