"""A fresh process that does not end when it is asked to: who waits for it comes back all the same."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from zcload.errors import Interrupted
from zcload.linux import interrupt
from zcload.model.progress import nobody
from zcload.runner import fresh_process


def test_a_process_that_takes_no_signal_is_killed(monkeypatch):
    """A process that is stopped while a signal is passed on to it is killed when its time to end is over, and the run ends."""
    started = []

    class Kept(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Kept)
    monkeypatch.setattr(fresh_process, "_BOOT", "import signal; signal.pause()")
    monkeypatch.setattr(fresh_process, "_END_S", 0.05)
    monkeypatch.setattr(interrupt, "requested", signal.SIGTERM)  # which the process has blocked: it might as well be stopped
    with pytest.raises(Interrupted):
        fresh_process.converse("the run", "own_process", None, nobody, limit_s=600.0, end_s=0.1)
    assert [process.returncode for process in started] == [-signal.SIGKILL]


def test_a_process_leaves_at_once():
    """A process that has sent everything writes out what it has printed and ends with the code 0, without the interpreter's own end."""
    code = "import atexit; from zcload.runner.fresh_process import leave; atexit.register(print, 'late'); print('said'); leave()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("said\n", "")


def test_a_process_without_standard_output_leaves_without_a_word():
    """A process whose standard output is closed, as a daemon's may be, ends with the code 0 and no traceback."""
    command = ["sh", "-c", 'exec "$0" -c "from zcload.runner.fresh_process import leave; leave()" >&-', sys.executable]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
