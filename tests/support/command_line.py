"""The command, run as a user runs it, or in this process where only its answers matter."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from support.paths import CONFIGS

from zcload.cli.command_line import run_command_line

COMMAND = (sys.executable, "-m", "zcload")


def run_of(config, out, *options):
    """Return the words of a `zcload run` of *config* into *out* without wait for quiet, progress and page: they take the most time."""
    return [*COMMAND, "run", "--no-wait", "--no-progress", "--no-html", str(config), "--out", str(out), *map(str, options)]


def zcload(*arguments, cwd, **more):
    """Run the command in *cwd* and return the finished process, its output as text."""
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent), "TERM": "dumb"}
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False, **more)


@dataclass(frozen=True)
class Invoked:
    """What a command did: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def invoke(capsys, *arguments):
    """Run the command in this process, which takes a tenth of the time, and return what it did."""
    capsys.readouterr()
    code = run_command_line([str(argument) for argument in arguments])
    return Invoked(code, *capsys.readouterr())
