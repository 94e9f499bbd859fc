"""The installed command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys

from support.paths import CONFIGS


def zcload(*arguments, cwd, **more):
    """Run the command in *cwd* and return the finished process, its output as text."""
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent), "TERM": "dumb"}
    command = [sys.executable, "-m", "zcload", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False, **more)
