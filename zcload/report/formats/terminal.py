"""Report format `table` with --full, for a terminal: the answer, every table, the cautions, the method. Or some of these sections."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from zcload.errors import ConfigError, Problem
from zcload.model.records.summary import PointSummary, Summary
from zcload.report.formats.brief import beside
from zcload.report.tables.overview import explained, method, sections
from zcload.report.tables.table import Table
from zcload.report.text.answer import answer, cautions
from zcload.report.text.curve_plot import curve
from zcload.report.text.missing import missing
from zcload.report.text.wrapping import wrapped
from zcload.store.reader import Result

Part = tuple[str, str, str]  # the name of its section, of its point, and its text
_WIDTH = 100  # of sentences, at most: longer lines are hard to read


def render(results: Sequence[Result], width: int = 0) -> str:
    """Render *results* one below the other, in a terminal of *width* columns; 0 where it is none, and tables are as wide as they are."""
    return "\n\n".join(_whole(result.summary, width) for result in results) + "\n"


def _whole(summary: Summary, width: int) -> str:
    return "\n\n".join([_title(summary), *_with_headings(_parts(summary, width))])


def render_sections(results: Sequence[Result], names: Sequence[str], width: int = 0) -> str:
    """Render only the sections *names* of each of *results*; raises ConfigError for one that none of them has."""
    found = [part for result in results for part in _parts(result.summary, width)]
    there = list(dict.fromkeys(name for name, _, _ in found))
    for name in names:
        if name not in there:
            raise ConfigError(Problem(f"there is no section {name!r} in this report", key="--section", remedy=f"use {', '.join(there)}"))
    return "\n\n".join(_with_headings(part for part in found if part[0] in names)) + "\n"


def _title(summary: Summary) -> str:
    return summary["name"] + ("" if summary["complete"] else " (partial result)")


def _with_headings(parts: Iterable[Part]) -> Iterator[str]:
    """Yield the texts of *parts*, and before the first of each point its name."""
    last = ""
    for _, point, text in parts:
        if point not in ("", last):
            yield f"== {point}"
        last = point
        yield text


def _parts(summary: Summary, width: int) -> Iterator[Part]:
    """Yield the parts of a report; a part that is of all points, or says which one it is of, has no point."""
    yield "answer", "", wrap(answer(summary), width)
    for title, shown in sections(summary):
        for table in shown:
            yield table.section, title, _drawn(table, width)
    drawing = curve(summary, width)
    if drawing:
        yield "curve", "", drawing
    if summary["cautions"]:
        told = [f"{code}: {'; '.join(said)}" + (f" -> {remedy}" if remedy else "") for code, remedy, said in cautions(summary)]
        yield "cautions", "", "Cautions\n" + wrap(told, width)
    several = len(summary["points"]) > 1
    for point in explained(summary):
        if lines := missing(cast(PointSummary, point)):
            where = f" at {point['name']}" if several else ""
            title = f"Figures that are missing{where}, and why"
            yield "missing", "", title + "\n" + wrap(lines, width)
    for point in explained(summary):
        title = f"How {point['name']} was measured" if several else "How it was measured"
        yield "method", "", title + "\n" + wrap(method(summary, point), width)


def _drawn(table: Table, width: int) -> str:
    drawn = "\n\n".join(beside(table, max(width - 2, 0)))
    title = "\n".join(wrapped(table.title, width)) if width else table.title
    return f"{title}\n\n{textwrap.indent(drawn, '  ')}"


def wrap(lines: Iterable[str], width: int = 0) -> str:
    """Wrap sentences, each below an indent, to a terminal of *width* columns; 0 where it is none."""
    return "\n".join(part for line in lines for part in wrapped(line, min(width or _WIDTH, _WIDTH), "  "))
