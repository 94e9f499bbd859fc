"""The help of every command, stored so that printing it imports nothing else. A test compares the texts with what typer says."""

import os
from collections.abc import Sequence

from zcload import __version__

COLUMNS = 80  # of the terminal, from which on the text is the same: typer breaks its lines no later
COMPLETION = "_ZCLOAD_COMPLETE"  # the variable by which typer's completion scripts ask
FOLDER = os.path.join(os.path.dirname(__file__), "help")
HELP = ("-h", "--help")


def stored_answer(arguments: Sequence[str]) -> str | None:
    """Return what zcload prints for *arguments* that only ask for its version or for help on a command; None for all others."""
    if COMPLETION in os.environ:  # the shell asks for completions, without arguments
        return None
    if arguments == ["--version"]:
        return f"zcload {__version__}\n"
    if not arguments:
        return stored_help()
    return stored_help(*arguments[:-1]) if arguments[-1] in HELP else None


def stored_help(*command: str) -> str | None:
    """Return the help of zcload or of a *command*: "cluster", "keys". None if there is no such command, or on a narrower terminal."""
    if _terminal_columns() < COLUMNS or not all(word.isalpha() for word in command):
        return None
    try:
        with open(file_of(*command), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None  # not a command, or so long that it cannot be a file's name: typer says so


def file_of(*command: str) -> str:
    """Return the path of the text that belongs to a *command*."""
    return os.path.join(FOLDER, "-".join(("zcload", *command)) + ".txt")


def _terminal_columns() -> int:
    """Return the width that shutil.get_terminal_size() does, which takes long to import."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or COLUMNS
    except OSError:
        return COLUMNS
