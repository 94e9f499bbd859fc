"""Parts of all charts: chart and panel, colours and shapes of variants, axes, labels.

Colours are names of the page's CSS variables, so that one drawing serves light and dark; files get fixed ones in their place.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zcload.report.tables.table import Table

Spec = dict[str, Any]

WIDTH = 250  # of a panel's plot, in px: with axis and labels it fits a phone, where the page shows one panel a row
LABEL_PX = 12
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
_ARROW = {True: "triangle-up", False: "triangle-right"}
COLOURS = tuple(f"var(--s{i})" for i in range(7))
INK, MUTED, GRID, BAND, PAPER = (f"var(--{name})" for name in ("ink", "muted", "grid", "band", "paper"))


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing of a chart: a Vega-Lite *spec* without its frame. *title* says what sets it apart from its neighbours."""

    title: str
    spec: Spec


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: a *name* for files and anchors, a *title*, how to read it, its panels, and the same figures as a table."""

    name: str
    title: str
    note: str
    panels: tuple[Panel, ...]
    table: Table | None


@dataclass(frozen=True, slots=True)
class Look:
    """What marks a variant throughout: the colour of its mechanism, and a shape. Its name stands beside it."""

    colour: str
    shape: str


# Mechanisms that are compared often have colours of their own. The rest share them, and then differ in shape.
_COLOURED = (
    *("read_send", "sendfile", "splice", "mmap_send", "msg_zerocopy", "slurp_send", "uring_send_zc"),
    *("uring_read_send", "socket_sendfile", "uring_splice", "copyfileobj", "msg_zerocopy_buffer", "sendmsg_vectors", "uring_send_zc_fixed"),
    *("relay_read_send", "relay_splice"),
)


def looks(variants: Mapping[str, str]) -> dict[str, Look]:
    """Return the look of each of *variants*, a mechanism by name: the same colour for a mechanism on every page.

    Neighbours differ in shape as well, and so do variants of one colour, seven at most. Servers share one mechanism: their names decide,
    and they leave the colours of the page's mechanisms to these as long as others are free.
    """
    found: dict[str, Look] = {}
    colours = _colours(dict.fromkeys(_key(*each) for each in variants.items()))
    for i, (name, mechanism) in enumerate(variants.items()):
        colour = colours[_key(name, mechanism)]
        shapes = [SHAPES[(i + step) % len(SHAPES)] for step in range(len(SHAPES))]
        taken = {look.shape for look in found.values() if look.colour == colour}
        found[name] = Look(colour, next((shape for shape in shapes if shape not in taken), shapes[0]))
    return found


def _key(name: str, mechanism: str) -> str:
    return name if mechanism == "server" else mechanism


def _colours(keys: Iterable[str]) -> dict[str, str]:
    """Return a colour for each of *keys*: those that have one of their own first, then the others from what is left."""
    found: dict[str, str] = {}
    for key in sorted(keys, key=lambda key: key not in _COLOURED):
        number = _COLOURED.index(key) if key in _COLOURED else zlib.crc32(key.encode())
        turned = [COLOURS[(number + step) % len(COLOURS)] for step in range(len(COLOURS))]
        free = turned if key in _COLOURED else [colour for colour in turned if colour not in found.values()]
        found[key] = (free or turned)[0]
    return found


def short(name: str, most: int = 17) -> str:
    """Cut a long name for a label; the table has it whole."""
    return name if len(name) <= most else name[: most - 1] + "\u2026"


def top(values: Sequence[float], estimates: Sequence[float] = ()) -> float:
    """Return the end of an axis that begins at 0: a little above the greatest of *values*.

    With *estimates* it shows them, and whiskers as far as half as much again: a single noisy one must not flatten all others. Estimates
    count up to four times their ninth decile. What lies beyond is drawn as an arrow (`beyond`).
    """
    end = max([*values, 0.0])
    if estimates:
        ordered = sorted(estimates)
        typical = ordered[int(0.9 * (len(ordered) - 1))]
        end = min(end, 1.5 * max((value for value in ordered if value <= 4 * typical), default=typical))
    return end * 1.06 or 1.0


def savings_ends(savings: Sequence[Mapping[str, Any]], margin: float) -> tuple[float, float]:
    """Return the ends of an axis of *savings* (percent, with intervals): the margin twice, every estimate, and whiskers as `top` does.

    Nobody saves more than 100 %.
    """
    least = min([*(s["estimate"] for s in savings), 0.0])
    low = max(min([*(s["low"] for s in savings), -2 * margin]), 1.5 * least - 4 * margin)
    high = max([*(s["high"] for s in savings), 2 * margin])
    pad = 0.04 * (high - low)
    return low - pad, min(high + pad, max(high, 100.0))


def within(value: float, ends: tuple[float, float]) -> float:
    """Return *value*, or the end of the axis that it lies beyond."""
    return min(max(value, ends[0]), ends[1])


def beyond(values: Sequence[Mapping[str, Any]], x: Spec, y: Spec, ends: tuple[float, float], *, upright: bool) -> list[Spec]:
    """Return layers of arrows for whiskers (`low`, `high`) that go on beyond the axis, which is the upright one or the other."""
    layers = []
    for field, end, shape in (("low", ends[0], "triangle-down" if upright else "triangle-left"), ("high", ends[1], _ARROW[upright])):
        cut = [
            {**v, "end": end, "tip": f"{v['tip']}: beyond the axis"}
            for v in values
            if (v[field] < end if field == "low" else v[field] > end)
        ]
        if cut:
            mark = {"type": "point", "filled": True, "size": 45, "shape": shape, "opacity": 1, "color": INK}
            place = {"x": x, "y": {**y, "field": "end"}} if upright else {"x": {**x, "field": "end"}, "y": y}
            layers.append(layer(cut, mark, **place))
    return layers


def quantitative(field: str, title: str, domain: tuple[float, float], **axis: Any) -> Spec:
    """Return the encoding of a numeric axis with a fixed *domain*, so that the place of every mark is known beforehand."""
    scale = {"domain": list(domain), "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": {"tickCount": 5, **axis}}


def rows_axis(field: str, names: Sequence[str], offset: float = 0.5) -> Spec:
    """Return the encoding of a vertical axis of named rows; a value of *field* is a row's number, 0 at the top."""
    labels = json.dumps([short(name) for name in names])
    axis = {
        "values": list(range(len(names))),
        "labelExpr": f"{labels}[datum.value]",
        "grid": False,
        "ticks": False,
        "domain": False,
        "labelPadding": 8,
    }
    scale = {"domain": [len(names) - 1 + offset, -offset], "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "title": None, "scale": scale, "axis": {**axis, "labelColor": INK}}


def steps_axis(field: str, title: str, names: Sequence[str]) -> Spec:
    """Return the encoding of a horizontal axis of named steps at even distances, a value of *field* being a step's number."""
    last = len(names) - 1
    labels = json.dumps([short(name, 22) for name in names])
    long = max(map(len, names), default=0) * len(names) > 40
    turned = {"labelAngle": -40, "labelAlign": "right"} if long else {}
    axis = {"values": list(range(len(names))), "labelExpr": f"{labels}[datum.value]", "grid": False, "labelOverlap": True, **turned}
    scale = {"domain": list(steps_domain(last)), "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def steps_domain(last: int) -> tuple[float, float]:
    """Return the ends of a steps axis whose last step has this number."""
    return -0.25, last + 0.25


def literal(field: str) -> Spec:
    """Return an encoding that takes colour or shape from the data as they are."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def layer(values: Sequence[Mapping[str, Any]], mark: Spec, **encoding: Any) -> Spec:
    """Return one layer of marks; with a field `tip` each says its figures when pointed at."""
    tips = bool(values) and "tip" in values[0]
    described = {"description": {"field": "tip", "type": "nominal"}} if tips else {}
    return {"data": {"values": list(values)}, "mark": {"aria": tips, **mark}, "encoding": {**encoding, **described}}


def points(values: Sequence[Mapping[str, Any]], x: Spec, y: Spec, size: int = 55) -> Spec:
    """Return a layer of hollow marks, coloured and shaped by the data's `colour` and `shape`."""
    mark = {"type": "point", "filled": False, "size": size, "strokeWidth": 1.8, "fill": PAPER, "opacity": 1}
    return layer(values, mark, x=x, y=y, stroke=literal("colour"), shape=literal("shape"))


def beside(ends: Sequence[tuple[str, Look, float]], y: tuple[float, float], height: int, width: int = WIDTH) -> list[Spec]:
    """Return layers with the names of *ends* (name, look, y in the axis' unit) at the right edge, none upon another.

    Each has its mark before it. No line leads there from the data: it would look like data.
    """
    placed = sorted((height * (1 - (within(at, y) - y[0]) / (y[1] - y[0])), name, look.colour, look.shape) for name, look, at in ends)
    tops = _spread([place[0] for place in placed], height)
    values = [
        {"n": short(name), "colour": colour, "shape": shape, "mark": width + 12, "text": width + 20, "label": label}
        for (_, name, colour, shape), label in zip(placed, tops, strict=True)
    ]

    def pixel(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "scale": None, "axis": None}

    text = {"type": "text", "align": "left", "baseline": "middle", "fontSize": 11, "color": INK}
    mark = {"type": "point", "filled": False, "size": 40, "strokeWidth": 1.8, "fill": PAPER, "opacity": 1}
    return [
        layer(values, mark, x=pixel("mark"), y=pixel("label"), stroke=literal("colour"), shape=literal("shape")),
        layer(values, text, x=pixel("text"), y=pixel("label"), text={"field": "n", "type": "nominal"}),
    ]


def _spread(wanted: Sequence[float], height: int) -> list[float]:
    """Move sorted places apart until labels of LABEL_PX fit, as little as may be, and within the height where they can."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + LABEL_PX) if places else max(place, 4.0))
    limit = max(float(height), LABEL_PX * (len(places) - 1) + 4.0)
    for i in range(len(places) - 1, -1, -1):
        places[i] = min(places[i], limit)
        limit = places[i] - LABEL_PX
    return places


def spec(layers: Sequence[Spec], height: int, width: int = WIDTH) -> Spec:
    """Return layers as a drawing of this size."""
    return {"width": width, "height": height, "layer": list(layers)}


CONFIG: Spec = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED, "titleColor": INK, "gridColor": GRID, "domainColor": MUTED, "tickColor": MUTED,
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal",
        "titlePadding": 8, "labelLimit": 140, "labelFlush": False, "tickSize": 4,
        "aria": False,
    },
    "title": {"color": INK, "fontSize": 12, "fontWeight": "bold", "anchor": "start", "subtitleColor": MUTED},
}  # fmt: skip
