"""Render a comparison as text for a terminal, as Markdown for a pull request, or as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence

from zcload.compare.comparison import Comparison
from zcload.compare.gates import Judged
from zcload.compare.tables import shown
from zcload.report.formats.markdown import plain
from zcload.report.formats.terminal import wrap
from zcload.report.tables.table import Table

Renderer = Callable[[Comparison, Sequence[Judged]], str]


def as_table(found: Comparison, judged: Sequence[Judged]) -> str:
    """Render for a terminal."""
    said = shown(found, judged)
    parts = [said.title, "\n".join(map(wrap, said.answer))]
    if said.gates:
        parts.append(_drawn(said.gates))
    for name, tables in said.points:
        parts += [f"== {name}"] if len(said.points) > 1 else []
        parts += [_drawn(table) for table in tables]
    if said.differences:
        parts.append(_drawn(said.differences))
    parts.append("How it was compared\n" + "\n".join(map(wrap, said.notes)))
    return "\n\n".join(filter(None, parts)) + "\n"


def as_markdown(found: Comparison, judged: Sequence[Judged]) -> str:
    """Render as GitHub-flavoured Markdown: what decides above, the rest folded."""
    said = shown(found, judged)
    parts = [f"## {plain(said.title)}", "\n".join(f"- {plain(line)}" for line in said.answer)]
    if said.gates:
        parts.append(_marked(said.gates))
    for name, tables in said.points:
        parts += [f"### {plain(name)}"] if len(said.points) > 1 else []
        parts += [_marked(table) for table in tables[:1]]
        parts += [f"<details><summary>{plain(table.title)}</summary>\n\n{_marked(table, '')}\n\n</details>" for table in tables[1:]]
    if said.differences:
        parts.append(_marked(said.differences))
    facts = "\n".join(f"- {plain(line)}" for line in said.notes)
    parts.append(f"<details><summary>How it was compared</summary>\n\n{facts}\n\n</details>")
    return "\n\n".join(filter(None, parts)) + "\n"


def as_json(found: Comparison, judged: Sequence[Judged]) -> str:
    """Render as JSON: every metric, not only those the tables show."""
    return json.dumps({**found.as_dict(), "gates": [j.as_dict() for j in judged]}, indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Renderer] = {"table": as_table, "markdown": as_markdown, "json": as_json}


def _drawn(table: Table) -> str:
    from tabulate import tabulate

    drawn = tabulate(table.rows, table.headers, tablefmt="simple", disable_numparse=True, colalign=_align(table))
    return f"{table.title}\n\n{textwrap.indent(drawn, '  ')}"


def _marked(table: Table, title: str | None = None) -> str:
    from tabulate import tabulate

    cells = [[plain(cell).replace("|", "\\|") for cell in row] for row in table.rows]
    drawn = tabulate(cells, table.headers, tablefmt="github", disable_numparse=True, colalign=_align(table))
    head = table.title if title is None else title
    return f"**{plain(head)}**\n\n{drawn}" if head else drawn


def _align(table: Table) -> list[str]:
    figures = {"base", "new", "change"} if "verdict" in table.headers else {"change"}
    return ["right" if header in figures else "left" for header in table.headers]
