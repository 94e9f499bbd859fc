"""A fresh process that does not end when it is asked to: who waits for it comes back all the same."""

from __future__ import annotations

import signal
import subprocess

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
