"""Plot the savings of a sweep in characters, for a terminal: a line for each point, a letter for each contender."""

from __future__ import annotations

from collections.abc import Sequence

from zcload.model.records.summary import PointSummary, Summary
from zcload.report.charts.parts import savings_ends, within
from zcload.report.text.figures import NONE
from zcload.report.text.headline import comparison_of, contenders
from zcload.report.text.question import question_of

_MOST_POINTS = 12  # more lines do not leave room for the rest of a screen
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LEAST_COLUMNS = 24
_SPAN_OF_WHOLE = 5.0  # percent, from which on whole numbers tell the ends of an axis apart
_Saving = tuple[str, float, float, float]  # its letter, estimate, ends of the interval


def saving_plot(summary: Summary, points: Sequence[PointSummary], width: int) -> list[str]:
    """Return lines of *width* columns; none where there is no saving to show, or no room.

    A contender that is alone has its interval, as a line; of several there are the estimates.
    """
    names = list(dict.fromkeys(v["name"] for point in points for v in contenders(point)))
    letters = dict(zip(names, _LETTERS, strict=False))
    rows = [(point["name"] or NONE, _savings(summary, point, letters)) for point in points]
    everything = [saving for _, savings in rows for saving in savings]
    left = max((len(name) for name, _ in rows), default=0) + 1
    columns = width - left - 1
    if not everything or len(rows) > _MOST_POINTS or len(letters) < len(names) or columns < _LEAST_COLUMNS:
        return []
    ends = savings_ends([{"estimate": x, "low": low, "high": high} for _, x, low, high in everything], summary["margin_percent"])

    def place(value: float) -> int:
        return round((within(value, ends) - ends[0]) / (ends[1] - ends[0]) * columns)

    signs = ", ".join(f"{letter} {name}" for name, letter in letters.items())
    said = f"{signs} with its 95 % interval" if len(names) == 1 else signs
    lines = [f"% of {question_of(summary, points[0]).whose} CPU saved (right of | is cheaper): {said}"]
    for name, savings in rows:
        cells = [" "] * (columns + 1)
        if len(names) == 1 and savings:
            _, _, low, high = savings[0]
            cells[place(low) : place(high) + 1] = "-" * (place(high) + 1 - place(low))
        cells[place(0.0)] = "|"
        for letter, x, _, _ in savings:
            cells[_free(cells, place(x))] = letter
        lines.append(f"{name:<{left}}{''.join(cells)}".rstrip())
    lines.append(" " * left + _ruler(ends, columns))
    return lines


def _savings(summary: Summary, point: PointSummary, letters: dict[str, str]) -> list[_Saving]:
    metric, found = question_of(summary, point).metric, list[_Saving]()
    for name, letter in letters.items():
        c = comparison_of(point, name, metric)
        if c is None:
            continue
        x, low, high = (c["saving_percent"][key] for key in ("estimate", "low", "high"))
        if x is not None and low is not None and high is not None:
            found.append((letter, x, low, high))
    return found


def _free(cells: Sequence[str], at: int) -> int:
    """Return the first place from *at* on that no other letter has: marks that would cover each other stand side by side."""
    return next((place for place in range(at, len(cells)) if not cells[place].isalpha()), at)


def _ruler(ends: tuple[float, float], columns: int) -> str:
    """Return the figures below the plot: its ends and 0, each at its place if there is room."""
    row = " " * (columns + 1)
    for value in (0.0, ends[0], ends[1]):
        text = _label(value, ends[1] - ends[0])
        at = round((value - ends[0]) / (ends[1] - ends[0]) * columns) - (len(text) - 1) // 2
        at = min(max(at, 0), columns + 1 - len(text))
        if not row[max(at - 1, 0) : at + len(text) + 1].strip():
            row = row[:at] + text + row[at + len(text) :]
    return row.rstrip()


def _label(value: float, span: float) -> str:
    """Write a percentage below an axis as long as *span*: a short one needs a decimal, and 0 no sign."""
    text = f"{value:.{0 if span >= _SPAN_OF_WHOLE else 1}f}"
    return text if float(text) else "0"
