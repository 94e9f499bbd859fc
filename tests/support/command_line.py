"""The command, run as a user runs it, or in this process where only its answers matter."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from support.paths import CONFIGS

from zcload.cli.command_line import run_command_line


def zcload(*arguments, cwd, **more):
    """Run the command in *cwd* and return the finished process, its output as text."""
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent), "TERM": "dumb"}
    command = [sys.executable, "-m", "zcload", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False, **more)


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
