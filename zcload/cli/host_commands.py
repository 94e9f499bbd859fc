"""The commands about this host and about configs: mechanisms, doctor, clean, init, schema.

Bodies import what they need, so that `zcload --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcload.cli import completion


def mechanisms(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every mechanism and sink, and whether this host can run it."""
    from zcload.cli.host import show_mechanisms

    show_mechanisms(json)


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 if something disturbs measurements here.")] = False,
) -> None:
    """Check this host for what disturbs measurements, and print remedies."""
    from zcload.cli.host import show_doctor

    show_doctor(json, strict)


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed.")] = False,
) -> None:
    """Remove what runs have left that were killed with SIGKILL: files in memory, servers, traces."""
    from zcload.cli.clean import clean

    clean(dry_run)


def init(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            autocompletion=completion.configs,
            help="Write this config here, with or without its folder: smoke, nginx [default: smoke].",
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the shipped configs and exit.")] = False,
    mechanism: Annotated[
        Path | None, typer.Option(metavar="FILE.py", help="Write a commented mechanism of your own that runs as it is, for `zcload run`.")
    ] = None,
) -> None:
    """Write a shipped, commented config into this directory, or a mechanism of your own."""
    from zcload.cli.configs import write_config, write_mechanism

    if mechanism is not None:
        write_mechanism(mechanism, name, list_)
    else:
        write_config(name, list_)


def schema(
    result: Annotated[bool, typer.Option("--result", help="Print the schema of summary.json instead of the config's.")] = False,
) -> None:
    """Print the JSON Schema of the config."""
    from zcload.cli.configs import show_schema

    show_schema(result)


def agent(
    coordinator: Annotated[str, typer.Option()],
    port: Annotated[int, typer.Option()],
    host: Annotated[str, typer.Option()],
    deadline: Annotated[int, typer.Option()],
) -> None:
    """Measure on this host for a coordinator. `zcload run` on a cluster starts it."""
    from zcload.cluster.agent import Errand, run_agent

    raise typer.Exit(run_agent(Errand(coordinator, port, host, deadline)))
