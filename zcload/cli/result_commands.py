"""The commands that read stored results: report, compare, history.

Bodies import what they need, so that `zcload --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcload.cli import completion
from zcload.cli.options import (
    FailIfUnproven,
    Full,
    OutFile,
    ReportFormat,
    Results,
)


def report(
    results: Results,
    format: ReportFormat = "table",
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout; for svg and png to this directory.")] = None,
    chart: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", autocompletion=completion.charts, help="Write only this chart; with svg and png (repeatable)."),
    ] = None,
    with_: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="FILE", help="Show the output of iperf3 -J or netperf in FILE below the report (repeatable)."),
    ] = None,
    full: Full = False,
    section: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.sections,
            help="Show only this part of the full report (repeatable): answer, costs, breakdown, missing (why a figure is not there), "
            "cautions, method; a wrong NAME lists all.",
        ),
    ] = None,
) -> None:
    """Render stored results."""
    from zcload.cli.report import show_report

    show_report(results, format, out, chart or [], with_ or [], full=full, sections=section or [])


def compare(
    base: Annotated[list[Path], typer.Argument(metavar="BASE...", autocompletion=completion.results, help="Compare with these results.")],
    new: Annotated[
        list[Path] | None, typer.Option("--new", metavar="NEW", autocompletion=completion.results, help="Judge these results.")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="GATE",
            autocompletion=completion.gates,
            help="Exit with 3 if proven: 'sendfile: sender_cpu_s_per_gb > +5%' (repeatable); a wrong metric lists all.",
        ),
    ] = None,
    fail_if_unproven: FailIfUnproven = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="KEY", autocompletion=completion.allowed, help="Compare even though KEY differs (repeatable)."),
    ] = None,
    run_spread: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Assume this spread between runs, with under 3 results a side [default: 2.5%].")
    ] = None,
    margin: Annotated[str | None, typer.Option(metavar="PERCENT", help="Treat smaller changes as none [default: the study's].")] = None,
    format: Annotated[
        str, typer.Option(autocompletion=completion.compare_formats, help="Write this format: table, markdown or json.")
    ] = "table",
    full: Annotated[bool, typer.Option("--full", help="Show every metric, what else differs, and how it was compared.")] = False,
    out: OutFile = None,
) -> None:
    """Compare stored results with others, point by point; exit with 3 when a gate trips."""
    from zcload.cli.compare import run_compare

    run_compare(
        base,
        new or [],
        fail_if=fail_if or [],
        fail_if_unproven=fail_if_unproven,
        allowed=allow or [],
        run_spread=run_spread,
        margin=margin,
        format=format,
        out=out,
        full=full,
    )


def history(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", autocompletion=completion.directories, help="List the results in DIR and below it.")
    ] = Path("results"),
    metric: Annotated[
        str | None, typer.Option(autocompletion=completion.metrics, help="Show this metric from run to run instead of the list of results.")
    ] = None,
    relative: Annotated[bool, typer.Option("--relative", help="Show the metric as a ratio to each run's own baseline.")] = False,
    by: Annotated[
        str,
        typer.Option(
            autocompletion=completion.history_orders, help="Group by date (result by result) or kernel (all results of a kernel together)."
        ),
    ] = "date",
    study: Annotated[str | None, typer.Option(help="Show only results of this study.")] = None,
    point: Annotated[str | None, typer.Option(help="Show only points with this in their name: chunk=64KiB.")] = None,
    variant: Annotated[str | None, typer.Option(autocompletion=completion.mechanisms, help="Show only this variant.")] = None,
    format: Annotated[str, typer.Option(autocompletion=completion.history_formats, help="Write this format: table or json.")] = "table",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Read all results again.")] = False,
    out: OutFile = None,
) -> None:
    """List the results of a directory, or show a metric from run to run."""
    from zcload.cli.history import run_history

    run_history(
        directory,
        metric=metric,
        relative=relative,
        by=by,
        study=study,
        point=point,
        variant=variant,
        format=format,
        rebuild=rebuild,
        out=out,
    )
