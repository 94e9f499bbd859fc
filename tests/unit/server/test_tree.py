"""A tree of processes is found whole, whatever its threads do meanwhile."""

from __future__ import annotations

import os
import subprocess

from zcload.server.tree import children


def test_a_thread_that_ends_hides_no_children(monkeypatch):
    """The children of a process's other threads are found though one of its threads has ended since they were listed."""
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            threads = os.listdir(f"/proc/{os.getpid()}/task")
            monkeypatch.setattr(os, "listdir", lambda path: ["4194305", *threads])  # above the largest PID_MAX_LIMIT
            assert child.pid in children(os.getpid())
        finally:
            child.kill()
