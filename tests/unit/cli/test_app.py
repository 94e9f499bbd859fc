"""The help of the commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from zcload.cli import stored_help
from zcload.cli.app import app


@pytest.mark.parametrize(
    "command", [[], *[[name] for name in get_command(app).commands]], ids=lambda words: words[0] if words else "zcload"
)
def test_help_fits_into_80_columns(command):
    """The help of every command fits into a terminal of 80 columns."""
    shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert [line for line in shown.stdout.splitlines() if len(line) > 80] == []


def test_the_list_of_commands_cuts_no_line():
    """Each command has a line in the list that fits into 80 columns whole: what is cut off is what a newcomer looks for."""
    shown = CliRunner().invoke(app, ["--help"], terminal_width=80).stdout
    lines = shown.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == [name for name, command in get_command(app).commands.items() if not command.hidden]
    assert [line for line in lines if line.endswith("...")] == []


def test_the_examples_are_commands():
    """Each example in the help is a command line that zcload parses: its command, its options and their number."""
    shown = CliRunner().invoke(app, ["--help"], terminal_width=80).stdout
    examples = [shlex.split(line.strip().split("   ")[0]) for line in shown.split("Examples:")[1].splitlines() if line.strip()]
    assert len(examples) > 7
    for program, name, *arguments in examples:
        assert program == "zcload"
        get_command(app).commands[name].make_context(name, arguments)


def test_the_stored_help_is_what_typer_says(golden, monkeypatch):
    """`zcload --help` prints the text that typer makes of the commands today, on a terminal of 80 columns or more."""
    for columns in ("80", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        golden(Path(stored_help.FILE), CliRunner().invoke(app, ["--help"], prog_name="zcload").stdout)
        assert stored_help.stored_help() == Path(stored_help.FILE).read_text(encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "60")
    assert stored_help.stored_help() is None  # typer breaks the lines
    assert stored_help.stored_answer(["--version"]) == CliRunner().invoke(app, ["--version"]).stdout
    assert stored_help.stored_answer(["run", "--help"]) is None
