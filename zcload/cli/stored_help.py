"""The text of `zcload --help`, stored so that printing it imports nothing else. A test compares it with what typer says."""

import os
from collections.abc import Sequence

from zcload import __version__

COLUMNS = 80  # of the terminal, from which on the text is the same: typer breaks its lines no later
COMPLETION = "_ZCLOAD_COMPLETE"  # the variable by which typer's completion scripts ask
FILE = os.path.join(os.path.dirname(__file__), "help.txt")


def stored_answer(arguments: Sequence[str]) -> str | None:
    """Return what zcload prints for *arguments* that ask for its help or version alone; None for all others."""
    if COMPLETION in os.environ:  # the shell asks for completions, without arguments
        return None
    if arguments == ["--version"]:
        return f"zcload {__version__}\n"
    return stored_help() if arguments in ([], ["-h"], ["--help"]) else None


def stored_help() -> str | None:
    """Return the text; None on a narrower terminal, for which typer breaks the lines."""
    if _terminal_columns() < COLUMNS:
        return None
    with open(FILE, encoding="utf-8") as file:
        return file.read()


def _terminal_columns() -> int:
    """Return the width that shutil.get_terminal_size() does, which takes long to import."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or COLUMNS
    except OSError:
        return COLUMNS
