"""Report format `table` without --full: at most one screen, and the answer last, right above the prompt."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from zcload.model.printable import typed
from zcload.model.records.summary import PointSummary, Summary
from zcload.model.units import counted, format_size, human_bytes
from zcload.report.tables.table import Table
from zcload.report.tables.verdicts import UNDECIDED, verdicts
from zcload.report.text.answer import beside_load, cautions
from zcload.report.text.cost_bars import cost_bars
from zcload.report.text.curve_plot import curve
from zcload.report.text.headline import answer_last, limits
from zcload.report.text.hosts import edges, who
from zcload.report.text.missing import missing_in_table
from zcload.report.text.saving_plot import saving_plot
from zcload.report.text.wrapping import WIDTH, wrapped
from zcload.store.reader import Result

_LEAST_WIDTH, _MOST_WIDTH = 40, 120
_CAUTIONS = 6  # more lines of them do not fit; the full report has all
_CHART_AND_CAUTIONS = ((8, _CAUTIONS), (8, 3), (5, 3), (5, 2), (4, 2))  # rows of a curve and lines of cautions, the best first
_REASONS = 2  # why the table has no figure; there are hardly ever more
_DROPPED_FIRST = (" s/GB", " cores", "Gbit/s")  # of the verdict table, by the ends of their heads: the chart below has the first
_SCREEN = 40  # lines; a chart that makes it longer is left to the full report


def render(results: Sequence[Result], width: int = WIDTH) -> str:
    """Render *results* one below the other in *width* columns."""
    width = min(max(width, _LEAST_WIDTH), _MOST_WIDTH)
    return "\n\n".join(_one(result.summary, result.directory, width) for result in results) + "\n"


def _one(summary: Summary, directory: Path | None, width: int) -> str:
    parts = ["\n".join(wrapped(_title(summary), width))]
    if load := beside_load(summary):
        parts[0] += "\n" + "\n".join(wrapped(load[0], width))
    if (table := verdicts(summary)) is not None:
        narrow = narrowed(table, width)
        if not {name for name in set(table.headers) - set(narrow.headers) if not name.endswith(_DROPPED_FIRST)}:
            table = narrow
        else:  # of a contender the interval is left out, not the contender
            table = verdicts(summary, intervals=False) or table
        parts.append(fitted(table, width))
        if any(cell.endswith(UNDECIDED) for row in table.rows for cell in row):
            parts[-1] += f"\n{UNDECIDED} inconclusive"
        parts[-1] += "".join(f"\n{line}" for each in missing_in_table(summary)[:_REASONS] for line in wrapped(each, width))
    last = [line for line in (*map(edges, summary["points"][:1]), limits(summary)) if line]
    if directory is not None:
        last.append(f"More: zcload report --full {typed(directory)}")
    last += answer_last(summary)
    parts.append("\n".join(line for each in last for line in wrapped(each, width)))
    parts[-1:-1] = _that_fit(summary, width, _SCREEN - sum(part.count("\n") + 2 for part in parts))
    return "\n\n".join(parts)


def _that_fit(summary: Summary, width: int, room: int) -> list[str]:
    """Return the chart and the cautions in at most *room* lines: fewer cautions and a lower chart rather than none."""
    for rows, most in _CHART_AND_CAUTIONS:
        chart, lines = _chart(summary, width, rows), _cautions(summary, width, most)
        if len(chart) + 2 + len(lines) <= room:
            break
    else:
        chart, lines = [], _cautions(summary, width, _CAUTIONS)
    return ["\n".join(part) for part in (chart, lines) if part]


def _title(summary: Summary) -> str:
    partial = "" if summary["complete"] else " (partial result)"
    if not summary["points"]:
        return f"{summary['name']}{partial}"
    return f"{summary['name']}{partial}: {shared(summary)}"


def shared(summary: Summary) -> str:
    """Return what all points have in common, and how many there are: "2 points, loopback, 4 senders, chunk 256KiB"."""
    points = summary["points"]
    several = [counted(len(points), "point")] if len(points) > 1 else []
    same = [facts[0] for facts in zip(*(_workload(summary, point) for point in points), strict=True) if len(set(facts)) == 1]
    return ", ".join([*several, *same])


def _workload(summary: Summary, point: PointSummary) -> list[str]:
    """Return the facts of a point that the title has, of those that all points share."""
    p = point["point"]
    facts = [who(summary) or p["network"], counted(p["senders"], "sender")]
    if p.get("transfer") == "per-file":
        return [*facts, f"files of {p['transfer_size']}", f"{p['connection']} connections"]
    return [*facts, f"chunk {format_size(p['chunk_bytes'])}", f"file {human_bytes(p['file_bytes'])} ({p['cache']})"]


def _chart(summary: Summary, width: int, rows: int) -> list[str]:
    measured = [point for point in summary["points"] if point["generations"]]
    if len(measured) == 1:
        return cost_bars(measured[0], width)
    if len({point["point"]["rate_bps"] for point in measured}) < 2:
        drawn = saving_plot(summary, measured, width)
    else:
        drawn = (curve(summary, width, rows) or "").splitlines()
    return [*wrapped(drawn[0], width), *(line for line in drawn[1:] if line)] if drawn else []


def _cautions(summary: Summary, width: int, most: int) -> list[str]:
    """Return the cautions as one line a code, at most *most*, the worst first, cut to the width, with how many there are of a code."""
    lines, by_code = [], dict[str, list[str]]()
    for code, _, messages in cautions(summary):
        if code != "loaded":  # stands at the top
            by_code.setdefault(code, []).extend(messages)
    for code, messages in by_code.items():
        times = f" ({len(messages)})" if len(messages) > 1 else ""
        lines.append(textwrap.shorten(f"! {code}{times}: {messages[0]}", width, placeholder=" ..."))
    if len(lines) > most:
        lines[most - 1 :] = [f"! {len(lines) - most + 1} more cautions: --section cautions"]
    return lines


def fitted(table: Table, width: int, dropped_first: tuple[str, ...] = _DROPPED_FIRST) -> str:
    """Draw *table* in at most *width* columns: first without its less important columns, then with its cells wrapped at spaces.

    Columns whose heads end with *dropped_first* go in that order, then the others from the right.
    """
    table = narrowed(table, width, dropped_first)
    drawn = _drawn(table)
    if _width(drawn) > width:
        drawn = _drawn(table, max(8, width // len(table.headers) - 2))
    return drawn


def narrowed(table: Table, width: int, dropped_first: tuple[str, ...] = _DROPPED_FIRST) -> Table:
    """Return *table* without its less important columns, as far as that is needed for *width* columns; three stay in any case."""
    headers, rows = list(table.headers), [list(row) for row in table.rows]
    while len(headers) > 3 and _width(_drawn(replace(table, headers=headers, rows=rows))) > width:
        index = next((i for end in dropped_first for i, name in enumerate(headers) if name.endswith(end)), len(headers) - 1)
        headers.pop(index)
        rows = [[*row[:index], *row[index + 1 :]] for row in rows]
    return replace(table, headers=headers, rows=rows)


def beside(table: Table, width: int = 0, left: Collection[str] = ()) -> list[str]:
    """Draw *table* whole, in *width* columns in several parts, each with its first column; 0: as wide as it is.

    The first column, and those whose heads are in *left*, are aligned to the left.
    """
    drawn, last = _drawn(table, left=left), len(table.headers)
    if not width or last < 2 or _width(drawn) <= width:
        return [drawn]
    parts, first = list[str](), 1
    while first < last:
        drawings = (_drawn(_columns(table, first, end), left=left) for end in range(last, first, -1))
        part, first = next(
            (
                (drawn, end)
                for drawn, end in zip(drawings, range(last, first, -1), strict=True)
                if end == first + 1 or _width(drawn) <= width
            )
        )
        parts.append(part)
    return parts


def _columns(table: Table, first: int, end: int) -> Table:
    return replace(table, headers=[table.headers[0], *table.headers[first:end]], rows=[[row[0], *row[first:end]] for row in table.rows])


def _drawn(table: Table, most: int | None = None, left: Collection[str] = ()) -> str:
    """Draw *table*, its cells wrapped at *most* columns."""
    from tabulate import tabulate

    align = ("left", *("left" if header in left else "right" for header in table.headers[1:]))
    wide = [most] * len(table.headers) if most else None
    return tabulate(
        table.rows, table.headers, tablefmt="simple", disable_numparse=True, colalign=align, maxcolwidths=wide, break_long_words=False
    )


def _width(drawn: str) -> int:
    return max(map(len, drawn.splitlines()), default=0)
