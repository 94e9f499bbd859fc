"""The registry of charts: one line each. A chart's file says what to draw; draw.py draws it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from zcload.report.charts import costs, crossover, curve, latency, savings, sweep, timeline, windows
from zcload.report.charts.parts import Chart
from zcload.report.charts.view import Point, View


def study_charts(view: View) -> Iterator[Chart]:
    """Yield the charts of a study of several points: costs, savings, then cores against goodput. Those of one point are the point's."""
    yield from crossover.chart(view)
    if view.several:
        yield from sweep.chart(view)
        yield from curve.chart(view)


def point_charts(view: View, number: int, point: Point) -> Iterator[Chart]:
    """Yield the charts of one point, the most telling first; with several points their names end in the point's number."""
    found = (
        costs.chart(view, point),
        savings.chart(view, point),
        () if view.several else curve.chart(view),
        savings.chart(view, point, "comparisons_best_chunk"),
        latency.chart(view, point),
        timeline.chart(view, number, point),
        windows.chart(view, number, point),
    )
    for charts in found:
        for chart in charts:
            yield replace(chart, name=f"{chart.name}-{number + 1}") if view.several else chart


def all_charts(view: View) -> Iterator[Chart]:
    """Yield every chart of a result."""
    yield from study_charts(view)
    for number, point in view.points:
        yield from point_charts(view, number, point)
