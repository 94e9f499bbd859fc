"""Options and arguments that several commands share, each declared once, and those that need more than a line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zcload.cli import completion
from zcload.cli.plain_values import PlainCommand
from zcload.report import FORMATS

_LARGEST_SEED = 2**63 - 1  # zcload.model.units.LIMIT - 1, which takes longer to import than to print help

OutDirectory = Annotated[
    Path | None, typer.Option("--out", help="Store the result in this directory [default: results/<utc time>-<study name>].")
]
OutFile = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of stdout.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=completion.settings,
        help="Override a config value: workload.sink=discard (repeatable); `zcload schema` has all keys.",
    ),
]
SummaryJson = Annotated[bool, typer.Option("--json", help="Print only the summary, as JSON, on stdout.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Do not show progress.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, max=_LARGEST_SEED, help="Repeat the random order and CPU roles of the run with this seed."),
]
SeedOfOrder = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, max=_LARGEST_SEED, help="Repeat the random order that was printed with this seed."),
]
NoHtml = Annotated[bool, typer.Option("--no-html", help="Do not write report.html into the result directory.")]
Full = Annotated[bool, typer.Option("--full", help="Show every table, all cautions and how it was measured.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for other work on this machine to end.")]
Mechanism = Annotated[
    list[str] | None, typer.Option(metavar="FILE.py:Class", help="Also compare this mechanism of your own (repeatable); see zcload init.")
]
Chunk = Annotated[str | None, typer.Option("--chunk", metavar="SIZE", help="Send this much in one call: 64KiB; several: 64KiB,1MiB.")]
ClusterAddress = Annotated[
    str | None,
    typer.Option("--cluster", metavar="ADDRESS", help="Run on the hosts of this Dask scheduler: tls://10.0.0.1:8786."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Accept a scheduler without encryption: whoever reaches it can run programs on every host.")
]
FailIfUnproven = Annotated[bool, typer.Option("--fail-if-unproven", help="Exit with 3 too if a gate can be proven neither way.")]
StudyName = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|RESULT_DIR",
        autocompletion=completion.studies,
        help="Run this: a config file, the name of a shipped config (see `zcload init --list`), a stored result, "
        "or the baseline, the first of the mechanisms to compare.",
    ),
]
Contenders = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MECHANISM", autocompletion=completion.mechanisms, help="Compare these mechanisms with the first one; without a config."
    ),
]
Via = Annotated[
    str,
    typer.Option(
        metavar="MECHANISM",
        autocompletion=completion.mechanisms,
        help="Send with MECHANISM (see `zcload mechanisms`), or compare several: read_send,sendfile; in 2015: slurp_send,sendfile.",
    ),
]
Results = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT...",
        autocompletion=completion.results,
        help="Render these result directories, summary.json or windows.jsonl files.",
    ),
]
ReportFormat = Annotated[
    str,
    typer.Option(
        "--format",
        autocompletion=completion.formats,
        help=f"Write this format: {', '.join(FORMATS)}; svg or png: each chart as a file.",
    ),
]


class SeveralNew(PlainCommand):
    """`--new A B` takes both: all arguments up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        new = False
        for word in args:
            option = word.startswith("-")
            spread += ["--new", word] if new and not option and spread[-1] != "--new" else [word]
            new = word.partition("=")[0] == "--new" if option else new
        return super().parse_args(ctx, spread)
