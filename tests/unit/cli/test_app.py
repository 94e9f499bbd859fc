"""The help of the commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from zcload.cli import stored_help
from zcload.cli.app import app, make_app
from zcload.cli.plain_values import PLAIN


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


def each_command(group=None, *words):
    """Yield the words of zcload and of each command that its help lists, those of groups included."""
    group = group or get_command(app)
    yield words
    for name, command in getattr(group, "commands", {}).items():
        if not command.hidden:
            yield from each_command(command, *words, name)


def test_every_stored_help_is_what_typer_says(golden, monkeypatch):
    """The stored help of every command is the text that typer makes of it today, on a terminal of 80 columns or more."""
    commands = list(each_command())
    assert ("cluster", "keys") in commands
    for columns in ("80", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        for words in commands:
            golden(Path(stored_help.file_of(*words)), CliRunner().invoke(app, [*words, "--help"], prog_name="zcload").stdout)
            assert stored_help.stored_answer([*words, "-h"]) == Path(stored_help.file_of(*words)).read_text(encoding="utf-8")
    assert {path.name for path in Path(stored_help.FOLDER).iterdir()} == {Path(stored_help.file_of(*words)).name for words in commands}


def test_what_is_not_stored_is_left_to_typer(monkeypatch):
    """A narrow terminal, a word that is no command and arguments beside --help get their answer from typer."""
    monkeypatch.setenv("COLUMNS", "80")
    assert stored_help.stored_answer(["--version"]) == CliRunner().invoke(app, ["--version"]).stdout
    others = (["no", "--help"], ["../run", "--help"], ["run", "smoke", "--help"], ["--help", "run"], ["run"], ["_agent", "--help"])
    for arguments in (*others, ["a" * 300, "--help"]):
        assert stored_help.stored_answer(arguments) is None
    monkeypatch.setenv("COLUMNS", "60")
    assert stored_help.stored_help() is None  # typer breaks the lines


PLAIN_WORDS = ["x", "results/a b", "", "-", "ü", "~"]


def test_plain_values_are_what_typer_makes_of_them():
    """What a command makes of text, of nothing and of defaults itself is what typer would make of it, for every parameter there is."""
    kinds = set()
    for words in each_command():
        command = get_command(app)
        for word in words:
            command = command.commands[word]
        context = typer.Context(command, info_name="zcload")
        for parameter in command.get_params(context):
            by_typer = type(parameter).process_value.__get__(parameter)
            several = parameter.multiple or parameter.nargs == -1
            default = parameter.get_default(context)
            for value in (default, PLAIN_WORDS if several else None, *([] if several else PLAIN_WORDS)):
                if parameter.callback is not None and value:
                    continue  # prints and exits
                kinds.add((parameter.type_descriptor.annotation, type(value)))
                assert outcome(parameter.process_value, context, value) == outcome(by_typer, context, value), parameter.name
    assert {annotation for annotation, _ in kinds} >= {*PLAIN, bool, int}


def outcome(convert, *arguments):
    """Return what *convert* returns, or the message and kind of what it raises."""
    try:
        return convert(*arguments)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("words", [*each_command()], ids=" ".join)
def test_each_command_parses_alone_as_among_all_others(words):
    """zcload builds only the command that its arguments name, and that parses and refuses as the whole does."""
    arguments = [*words, "--no-such-option"]
    alone = CliRunner().invoke(make_app(words[:1]), arguments, prog_name="zcload")
    among = CliRunner().invoke(app, arguments, prog_name="zcload")
    assert (alone.exit_code, alone.output) == (among.exit_code, among.output)
    assert alone.exit_code == 2
