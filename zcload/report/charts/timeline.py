"""Chart of one point over time, from psutil's samples: goodput, CPU of each end, context switches of each end."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from zcload.model.metrics import GOODPUT_BPS
from zcload.report.charts.parts import Chart, Panel, Spec, beside, layer, literal, quantitative, spec, top, within
from zcload.report.charts.series import Stretch, merged
from zcload.report.charts.view import Point, View, drawn
from zcload.report.tables.table import Table
from zcload.report.text.figures import significant

HEIGHT = 150
MOST = 420  # marks in a panel: what still can be told apart
SERIES = (
    ("goodput", GOODPUT_BPS, "goodput (Gbit/s)", 1e-9),
    ("sender CPU", "sender_cores", "CPU (cores)", 1.0),
    ("receiver CPU", "receiver_cores", "CPU (cores)", 1.0),
    ("sender switches", "sender_switches_per_s", "switches (1000/s)", 1e-3),
    ("receiver switches", "receiver_switches_per_s", "switches (1000/s)", 1e-3),
)
NOTE = (
    "From the samples between windows: a mark for each stretch between two samples, per second in which the variant's own gate was open. "
    "Marks of one generation are joined; between generations the lanes were set up anew, and there is no line. Switches are the "
    "scheduler's, voluntary and involuntary.{thinned}"
)
THINNED = " {shown} marks stand for {all} stretches: neighbours in a generation are joined, of too many generations every nth is drawn."


def chart(view: View, number: int, point: Point) -> Iterator[Chart]:
    """Yield the time series of the point with this *number*, if there are samples of it."""
    raw = view.raw.get(point["name"])
    names = [v["name"] for v in drawn(point) if raw and not v["aa"] and raw.stretches.get(v["name"])]
    if not raw or not names:
        return
    whole = {name: raw.stretches[name] for name in names}
    shown = {name: merged(found, max(12, view.share(MOST) // len(names))) for name, found in whole.items()}
    count, left = sum(map(len, whole.values())), sum(map(len, shown.values()))
    thinned = THINNED.format(shown=left, all=count) if left < count else ""
    panels = tuple(Panel(title, _panel(view, shown, field, label, scale)) for title, field, label, scale in SERIES)
    yield Chart("timeline", "Over time", NOTE.format(thinned=thinned), panels, _table(whole))


def _panel(view: View, shown: dict[str, list[Stretch]], field: str, title: str, scale: float) -> Spec:
    values: list[dict[str, Any]] = [
        {
            "n": name,
            "part": f"{name} {s.generation}",
            "colour": view.looks[name].colour,
            "shape": view.looks[name].shape,
            "x": round(s.t_s, 3),
            "y": float(f"{getattr(s, field) * scale:.4g}"),
        }
        for name, found in shown.items()
        for s in found
    ]
    start, end = min(v["x"] for v in values), max(v["x"] for v in values)
    xs, ys = (start, end if end > start else start + 1), (0.0, top([v["y"] for v in values], [v["y"] for v in values]))
    values = [{**v, "y": within(v["y"], ys)} for v in values]  # a stretch beyond the axis stands at its edge; the table has the greatest
    x, y = quantitative("x", "time since the run's first sample (s)", xs), quantitative("y", title, ys, tickCount=4)
    detail = {"field": "part", "type": "nominal"}
    layers = [
        layer(values, {"type": "line", "strokeWidth": 1.2}, x=x, y=y, color=literal("colour"), detail=detail),
        layer(
            values, {"type": "point", "filled": True, "size": 14, "opacity": 0.9}, x=x, y=y, color=literal("colour"), shape=literal("shape")
        ),
    ]
    ends = [(name, view.looks[name], getattr(found[-1], field) * scale) for name, found in shown.items()]
    return spec([*layers, *beside(ends, ys, HEIGHT)], HEIGHT)


def _table(whole: dict[str, list[Stretch]]) -> Table:
    rows = []
    for name, found in whole.items():
        cells = []
        for _, field, _, scale in SERIES:
            values = [getattr(s, field) * scale for s in found]
            cells.append(f"{significant(median(values))} ({significant(min(values))}..{significant(max(values))})")
        rows.append([name, str(len(found)), *cells])
    units = ("Gbit/s", "sender cores", "receiver cores", "sender switches (1000/s)", "receiver switches (1000/s)")
    return Table("The samples: median (least..greatest) of each variant", ["variant", "stretches", *units], rows)
