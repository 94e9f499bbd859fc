"""`zcload report`: render stored results. Also the one function that prints a command's text or writes it to a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zcload.errors import ConfigError, Problem, reason_of

if TYPE_CHECKING:
    from zcload.store.reader import Result


def show_report(results: list[Path], format: str, out: Path | None, charts: list[str], others: list[Path]) -> None:
    """Render *results* as *format* to stdout or *out*, for svg and png into the directory *out*; raises ConfigError.

    *others* are outputs of other tools, shown below the last result.
    """
    from dataclasses import replace

    from zcload.cli.output_files import PICTURES, say_what_is_missing, write_charts
    from zcload.report import FORMATS, renderer
    from zcload.report.imported import read_imported, table
    from zcload.store.reader import Result

    if format not in (*FORMATS, *PICTURES):
        raise ConfigError(Problem(f"{format!r} is not a format", key="--format", remedy=f"use {', '.join((*FORMATS, *PICTURES))}"))
    if charts and format not in PICTURES:
        raise ConfigError(Problem("picks charts, and these are drawn as svg or png", key="--chart", remedy="add --format svg"))
    if others and format not in table.FORMATS:
        raise ConfigError(Problem(f"is not shown in the format {format}", key="--with", remedy=f"use {', '.join(table.FORMATS)}"))
    if format in PICTURES:
        write_charts([Result.load(result) for result in results], format, out, charts)
        return
    loaded = [Result.load(result) for result in results]
    if others:
        last = loaded[-1]
        loaded[-1] = replace(last, summary={**last.summary, "imported": [read_imported(other) for other in others]})
    text = for_terminal(loaded) if format == "table" and out is None else renderer(format)(loaded)
    if format == "html":
        say_what_is_missing()
    put(text, out)


def put(text: str, out: Path | None) -> None:
    """Write *text* to stdout, or to the file *out*; raises ConfigError."""
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {out}: {reason_of(error)}", key="--out")) from None


def for_terminal(results: Sequence[Result]) -> str:
    """Return the report as a table, with the curve where stdout is a terminal that is wide enough."""
    import shutil

    from zcload.report.formats.terminal import render

    return render(results, shutil.get_terminal_size().columns if sys.stdout.isatty() else 0)
