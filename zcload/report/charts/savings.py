"""Chart of the savings of one point: a forest plot with estimates, intervals, the margin as a band, and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zcload.model.metrics import RECEIVER_CPU_S_PER_GB, RELAY_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.report.charts.parts import (
    BAND,
    INK,
    MUTED,
    Chart,
    Panel,
    Spec,
    beyond,
    layer,
    quantitative,
    rows_axis,
    savings_ends,
    spec,
    within,
)
from zcload.report.charts.view import Point, View
from zcload.report.tables.overview import comparisons
from zcload.report.text.figures import percent, saving_text, unit_of
from zcload.report.text.question import question_of

ROW_PX = 26
PLOT_PX = 150
LEDGERS = (
    ("relay", RELAY_CPU_S_PER_GB),
    ("both ends", TOTAL_CPU_S_PER_GB),
    ("machine", SYSTEM_CPU_S_PER_GB),
    ("sender", SENDER_CPU_S_PER_GB),
    ("receiver", RECEIVER_CPU_S_PER_GB),
)
# Decided verdicts are filled, the others hollow: it can be told without colour.
SHAPES = {"saves": "circle", "costs": "square", "no difference": "diamond", "inconclusive": "circle"}
NOTE = (
    "CPU per {unit} saved against {baseline}, with 95 % intervals: right of zero is cheaper, left of it dearer. A difference inside the "
    "band, the margin of {margin} %, is treated as none. Filled marks are decided, hollow ones inconclusive or without a difference; only "
    "the headline ({headline}) carries verdicts that keep one error rate together."
)


def chart(view: View, point: Point, key: str = "comparisons") -> Iterator[Chart]:
    """Yield the savings of *point* against the baseline, or with another *key* against the baseline at its best chunk."""
    table = comparisons(point, key)
    if table is None or not table.rows:
        return
    compared = point["comparisons"] if key == "comparisons" else point["comparisons_best_chunk"]
    found = {(c["variant"], c["metric"]): c for c in compared if c["ratio"]["estimate"] is not None}
    names = list(dict.fromkeys(variant for variant, _ in found))
    labels = [f"{name} (A/A)" if any(c["aa"] for c in compared if c["variant"] == name) else name for name in names]
    margin, headline = view.summary["margin_percent"], question_of(view.summary, point).metric
    domain = savings_ends([c["saving_percent"] for (_, metric), c in found.items() if metric in dict(LEDGERS).values()], margin)
    panels = tuple(
        Panel(
            f"{ledger} (headline)" if metric == headline else ledger,
            _panel(rows, names, labels, margin, domain),
        )
        for ledger, metric in sorted(LEDGERS, key=lambda each: each[1] != headline)
        if (rows := {name: found[name, metric] for name in names if (name, metric) in found})
    )
    baseline = compared[0]["baseline"]
    asked = next(name for name, metric in LEDGERS if metric == headline)
    note = NOTE.format(unit=unit_of(point).name, baseline=baseline, margin=f"{margin:g}", headline=asked)
    best = key != "comparisons"
    title = f"Savings against {baseline}" + (", its best chunk" if best else "")
    yield Chart("savings-best-chunk" if best else "savings", title, note, panels, table)


def _said(saving: float, verdict: str) -> str:
    """Write a saving beside its mark, one that is decided as what it is: "saves 46 %", "costs 39 % more"."""
    if verdict in ("saves", "costs"):
        return f"saves {percent(saving)} %" if verdict == "saves" else f"costs {percent(-saving)} % more"
    return f"{percent(saving)} % {verdict}".rstrip()


def _panel(rows: Mapping[str, Any], names: list[str], labels: list[str], margin: float, domain: tuple[float, float]) -> Spec:
    values = []
    for name, c in rows.items():
        saving, verdict = c["saving_percent"], c["verdict"] or "inconclusive"
        word = "" if c["aa"] or not c["verdict"] else f" {c['verdict']}"
        values.append(
            {
                "row": names.index(name),
                "x": saving["estimate"],
                "low": saving["low"],
                "high": saving["high"],
                "from": within(saving["low"], domain),
                "to": within(saving["high"], domain),
                "shape": SHAPES.get(verdict, "circle"),
                "fill": "filled" if verdict in ("saves", "costs") and not c["aa"] else "hollow",
                "edge": PLOT_PX + 8,
                "text": _said(saving["estimate"], "" if c["aa"] else c["verdict"] or ""),
                "tip": f"{name}: {saving_text(saving)}{word}",
            }
        )
    plain = [{name: value for name, value in v.items() if name != "tip"} for v in values]
    x, y = quantitative("x", "saved (%)", domain, tickCount=4), rows_axis("row", labels)
    band = {"data": {"values": [{"a": -margin, "b": margin}]}, "mark": {"type": "rect", "color": BAND, "aria": False}}
    zero = {"data": {"values": [{"a": 0}]}, "mark": {"type": "rule", "color": MUTED, "strokeDash": [3, 2], "aria": False}}
    text = {"type": "text", "align": "left", "color": INK, "fontSize": 11}
    marks = [
        layer([v for v in values if v["fill"] == fill],
              {"type": "point", "size": 60, "stroke": INK, "strokeWidth": 1.6, "fill": paint, "opacity": 1},
              x=x, y=y, shape={"field": "shape", "type": "nominal", "scale": None, "legend": None})
        for fill, paint in (("filled", INK), ("hollow", "var(--paper)"))
    ]  # fmt: skip
    layers = [
        {**band, "encoding": {"x": {**x, "field": "a"}, "x2": {"field": "b"}}},
        {**zero, "encoding": {"x": {**x, "field": "a"}}},
        layer(plain, {"type": "rule", "color": INK, "strokeWidth": 1.6}, x={**x, "field": "from"}, x2={"field": "to"}, y=y),
        *[mark for mark in marks if mark["data"]["values"]],
        layer(
            plain,
            text,
            x={"field": "edge", "type": "quantitative", "scale": None, "axis": None},
            y=y,
            text={"field": "text", "type": "nominal"},
        ),
        *beyond(values, x, y, domain, upright=False),
    ]
    return spec(layers, ROW_PX * len(names), PLOT_PX)
