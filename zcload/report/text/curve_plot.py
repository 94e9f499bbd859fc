"""Plot CPU cores against goodput in characters, for a terminal: a letter for each variant."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from zcload.model.records.summary import Summary
from zcload.report.charts.curve import values
from zcload.report.charts.parts import top
from zcload.report.charts.view import view_of
from zcload.report.text.question import question_of

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEFT = 8  # columns before the axis
LEAST, MOST = 80, 120  # narrower shows nothing, wider says no more
ROWS = 16


def curve(summary: Summary, width: int, rows: int = ROWS) -> str | None:
    """Return the curve of a summary in *width* columns and *rows* rows; None if that is too narrow or there is nothing to show.

    Points of a variant are joined by dots in the order of the sweep.
    """
    view = view_of(summary, {})
    if not view.points:
        return None
    question = question_of(summary, view.points[0][1])
    found = values(view, question.ledger, question.cores)
    names = list(dict.fromkeys(v["n"] for v in found))
    if width < LEAST or not found or len(names) > len(LETTERS):
        return None
    columns = min(width, MOST) - LEFT - 4
    right, high = top([v["x"] for v in found]), top([v["y"] for v in found])
    grid = [[" "] * (columns + 1) for _ in range(rows + 1)]
    places: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
    for v in sorted(found, key=lambda v: v["step"]):
        places[v["n"]].append((round(v["x"] / right * columns), rows - round(v["y"] / high * rows)))
    for path in places.values():
        for start, end in itertools.pairwise(path):
            _join(grid, start, end)
    for name, path in places.items():
        for x, y in path:
            grid[y][_free(grid[y], x, LETTERS[names.index(name)])] = LETTERS[names.index(name)]
    labels = {rows - round(tick / high * rows): text for tick, text in _ticks(high, 4)}
    lines = [f"CPU cores {question.of} against goodput, a mark for each point", ""]
    for number, row in enumerate(grid):
        edge = "+" + "".join(cell if cell != " " else "-" for cell in row) if number == rows else "|" + "".join(row).rstrip()
        lines.append(f"{labels.get(number, ''):>{LEFT - 1}} {edge}")
    ruler = " " * (columns + 20)
    for tick, text in _ticks(right, 8):
        at = LEFT + 1 + round(tick / right * columns) - len(text) // 2
        ruler = ruler[:at] + text + ruler[at + len(text) :]
    lines += [ruler.rstrip(), f"{'goodput (Gbit/s)':^{columns + 2 * LEFT}}".rstrip(), ""]
    signs = [f"{LETTERS[i]} {name}" for i, name in enumerate(names)]
    return "\n".join([*lines, *_legend(signs, columns)])


def _free(row: Sequence[str], x: int, letter: str) -> int:
    """Return the first place from *x* on that no other variant's mark has: marks that would cover each other stand side by side."""
    return next((at for at in range(x, len(row)) if row[at] in (" ", ".", letter)), x)


def _ticks(end: float, most: int) -> list[tuple[float, str]]:
    """Return at most about so many round values from 0 to *end*, and their texts."""
    step = 10.0 ** math.floor(math.log10(end / most))
    step *= next(factor for factor in (1, 2, 5, 10) if end / (step * factor) <= most)
    return [(i * step, f"{i * step:g}") for i in range(int(end / step) + 1)]


def _join(grid: list[list[str]], start: tuple[int, int], end: tuple[int, int]) -> None:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    for i in range(1, steps):
        x, y = (round(a + (b - a) * i / steps) for a, b in zip(start, end, strict=True))
        if i % 2 == 0 or steps < 6:
            grid[y][x] = "."


def _legend(signs: Sequence[str], columns: int) -> list[str]:
    lines = [" " * LEFT]
    for sign in signs:
        if len(lines[-1]) + len(sign) > columns + LEFT and lines[-1].strip():
            lines.append(" " * LEFT)
        lines[-1] += f" {sign}  "
    return [line.rstrip() for line in lines]
