"""Render a comparison as text for a terminal, as Markdown for a pull request, or as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace

from zcload.compare.comparison import Comparison
from zcload.compare.gates import Judged
from zcload.compare.tables import shown
from zcload.report.formats.brief import beside, fitted
from zcload.report.formats.markdown import folded, plain
from zcload.report.formats.terminal import wrap
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE
from zcload.report.text.wrapping import WIDTH, wrapped

MORE = "More: --full (every metric, what else differs, how it was compared)"
_SENTENCES, _ROWS, _LINES = 5, 12, 4  # on one screen
Renderer = Callable[[Comparison, Sequence[Judged]], str]


def as_table(found: Comparison, judged: Sequence[Judged], width: int = WIDTH) -> str:
    """Render for a terminal of *width* columns, on one screen: what decides the answer, then the gates, and the answer last."""
    said = shown(found, judged)
    parts = [wrapped(said.title, width)]
    if said.headline:
        table = replace(said.headline, rows=_first_rows(said.headline.rows))
        parts.append([table.title, "", *fitted(table, width, ("base", "new")).splitlines()])
    differs = [f"differs: {row[0]}, {row[1]} against {row[2]}" for row in said.differences.rows] if said.differences else []
    parts.append(_wrapped([*_first(differs, _LINES), *_first(said.notes[2:], _LINES)], width))
    gates = [
        f"{state}: {gate} ({'' if point == NONE else f'{point}, '}{name} {change})"
        for gate, point, name, change, state in _rows(said.gates)
    ]
    parts.append(_wrapped([MORE, *_first(gates, _SENTENCES), *_first(said.answer, _SENTENCES)], width))
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _rows(table: Table | None) -> list[list[str]]:
    return table.rows if table else []


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    return [part for line in lines for part in wrapped(line, width)]


def as_full_table(found: Comparison, judged: Sequence[Judged], width: int = 0) -> str:
    """Render with every metric that a report shows, what differs, and how it was compared, in a terminal of *width* columns.

    0: it is no terminal, and tables are as wide as they are.
    """
    said = shown(found, judged)
    parts = ["\n".join(wrapped(said.title, width)) if width else said.title, wrap(said.answer, width)]
    if said.gates:
        parts.append(_drawn(said.gates, width))
    for name, tables in said.points:
        parts += [f"== {name}"] if len(said.points) > 1 else []
        parts += [_drawn(table, width) for table in tables]
    if said.differences:
        parts.append(_drawn(said.differences, width))
    parts.append("How it was compared\n" + wrap(said.notes, width))
    return "\n\n".join(filter(None, parts)) + "\n"


def _first(lines: Sequence[str], most: int) -> list[str]:
    """Return at most so many of *lines*; the last then says how many are left out."""
    return list(lines) if len(lines) <= most else [*lines[: most - 1], f"... {len(lines) - most + 1} more"]


def _first_rows(rows: list[list[str]]) -> list[list[str]]:
    if len(rows) <= _ROWS:
        return rows
    return [*rows[: _ROWS - 1], [f"... {len(rows) - _ROWS + 1} more", *[""] * (len(rows[0]) - 1)]]


def as_markdown(found: Comparison, judged: Sequence[Judged]) -> str:
    """Render as GitHub-flavoured Markdown that fits a comment: the answer, the gates and the headline; the rest is folded."""
    said = shown(found, judged)
    parts = [f"## {plain(said.title)}", "\n".join(f"- {plain(line)}" for line in _first(said.answer, _SENTENCES))]
    parts += [_marked(table) for table in (said.gates, said.headline) if table]
    if len(said.answer) > _SENTENCES:
        parts.append(folded("The answer in full", "\n".join(f"- {plain(line)}" for line in said.answer)))
    figures = []
    for name, tables in said.points:
        figures += [f"### {plain(name)}"] if len(said.points) > 1 else []
        figures += [_marked(table) for table in tables]
    parts.append(folded("Every metric", "\n\n".join(figures)))
    if said.differences:
        parts.append(folded(said.differences.title, _marked(said.differences, "")))
    parts.append(folded("How it was compared", "\n".join(f"- {plain(line)}" for line in said.notes)))
    return "\n\n".join(filter(None, parts)) + "\n"


def as_json(found: Comparison, judged: Sequence[Judged]) -> str:
    """Render as JSON: every metric, not only those the tables show."""
    return json.dumps({**found.as_dict(), "gates": [j.as_dict() for j in judged]}, indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Renderer] = {"table": as_table, "markdown": as_markdown, "json": as_json}


def _drawn(table: Table, width: int) -> str:
    left = [header for header, side in zip(table.headers, _align(table), strict=True) if side == "left"]
    drawn = "\n\n".join(beside(table, max(width - 2, 0), left))
    title = "\n".join(wrapped(table.title, width)) if width else table.title
    return f"{title}\n\n{textwrap.indent(drawn, '  ')}"


def _marked(table: Table, title: str | None = None) -> str:
    from tabulate import tabulate

    cells = [[plain(cell).replace("|", "\\|") for cell in row] for row in table.rows]
    drawn = tabulate(cells, table.headers, tablefmt="github", disable_numparse=True, colalign=_align(table))
    head = table.title if title is None else title
    return f"**{plain(head)}**\n\n{drawn}" if head else drawn


def _align(table: Table) -> list[str]:
    figures = {"base", "new", "change"} if "verdict" in table.headers else {"change"}
    return ["right" if header in figures else "left" for header in table.headers]
