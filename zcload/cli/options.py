"""The options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

OutDirectory = Annotated[
    Path | None, typer.Option("--out", help="Store the result in this directory [default: results/<utc time>-<study name>].")
]
OutFile = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of stdout.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a config value (repeatable).")]
SummaryJson = Annotated[bool, typer.Option("--json", help="Print only the summary, as JSON, on stdout.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Do not show progress.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Repeat the random order and CPU roles of another run.")]
NoHtml = Annotated[bool, typer.Option("--no-html", help="Do not write report.html into the result directory.")]
Full = Annotated[bool, typer.Option("--full", help="Show every table, all cautions and how it was measured.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for other work on this machine to end.")]
Mechanism = Annotated[
    list[str] | None, typer.Option(metavar="FILE.py:Class", help="Also compare this mechanism of your own (repeatable); see zcload init.")
]
Chunk = Annotated[str | None, typer.Option("--chunk", metavar="SIZE", help="Send this much in one call: 64KiB.")]


class SeveralNew(TyperCommand):
    """`--new A B` takes both: all arguments up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        new = False
        for word in args:
            option = word.startswith("-")
            spread += ["--new", word] if new and not option and spread[-1] != "--new" else [word]
            new = word.partition("=")[0] == "--new" if option else new
        return super().parse_args(ctx, spread)
