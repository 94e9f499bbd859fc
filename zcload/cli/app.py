"""The command line: its help, the options before a command, and the commands in the order of the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from zcload import __version__
from zcload.cli import host_commands, measure_commands, result_commands
from zcload.cli.cluster_app import cluster_app
from zcload.cli.options import SeveralNew

EXAMPLES = """\b
Examples:
  zcload demo                      the experiment of 2015, in one command
  zcload run smoke                 a first study, some 10 s
  zcload run nginx                 does sendfile help nginx?
  zcload run read_send sendfile --chunk 64KiB --time 20s --save my.toml
  zcload crossover --sweep chunk read_send sendfile   from which chunk on?
  zcload receive 0.0.0.0           on one host, and on another:
  zcload send FILE HOST --via read_send,sendfile --repeat 5
  zcload compare before --new after --fail-if 'total_cpu_s_per_gb > +10%'
  zcload report results/NAME --format csv --out figures.csv
"""

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure what zero-copy saves: CPU and throughput of every way Linux has to move a file into a socket.",
    epilog=EXAMPLES,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"zcload {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Options before the command."""
    if context.invoked_subcommand is None:
        print(context.get_help())


# Each with its line in `zcload --help`, which cuts what is longer than 62 characters.
COMMANDS: dict[Callable[..., None], str] = {
    measure_commands.run: "Run a study and print its report: a config, or mechanisms",
    measure_commands.crossover: "Find the chunk, file size or rate from which on B beats A",
    measure_commands.demo: "Repeat the experiment of 2015, with a fair copy loop",
    measure_commands.receive: "Receive files over TCP (in 2015: zerocopyserver)",
    measure_commands.send: "Send a file (in 2015: copyclient, zerocopyclient)",
    result_commands.report: "Show stored results, or write them as html, csv and others",
    result_commands.compare: "Compare stored results with others; gates for CI",
    result_commands.history: "List stored results, or show a metric from run to run",
    host_commands.mechanisms: "List mechanisms and sinks, and which work on this host",
    host_commands.doctor: "Check this host for what disturbs measurements",
    host_commands.clean: "Remove what runs have left that were killed",
    host_commands.init: "Write a shipped config, or a mechanism of your own",
    host_commands.schema: "Print the JSON Schema of the config",
}
for command, line in COMMANDS.items():
    app.command(cls=SeveralNew if command is result_commands.compare else None, short_help=line)(command)
app.add_typer(cluster_app, name="cluster", short_help="Prepare and end the hosts of a study on several")
app.command("_agent", hidden=True)(host_commands.agent)
