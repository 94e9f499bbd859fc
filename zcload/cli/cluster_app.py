"""`zcload cluster`: its commands and their options. Bodies import what they need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcload.cli import completion
from zcload.cli.options import Insecure, Set
from zcload.cli.plain_values import PlainCommand, PlainGroup

cluster_app = typer.Typer(
    cls=PlainGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Prepare and check the hosts of a study that runs on several (docs/cluster.md).",
)
ClusterName = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|ADDRESS",
        autocompletion=completion.studies,
        help="A config with a section [cluster], or a scheduler: tls://10.0.0.1:8786.",
    ),
]


@cluster_app.command(cls=PlainCommand)
def keys(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Write the three files here.")] = Path("zcload-keys"),
    days: Annotated[int, typer.Option(min=1, max=825, help="Let the certificates expire after this many days.")] = 30,
) -> None:
    """Make a CA, a certificate and a key for a cluster on trial."""
    from zcload.cli.cluster import write_keys

    write_keys(directory, days)


@cluster_app.command(cls=PlainCommand)
def up(
    hosts: Annotated[list[str], typer.Argument(metavar="HOST...", help="[USER@]HOST[:PORT][=sender|=receiver], each with SSH and zcload.")],
    scheduler: Annotated[str | None, typer.Option(metavar="HOST", help="Start the scheduler here. [default: the first host]")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Let the scheduler listen on this port.")] = 8786,
    python: Annotated[str | None, typer.Option(metavar="PATH", help="The Python on each host. [default: the path of this one]")] = None,
    keys: Annotated[Path, typer.Option(metavar="DIR", help="Copy these TLS files to each host; make them if there are none.")] = Path(
        "zcload-keys"
    ),
    keys_there: Annotated[str | None, typer.Option(metavar="DIR", help="Copy nothing: each host has the TLS files here.")] = None,
) -> None:
    """Start a scheduler and a worker on each host over SSH; the first half sends, the second half receives."""
    from zcload.cli.cluster_up import bring_up

    bring_up(hosts, scheduler=scheduler, port=port, python=python, keys=keys, keys_there=keys_there)


@cluster_app.command(cls=PlainCommand)
def check(
    name: ClusterName,
    set_: Set = None,
    insecure: Insecure = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 if something disturbs measurements there.")] = False,
) -> None:
    """Check who is there, versions, clocks, devices, and the path between each pair; exit with 1 if a study cannot run."""
    from zcload.cli.cluster import show_check

    raise typer.Exit(show_check(name, set_ or [], insecure=insecure, as_json=json, strict=strict))


@cluster_app.command(cls=PlainCommand)
def down(name: ClusterName, set_: Set = None, insecure: Insecure = False) -> None:
    """End the scheduler and all its workers."""
    from zcload.cli.cluster import take_down

    take_down(name, set_ or [], insecure=insecure)
