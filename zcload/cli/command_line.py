"""Run the command that the arguments name, print errors on stderr, and return the exit code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from zcload.cli.app import ALL, app, make_app
from zcload.errors import ConfigError, Problem, StudyError, ZcloadError, path_error

_EMPTY = re.compile(r"(?:--[a-z-]+=)?")


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* (default: those of the process) name; print errors; return the exit code."""
    words = sys.argv[1:] if arguments is None else [*arguments]
    try:
        _check_empty(words)
        named = make_app(words[:1]) if words and words[0] in ALL else app
        code = named(args=words, standalone_mode=False, prog_name="zcload")
    except ZcloadError as error:
        return _fail(error)
    except Exception as error:
        from zcload.cli.usage_errors import usage_error

        usage = _without_directory(error) or usage_error(error, _command(words)) or _out_of_resource(error) or path_error(error)
        if usage is None:
            raise
        return _fail(usage)
    return code if isinstance(code, int) else 0


def _command(words: Sequence[str]) -> str:
    """Return "zcload" and the command that *words* begin with."""
    return " ".join(("zcload", *words[:1])) if words and words[0] in ALL else "zcload"


def _check_empty(words: Sequence[str]) -> None:
    """Raise ConfigError for an argument without text: as a path it would mean the current directory."""
    for before, word in zip(("zcload", *words), words, strict=False):
        if _EMPTY.fullmatch(word):
            key = word.removesuffix("=") or (before if before.startswith("--") else None)
            what = "its value is empty" if word else f"the argument after {before!r} is empty"
            raise ConfigError(Problem(what, key=key, remedy="is a variable of the shell not set?"))


def _without_directory(error: Exception) -> ConfigError | None:
    """Return what is wrong if *error* comes of a working directory that has been removed; None if that is there."""
    if not isinstance(error, FileNotFoundError):
        return None
    try:
        os.getcwd()
    except FileNotFoundError:
        return ConfigError(Problem("the working directory has been removed", remedy="cd to one that is there"))
    return None


def _out_of_resource(error: Exception) -> StudyError | None:
    """Return what is wrong if *error* comes of a limit; None if it has another cause."""
    from zcload.host.process_limits import out_of_resource

    what = out_of_resource(error)
    return None if what is None else StudyError(what)


def _fail(error: ZcloadError) -> int:
    for line in str(error).splitlines():
        print(f"zcload: error: {line}", file=sys.stderr)
    return error.exit_code
