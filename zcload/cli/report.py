"""`zcload report`: render stored results. Also the one function that prints a command's text or writes it to a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.printable import printable

if TYPE_CHECKING:
    from zcload.store.reader import Result


def show_report(
    results: list[Path],
    format: str,
    out: Path | None,
    charts: list[str],
    others: list[Path],
    *,
    full: bool = False,
    sections: Sequence[str] = (),
) -> None:
    """Render *results* as *format* to stdout or *out*, for svg and png into the directory *out*; raises ConfigError.

    *others* are outputs of other tools, shown below the last result. A table is the short report unless *full* or *sections* of the full
    one are asked for.
    """
    from dataclasses import replace

    from zcload.cli.output_files import PICTURES, say_what_is_missing, write_charts
    from zcload.report import FORMATS, renderer
    from zcload.report.imported import read_imported, table
    from zcload.store.reader import Result

    if format not in (*FORMATS, *PICTURES):
        raise ConfigError(Problem(f"{format!r} is not a format", key="--format", remedy=f"use {', '.join((*FORMATS, *PICTURES))}"))
    if charts and format not in PICTURES:
        raise ConfigError(Problem("only works with --format svg or png", key="--chart", remedy="--format svg"))
    if others and format not in table.FORMATS:
        raise ConfigError(Problem(f"does not work with --format {format}", key="--with", remedy=f"use {', '.join(table.FORMATS)}"))
    if format in PICTURES:
        write_charts([Result.load(result) for result in results], format, out, charts)
        return
    loaded = [Result.load(result) for result in results]
    if others:
        last = loaded[-1]
        loaded[-1] = replace(last, summary={**last.summary, "imported": [read_imported(other) for other in others]})
    if (full or sections) and format != "table":
        option = "--full" if full else "--section"
        raise ConfigError(Problem(f"does not go with the format {format}", key=option, remedy="leave out --format"))
    if format == "table" and out is None:
        print_report(loaded, full or bool(others), sections)
        return
    if format == "html":
        say_what_is_missing()
    put(_table(loaded, full or bool(others), sections, 0) if format == "table" else renderer(format)(loaded), out)


def put(text: str, out: Path | None) -> None:
    """Write *text* to stdout, or to the file *out*, without control characters; raises ConfigError."""
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(printable(text), encoding="utf-8")
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {out}: {reason_of(error)}", key="--out")) from None


def terminal_width() -> int:
    """Return how many columns the terminal has that stdout is; 0 where it is none."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def print_report(results: Sequence[Result], full: bool = False, sections: Sequence[str] = ()) -> None:
    """Print the short report of *results*, the *full* one, or some *sections* of that; in colour where stdout is a terminal."""
    width = terminal_width()
    text = _table(results, full, sections, width)
    if not width:
        print(text, end="", flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    shown = Text(text)
    for pattern, style in _COLOURS.items():
        shown.highlight_regex(pattern, style)
    Console(width=max(width, *map(len, text.splitlines()))).print(shown, end="", soft_wrap=True)
    sys.stdout.flush()


_COLOURS = {
    r"\bsaves\b|\bgains\b": "green",
    r"\bcosts\b|\bloses\b|\bfailed\b": "red",
    r"\b[Ii]nconclusive\b|do not quote[^\n]*|(?<=\n)! \S+": "yellow",
}


def _table(results: Sequence[Result], full: bool, sections: Sequence[str], width: int) -> str:
    from zcload.report.formats import brief, terminal
    from zcload.report.text.wrapping import WIDTH

    if sections:
        return terminal.render_sections(results, sections, width)
    return terminal.render(results, width) if full else brief.render(results, width or WIDTH)
