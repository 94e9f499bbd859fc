"""Report format `table`, for a terminal: the answer, the tables, the cautions, the method."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from zcload.report.tables.overview import explained, method, sections
from zcload.report.text.answer import answer, cautions
from zcload.report.text.curve_plot import curve
from zcload.store.reader import Result

_WIDTH = 100


def render(results: Sequence[Result], width: int = 0) -> str:
    """Render *results* one below the other; for a terminal of enough *width* with the curve under the tables."""
    return "\n\n".join(_one(result.summary, width) for result in results) + "\n"


def _one(summary: Mapping[str, Any], width: int) -> str:
    from tabulate import tabulate

    parts = [f"{summary['name']}" + ("" if summary["complete"] else " (partial result)")]
    parts.append("\n".join(wrap(line) for line in answer(summary)))
    for title, shown in sections(summary):
        if title:
            parts.append(f"== {title}")
        for table in shown:
            align = ("left", *["right"] * (len(table.headers) - 1))
            drawn = tabulate(table.rows, table.headers, tablefmt="simple", disable_numparse=True, colalign=align)
            parts.append(f"{table.title}\n\n{textwrap.indent(drawn, '  ')}")
    drawing = curve(summary, width)
    if drawing:
        parts.append(drawing)
    if summary["cautions"]:
        told = [f"{code}: {'; '.join(said)}" + (f" -> {remedy}" if remedy else "") for code, remedy, said in cautions(summary)]
        parts.append("Cautions\n" + "\n".join(map(wrap, told)))
    several = len(summary["points"]) > 1
    for point in explained(summary):
        title = f"How {point['name']} was measured" if several else "How it was measured"
        parts.append(title + "\n" + "\n".join(wrap(line) for line in method(summary, point)))
    return "\n\n".join(parts)


def wrap(line: str) -> str:
    """Wrap a sentence to the report's width."""
    return textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
