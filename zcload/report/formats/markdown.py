"""Report format `markdown`: GitHub-flavoured, for an issue or a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.report.tables.overview import explained, method, sections
from zcload.report.text.answer import answer, cautions
from zcload.store.reader import Result


def render(results: Sequence[Result]) -> str:
    """Render *results* one below the other."""
    return "\n\n".join(_one(result.summary) for result in results) + "\n"


def _one(summary: Mapping[str, Any]) -> str:
    from tabulate import tabulate

    parts = [f"## {plain(summary['name'])}" + ("" if summary["complete"] else " (partial result)")]
    parts.append("\n".join(f"- {plain(line)}" for line in answer(summary)))
    for title, shown in sections(summary):
        if title:
            parts.append(f"### {plain(title)}")
        for table in shown:
            align = ("left", *["right"] * (len(table.headers) - 1))
            cells = [[plain(cell).replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in table.rows]
            parts.append(
                f"**{table.title}**\n\n" + tabulate(cells, table.headers, tablefmt="github", disable_numparse=True, colalign=align)
            )
    if summary["cautions"]:
        rows = [
            f"- `{code}`: {plain('; '.join(said))}" + (f" *{plain(remedy)}*" if remedy else "") for code, remedy, said in cautions(summary)
        ]
        parts.append("**Cautions**\n\n" + "\n".join(rows))
    several = len(summary["points"]) > 1
    for point in explained(summary):
        title = f"How {point['name']} was measured" if several else "How it was measured"
        facts = "\n".join(f"- {plain(line)}" for line in method(summary, point))
        parts.append(f"<details><summary>{plain(title)}</summary>\n\n{facts}\n\n</details>")
    return "\n\n".join(parts)


def plain(text: str) -> str:
    """Keep names that a config file chose from becoming markup."""
    for sign in "\\`*_<>[]":
        text = text.replace(sign, "\\" + sign)
    return text
