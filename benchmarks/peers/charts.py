"""Draw kept rounds as a forest plot: of each cell zcload's figures over the peer's, with their intervals."""

from __future__ import annotations

import itertools
from pathlib import Path

from rounds import CASES, Cell, Results
from svg import Drawing, log_place
from tables import FIGURES, judged, ratio_of

from zcload.model.units import format_size

NAME = "peers.svg"
LOW, HIGH, TICKS = 0.4, 2.0, (0.5, 0.7, 1.0, 1.4, 2.0)
LABELS, PANEL, GAP, ROW, TOP = 150, 190, 24, 17, 46
TITLES = {"goodput_bps": "goodput: more is better", "sender": "sender CPU: less is better", "receiver": "receiver CPU: less is better"}


def draw(results: Results, folder: Path) -> None:
    """Draw all cells with several rounds into peers.svg in *folder*."""
    width = LABELS + len(FIGURES) * (PANEL + GAP)
    drawing = Drawing(width, "zcload over its peers: goodput and CPU seconds per GB of each end, with 95 % intervals")
    cells = {key: pairs for key, pairs in results.items() if len(pairs) > 1}
    blocks = [(title, [*group]) for title, group in itertools.groupby(cells, key=lambda key: _title(key[0]))]
    for at, (key, *_) in enumerate(FIGURES):
        left = LABELS + at * (PANEL + GAP)
        drawing.text(left + PANEL / 2, 16, TITLES[key], "ink head", "middle")
        for tick in TICKS:
            drawing.text(log_place(tick, LOW, HIGH, left, left + PANEL), TOP - 18, f"{tick:g}", "muted", "middle")
    y = float(TOP)
    for title, group in blocks:
        y += ROW
        drawing.text(4, y, title, "ink head")
        y += ROW * 0.6
        _grid(drawing, y - ROW * 0.4, y + ROW * (len(group) - 0.5))
        for each in group:
            drawing.text(LABELS - 8, y + 4, _label(each[0]), "ink", "end")
            for at, (key, *_) in enumerate(FIGURES):
                ratio = ratio_of(cells[each], key)
                assert ratio is not None
                left = LABELS + at * (PANEL + GAP)
                low, middle, high = (log_place(value, LOW, HIGH, left, left + PANEL) for value in (ratio.low, ratio.estimate, ratio.high))
                verdict = judged(key, ratio)
                colour = {"better": "a", "worse": "b", "open": "m"}[verdict]
                drawing.line([(low, y), (high, y)], colour, 1.5)
                if verdict == "worse":
                    drawing.diamond(middle, y, "b full")
                else:
                    drawing.dot(middle, y, "a full" if verdict == "better" else "m hollow")
            y += ROW
    y += ROW
    for x, (words, style) in zip((LABELS, LABELS + 190, LABELS + 380), _LEGEND, strict=True):
        (drawing.diamond if style == "b full" else drawing.dot)(x, y, style)
        drawing.text(x + 9, y + 4, words)
    folder.mkdir(parents=True, exist_ok=True)
    drawing.save(folder / NAME, round(y + ROW))


_LEGEND = (
    ("zcload better, interval beside 1", "a full"),
    ("interval contains 1", "m hollow"),
    ("zcload worse, interval beside 1", "b full"),
)


def _grid(drawing: Drawing, top: float, bottom: float) -> None:
    for left in (LABELS + at * (PANEL + GAP) for at in range(len(FIGURES))):
        for tick in TICKS:
            x = log_place(tick, LOW, HIGH, left, left + PANEL)
            drawing.line([(x, top), (x, bottom)], "axis" if tick == 1 else "grid")


def _title(cell: Cell) -> str:
    return f"{CASES[cell.case].title.replace('`', '')}, into {cell.sink}"


def _label(cell: Cell) -> str:
    receivers = f", {cell.receivers} receivers" if cell.receivers > 1 else ""
    return f"{format_size(cell.chunk)}, {cell.senders} sender{'s' if cell.senders > 1 else ''}{receivers}"
