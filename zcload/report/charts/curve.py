"""Chart of CPU cores against goodput: a line for each variant that has several points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zcload.model.metrics import GOODPUT_BPS, RECEIVER_CPU_CORES, SENDER_CPU_CORES, TOTAL_CPU_CORES
from zcload.report.charts.parts import WIDTH, Chart, Panel, beside, beyond, layer, literal, points, quantitative, spec, top, within
from zcload.report.charts.view import Variant, View, drawn, figure, interval, ledgers_of
from zcload.report.tables.table import Table

HEIGHT = 200
NOTE = (
    "CPU cores busy (1.0 is one core) against the goodput that was reached, with 95 % intervals of both. Lower is cheaper, further to the "
    "right is faster; of two marks at the same goodput the lower one needs less."
)


def chart(view: View) -> Iterator[Chart]:
    """Yield the curve, if anything has both figures."""
    ledgers = ledgers_of([point for _, point in view.points])
    found = {ledger: values(view, ledger, key) for ledger, _, key in ledgers if key}
    panels = tuple(Panel(ledger, _panel(marks, view)) for ledger, marks in found.items() if marks)
    if panels:
        yield Chart("curve", "CPU cores against goodput", NOTE, panels, _table(view))


def cores(variant: Variant, key: str) -> Mapping[str, Any] | None:
    """Return the cores of a ledger. Results from before `total_cpu_cores` have the sum of both ends, without an interval."""
    found = figure(variant, key)
    if found or key != TOTAL_CPU_CORES:
        return found
    ends = [figure(variant, end) for end in (SENDER_CPU_CORES, RECEIVER_CPU_CORES)]
    return {"estimate": sum(end["estimate"] for end in ends if end), "low": None, "high": None} if all(ends) else None


def values(view: View, ledger: str, key: str) -> list[dict[str, Any]]:
    """Return the marks of one ledger: cores against goodput, in order of the points."""
    marks = []
    for step, (_, point) in enumerate(view.points):
        for variant in drawn(point):
            x, y = figure(variant, GOODPUT_BPS), cores(variant, key)
            if variant["aa"] or not x or not y:
                continue
            look = view.looks[variant["name"]]
            where = f", {point['name']}" if view.several else ""
            marks.append(
                {
                    "n": variant["name"],
                    "step": step,
                    "colour": look.colour,
                    "shape": look.shape,
                    "x": x["estimate"] / 1e9,
                    "x1": x["low"] / 1e9,
                    "x2": x["high"] / 1e9,
                    "y": y["estimate"],
                    "y1": y["estimate"] if y["low"] is None else y["low"],
                    "y2": y["estimate"] if y["high"] is None else y["high"],
                    "tip": f"{variant['name']}{where}: {ledger} {interval(y)} cores at {interval(x, 1e-9)} Gbit/s",
                }
            )
    return marks


def _panel(marks: list[dict[str, Any]], view: View) -> Any:
    xs = 0.0, top([v["x2"] for v in marks], [v["x"] for v in marks])
    ys = 0.0, top([v["y2"] for v in marks], [v["y"] for v in marks])
    x, y = quantitative("x", "goodput (Gbit/s)", xs), quantitative("y", "CPU (cores)", ys)
    marks = [{**v, **{key: within(v[key], xs) for key in ("x", "x1", "x2")}, "y": within(v["y"], ys), "low": v["y1"], "high": v["y2"],
              "y1": within(v["y1"], ys), "y2": within(v["y2"], ys), "far": v["x2"]} for v in marks]  # fmt: skip
    plain = [{name: value for name, value in v.items() if name != "tip"} for v in marks]
    bar = {"type": "rule", "strokeWidth": 1.4, "opacity": 0.8}
    layers = [
        layer(plain, bar, x={**x, "field": "x1"}, x2={"field": "x2"}, y=y, color=literal("colour")),
        layer(plain, bar, x=x, y={**y, "field": "y1"}, y2={"field": "y2"}, color=literal("colour")),
    ]
    if view.several:
        line = {"type": "line", "strokeWidth": 1.6, "interpolate": "linear"}
        order = {"field": "step", "type": "quantitative"}
        layers.append(layer(plain, line, x=x, y=y, order=order, color=literal("colour"), detail={"field": "n", "type": "nominal"}))
    layers += [points(marks, x, y), *beyond(marks, x, y, ys, upright=True)]
    layers += beyond([{**v, "low": 0.0, "high": v["far"]} for v in marks], x, y, xs, upright=False)
    last = {v["n"]: (v["n"], view.looks[v["n"]], v["y"]) for v in sorted(marks, key=lambda v: v["x"])}
    return spec([*layers, *beside(list(last.values()), ys, HEIGHT)], HEIGHT, WIDTH)


def _table(view: View) -> Table:
    ledgers = [(ledger, key) for ledger, _, key in ledgers_of([point for _, point in view.points]) if key]
    rows = [
        [
            variant["name"],
            *([view.labels[step]] if view.several else []),
            interval(figure(variant, GOODPUT_BPS), 1e-9),
            *(interval(cores(variant, key)) for _, key in ledgers),
        ]
        for step, (_, point) in enumerate(view.points)
        for variant in drawn(point)
        if not variant["aa"]
    ]
    rows.sort(key=lambda row: list(view.looks).index(row[0]))
    headers = ["variant", *([view.swept] if view.several else []), "Gbit/s", *(f"{ledger} cores" for ledger, _ in ledgers)]
    return Table("CPU cores and goodput, with 95 % intervals", headers, rows)
