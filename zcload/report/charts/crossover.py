"""Chart of a crossover: the contender's saving along the axis, the margin, and the crossing with its interval."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from zcload.report.charts.parts import (
    BAND,
    GRID,
    INK,
    MUTED,
    WIDTH,
    Chart,
    Panel,
    Spec,
    beyond,
    layer,
    literal,
    quantitative,
    savings_ends,
    spec,
    within,
)
from zcload.report.charts.view import View
from zcload.report.tables.crossover import along, point_key
from zcload.report.text.figures import saving_text, unit_of

HEIGHT = 220
NOTE = (
    "What {contender} saves of CPU per {unit} against {baseline} at each measured value, with 95 % intervals. Above zero it is cheaper; in "
    "the band of {margin} % a difference is treated as none. {crossings}"
)
MARKED = "The upright band is the interval of the crossing, the line in it the estimate."


def chart(view: View) -> Iterator[Chart]:
    """Yield the chart of a search; nothing for another study."""
    found = view.summary.get("crossing")
    if not found or found["contender"] not in view.looks:  # no search, or one that was ended before it measured anything
        return
    marks = _marks(view, found)
    if marks:
        margin = view.summary["margin_percent"]
        told = MARKED if found["crossings"] else ""
        unit = unit_of(view.points[0][1]).name
        names = {"contender": found["contender"], "baseline": found["baseline"], "unit": unit}
        note = NOTE.format(**names, margin=f"{margin:g}", crossings=told).strip()
        title = f"Savings of {found['contender']} along {found['sweep'].replace('_', ' ')}"
        yield Chart("crossing", title, note, (Panel("", _panel(view, found, marks)),), along(view.summary))


def _marks(view: View, found: Any) -> list[dict[str, Any]]:
    look = view.looks[found["contender"]]
    key = point_key(found["sweep"])
    return sorted(
        (
            {
                "x": cast("Mapping[str, float]", point["point"])[key],
                "label": point["name"].rpartition("=")[2],
                "y": c["saving_percent"]["estimate"],
                "low": c["saving_percent"]["low"],
                "high": c["saving_percent"]["high"],
                "colour": look.colour,
                "tip": f"{point['name']}: {saving_text(c['saving_percent'])}",
            }
            for _, point in view.points
            for c in point["comparisons"]
            if c["variant"] == found["contender"] and c["metric"] == found["metric"] and c["ratio"]["estimate"] is not None
        ),
        key=lambda mark: mark["x"],
    )


def _panel(view: View, found: Any, marks: list[dict[str, Any]]) -> Spec:
    margin = view.summary["margin_percent"]
    y_ends = savings_ends([{"estimate": m["y"], "low": m["low"], "high": m["high"]} for m in marks], margin)
    marks = [{**m, "from": within(m["low"], y_ends), "to": within(m["high"], y_ends)} for m in marks]
    labels = json.dumps({f"{m['x']:g}" if m["x"] % 1 else str(int(m["x"])): m["label"] for m in marks})
    ends = (marks[0]["x"] / 1.2, marks[-1]["x"] * 1.2)
    axis = {"values": _ticks([m["x"] for m in marks]), "labelExpr": f"({labels})[datum.value]", "labelOverlap": True, "grid": False}
    x = {**quantitative("x", found["sweep"].replace("_", " "), ends), "axis": axis}
    x["scale"] = {"type": "log", "domain": list(ends), "nice": False}
    y = quantitative("y", "saved (%)", y_ends)
    plain = [{name: value for name, value in m.items() if name != "tip"} for m in marks]
    crossings = [c for c in found["crossings"] if c["low"] is not None and c["low"] < ends[1] and c["high"] > ends[0]]
    between = [{"a": max(c["low"], ends[0]), "b": min(c["high"], ends[1]), "at": c["estimate"]} for c in crossings]
    still = {"aria": False}
    point = {"type": "point", "filled": False, "size": 45, "strokeWidth": 1.8, "fill": "var(--paper)", "opacity": 1}
    layers: list[Spec] = [
        {"data": {"values": [{"a": -margin, "b": margin}]}, "mark": {"type": "rect", "color": BAND, **still},
         "encoding": {"y": {**y, "field": "a"}, "y2": {"field": "b"}}},
        {"data": {"values": [{"a": 0}]}, "mark": {"type": "rule", "color": MUTED, "strokeDash": [3, 2], **still},
         "encoding": {"y": {**y, "field": "a"}}},
        {"data": {"values": between}, "mark": {"type": "rect", "color": GRID, "opacity": 0.8, **still},
         "encoding": {"x": {**x, "field": "a"}, "x2": {"field": "b"}}},
        {"data": {"values": between}, "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5, **still},
         "encoding": {"x": {**x, "field": "at"}}},
        layer(plain, {"type": "rule", "strokeWidth": 1.4}, x=x, y={**y, "field": "from"}, y2={"field": "to"}, color=literal("colour")),
        layer(plain, {"type": "line", "strokeWidth": 1.4}, x=x, y=y, color=literal("colour")),
        layer(marks, point, x=x, y=y, stroke=literal("colour")),
        *beyond(marks, x, y, y_ends, upright=True),
    ]  # fmt: skip
    return spec([each for each in layers if each["data"]["values"]], HEIGHT, WIDTH + 70)


def _ticks(values: list[float]) -> list[float]:
    """Return the measured values, of many those at even distances."""
    step = -(-len(values) // 6)
    return values[::step]
