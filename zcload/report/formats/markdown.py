"""Report format `markdown`: GitHub-flavoured, for an issue or a pull request: the answer and one table, the rest folded."""

from __future__ import annotations

from collections.abc import Sequence

from zcload.model.records.summary import Summary
from zcload.report.tables.overview import explained, method, sections
from zcload.report.tables.table import Table
from zcload.report.tables.verdicts import verdicts
from zcload.report.text.answer import answer, beside_load, cautions
from zcload.report.text.headline import answer_last, limits
from zcload.report.text.wrapping import unbroken
from zcload.store.reader import Result

_CAUTIONS = 5  # as lines; more do not fit a comment that is read at a glance


def render(results: Sequence[Result]) -> str:
    """Render *results* one below the other."""
    return "\n\n".join(_one(result.summary) for result in results) + "\n"


def _one(summary: Summary) -> str:
    parts = [f"## {plain(summary['name'])}" + ("" if summary["complete"] else " (partial result)")]
    parts.append("\n".join(f"- {plain(line)}" for line in (*beside_load(summary), *answer_last(summary))))
    table = verdicts(summary)
    if table is not None:
        parts.append(drawn(table))
    if limit := limits(summary):
        parts.append(plain(limit))
    found = cautions(summary)
    lines = [f"- `{code}`: {plain(messages[0])}" + _more(len(messages) - 1, "like it") for code, _, messages in found]
    if lines:
        parts.append("\n".join(["**Cautions**", "", *lines[:_CAUTIONS]]) + _more(len(lines) - _CAUTIONS, "below"))
    parts.append(folded("The answer in full", "\n".join(f"- {plain(line)}" for line in answer(summary))))
    figures = []
    for title, shown in sections(summary):
        figures += [f"### {plain(title)}"] if title else []
        figures += [f"**{plain(each.title)}**\n\n{drawn(each)}" for each in shown]
    parts.append(folded("Figures", "\n\n".join(figures)))
    if found:
        rows = [f"- `{code}`: {plain('; '.join(said))}" + (f" *{plain(remedy)}*" if remedy else "") for code, remedy, said in found]
        parts.append(folded("Cautions with their remedies", "\n".join(rows)))
    several = len(summary["points"]) > 1
    told = [
        (f"### {plain(point['name'])}\n\n" if several else "") + "\n".join(f"- {plain(line)}" for line in method(summary, point))
        for point in explained(summary)
    ]
    parts.append(folded("How it was measured", "\n\n".join(told)))
    return "\n\n".join(parts)


def _more(count: int, where: str) -> str:
    return f" (and {count} more {where})" if count > 0 else ""


def folded(title: str, text: str) -> str:
    """Return *text*, Markdown, under a line that opens it."""
    return f"<details><summary>{plain(title)}</summary>\n\n{text}\n\n</details>"


def drawn(table: Table) -> str:
    """Return *table* in Markdown, without its title."""
    from tabulate import tabulate

    align = ("left", *["right"] * (len(table.headers) - 1))
    cells = [[plain(cell).replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in table.rows]
    return tabulate(cells, table.headers, tablefmt="github", disable_numparse=True, colalign=align)


def plain(text: str) -> str:
    """Keep names that a config file chose from becoming markup, and figures on one line."""
    text = unbroken(text)
    for sign in "\\`*_<>[]":
        text = text.replace(sign, "\\" + sign)
    return text
