"""Chart of the raw windows of one point: each window's CPU per GB as a dot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.report.charts.parts import INK, Chart, Panel, Spec, layer, literal, quantitative, rows_axis, spec
from zcload.report.charts.series import thinned
from zcload.report.charts.view import Point, View, drawn, figure, interval
from zcload.report.tables.table import Table
from zcload.report.text.figures import significant

ROW_PX = 30
PLOT_PX = 270
MOST = 900  # points in the chart
GOLDEN = 0.6180339887  # steps of it never line up: points of equal cost spread over their row, the same way every time
NOTE = (
    "CPU of both ends in each window that counts; the height within a row has no meaning. The bar below a row is the "
    "estimate with its 95 % interval, which comes from the {units} and not from these points.{thinned}"
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a window's cost is told in, and how much of it 1 s/GB is."""

    name: str
    scale: float


def chart(view: View, number: int, point: Point) -> Iterator[Chart]:
    """Yield the windows of the point with this *number*, if the records are there."""
    raw = view.raw.get(point["name"])
    names = [v["name"] for v in drawn(point) if raw and len(raw.windows.get(v["name"], ()))]
    if not raw or not names:
        return
    file_bytes = point["point"].get("transfer_bytes")
    unit = _Unit("us per file", file_bytes / 1e3) if file_bytes else _Unit("s/GB", 1.0)
    whole = {name: [unit.scale * value for value in raw.windows[name]] for name in names}
    shown = {name: thinned(values, max(20, view.share(MOST) // len(names))) for name, values in whole.items()}
    count, left = sum(map(len, whole.values())), sum(map(len, shown.values()))
    told = (
        f" {left} of {count} windows are drawn: of each variant every nth by cost, the cheapest and the dearest among them."
        if left < count
        else ""
    )
    panel = Panel("", _panel(view, point, shown, unit))
    yield Chart(
        "windows",
        "Raw windows",
        NOTE.format(units="replicates" if (point.get("replicates") or 1) > 1 else "generations", thinned=told),
        (panel,),
        _table(whole, unit),
    )


def _panel(view: View, point: Point, shown: dict[str, list[float]], unit: _Unit) -> Spec:
    dots: list[dict[str, Any]] = [
        {"row": row - 0.12 + 0.5 * (i * GOLDEN % 1 - 0.5), "x": float(f"{value:.4g}"), "colour": view.looks[name].colour}
        for row, (name, values) in enumerate(shown.items())
        for i, value in enumerate(values)
    ]
    found = {v["name"]: figure(v, TOTAL_CPU_S_PER_GB) for v in drawn(point)}
    bars: list[dict[str, Any]] = [
        {
            "row": row + 0.3,
            "x": f["estimate"] * unit.scale,
            "low": f["low"] * unit.scale,
            "high": f["high"] * unit.scale,
            "colour": view.looks[name].colour,
            "shape": view.looks[name].shape,
            "tip": f"{name}: {interval(f, unit.scale)} {unit.name}",
        }
        for row, name in enumerate(shown)
        if (f := found[name])
    ]
    ends = [v["x"] for v in dots] + [b[end] for b in bars for end in ("low", "high")]
    pad = 0.03 * (max(ends) - min(ends)) or 0.1 * max(ends)
    x = quantitative("x", f"both ends' CPU in a window ({unit.name})", (max(0.0, min(ends) - pad), max(ends) + pad))
    y = rows_axis("row", list(shown))
    plain = [{key: value for key, value in b.items() if key != "tip"} for b in bars]
    layers = [layer(dots, {"type": "circle", "size": 9, "opacity": 0.6}, x=x, y=y, color=literal("colour"))]
    if bars:
        mark = {"type": "point", "filled": True, "size": 40, "color": INK, "opacity": 1}
        layers += [
            layer(plain, {"type": "rule", "color": INK, "strokeWidth": 2}, x={**x, "field": "low"}, x2={"field": "high"}, y=y),
            layer(bars, mark, x=x, y=y, shape=literal("shape")),
        ]
    return spec(layers, ROW_PX * len(shown), PLOT_PX)


def _table(whole: dict[str, list[float]], unit: _Unit) -> Table:
    rows = []
    for name, values in whole.items():
        quarters = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        rows.append([name, str(len(values)), *(significant(value) for value in (min(values), *quarters, max(values)))])
    headers = ["variant", "windows", "least", "lower quarter", "median", "upper quarter", "greatest"]
    return Table(f"Both ends' CPU in single windows ({unit.name})", headers, rows)
