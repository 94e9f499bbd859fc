"""The command line: its help, the options before a command, and the commands in the order of the help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from zcload import __version__
from zcload.cli import host_commands, measure_commands, result_commands
from zcload.cli.cluster_app import cluster_app
from zcload.cli.options import SeveralNew
from zcload.cli.plain_values import PlainCommand, PlainGroup

EXAMPLES = """\b
Examples:
  zcload demo                      the experiment of 2015, in one command
  zcload run smoke                 a first study, some 10 s
  zcload run nginx                 does sendfile help nginx?
  zcload run cold --file FILE      my own file, from the disk?
  zcload init --list               what else: small files, TLS, proxies
  zcload run read_send sendfile --chunk 64KiB --time 20s --save my.toml
  zcload crossover --sweep chunk read_send sendfile   from which chunk on?
  zcload receive 0.0.0.0           on one host, and on another:
  zcload send FILE HOST --via read_send,sendfile --repeat 5
  zcload compare before --new after --fail-if 'total_cpu_s_per_gb > +10%'
  zcload report results/NAME --format csv --out figures.csv
  zcload report results/NAME --section missing   why is a figure missing?
"""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"zcload {__version__}")
        raise typer.Exit


def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Options before the command."""
    if context.invoked_subcommand is None:
        print(context.get_help())


CLUSTER, AGENT = "cluster", "_agent"
# Each with its line in `zcload --help`, which cuts what is longer than 62 characters.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "run": (measure_commands.run, "Run a study and print its report: a config, or mechanisms"),
    "crossover": (measure_commands.crossover, "Find the chunk, file size or rate from which on B beats A"),
    "demo": (measure_commands.demo, "Repeat the experiment of 2015, with a fair copy loop"),
    "receive": (measure_commands.receive, "Receive files over TCP (in 2015: zerocopyserver)"),
    "send": (measure_commands.send, "Send a file (in 2015: copyclient, zerocopyclient)"),
    "report": (result_commands.report, "Show stored results, or write them as html, csv and others"),
    "compare": (result_commands.compare, "Compare stored results with others; gates for CI"),
    "history": (result_commands.history, "List stored results, or show a metric from run to run"),
    "mechanisms": (host_commands.mechanisms, "List mechanisms and sinks, and which work on this host"),
    "doctor": (host_commands.doctor, "Check this host for what disturbs measurements"),
    "clean": (host_commands.clean, "Remove what runs have left that were killed"),
    "init": (host_commands.init, "Write a shipped config, or a mechanism of your own"),
    "schema": (host_commands.schema, "Print the JSON Schema of the config"),
}


def make_app(names: Iterable[str]) -> typer.Typer:
    """Return the app with the commands *names* alone. typer builds every command that an app has, which takes 2 ms each."""
    app = typer.Typer(
        cls=PlainGroup,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Measure what zero-copy saves: CPU and throughput of every way Linux has to move a file into a socket.",
        epilog=EXAMPLES,
    )
    app.callback(invoke_without_command=True)(root)
    for name in names:
        if name == CLUSTER:
            app.add_typer(cluster_app, name=CLUSTER, short_help="Prepare and end the hosts of a study on several")
        elif name == AGENT:
            app.command(AGENT, cls=PlainCommand, hidden=True)(host_commands.agent)
        else:
            command, line = COMMANDS[name]
            app.command(name, cls=SeveralNew if name == "compare" else PlainCommand, short_help=line)(command)
    return app


ALL = (*COMMANDS, CLUSTER, AGENT)
app = make_app(ALL)
