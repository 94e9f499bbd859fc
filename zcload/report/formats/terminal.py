"""Report format `table` with --full, for a terminal: the answer, every table, the cautions, the method. Or some of these sections."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import cast

from zcload.errors import ConfigError, Problem
from zcload.model.records.summary import PointSummary, Summary
from zcload.report.tables.overview import explained, method, sections
from zcload.report.tables.table import Table
from zcload.report.text.answer import answer, cautions
from zcload.report.text.curve_plot import curve
from zcload.report.text.missing import missing
from zcload.store.reader import Result

_WIDTH = 100


def render(results: Sequence[Result], width: int = 0) -> str:
    """Render *results* one below the other; for a terminal of enough *width* with the curve under the tables."""
    return "\n\n".join(_whole(result.summary, width) for result in results) + "\n"


def _whole(summary: Summary, width: int) -> str:
    return "\n\n".join([_title(summary), *(text for _, text in _parts(summary, width))])


def render_sections(results: Sequence[Result], names: Sequence[str], width: int = 0) -> str:
    """Render only the sections *names* of each of *results*; raises ConfigError for one that none of them has."""
    found = [(name, text) for result in results for name, text in _parts(result.summary, width)]
    there = list(dict.fromkeys(name for name, _ in found if name))
    for name in names:
        if name not in there:
            raise ConfigError(Problem(f"there is no section {name!r} in this report", key="--section", remedy=f"use {', '.join(there)}"))
    return "\n\n".join(text for name, text in found if name in names) + "\n"


def _title(summary: Summary) -> str:
    return summary["name"] + ("" if summary["complete"] else " (partial result)")


def _parts(summary: Summary, width: int) -> Iterator[tuple[str, str]]:
    """Yield the parts of a report, each with the name of its section; a heading between points has none."""
    yield "answer", "\n".join(wrap(line) for line in answer(summary))
    for title, shown in sections(summary):
        if title:
            yield "", f"== {title}"
        for table in shown:
            yield table.section, _drawn(table)
    drawing = curve(summary, width)
    if drawing:
        yield "curve", drawing
    if summary["cautions"]:
        told = [f"{code}: {'; '.join(said)}" + (f" -> {remedy}" if remedy else "") for code, remedy, said in cautions(summary)]
        yield "cautions", "Cautions\n" + "\n".join(map(wrap, told))
    several = len(summary["points"]) > 1
    for point in explained(summary):
        if lines := missing(cast(PointSummary, point)):
            where = f" at {point['name']}" if several else ""
            title = f"Figures that are missing{where}, and why"
            yield "missing", title + "\n" + "\n".join(map(wrap, lines))
    for point in explained(summary):
        title = f"How {point['name']} was measured" if several else "How it was measured"
        yield "method", title + "\n" + "\n".join(wrap(line) for line in method(summary, point))


def _drawn(table: Table) -> str:
    from tabulate import tabulate

    align = ("left", *["right"] * (len(table.headers) - 1))
    drawn = tabulate(table.rows, table.headers, tablefmt="simple", disable_numparse=True, colalign=align)
    return f"{table.title}\n\n{textwrap.indent(drawn, '  ')}"


def wrap(line: str) -> str:
    """Wrap a sentence to the report's width."""
    return textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
