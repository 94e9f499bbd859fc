"""Processes of a run that was started as a process of its own, found by a mark that all of them inherit; and waiting for them."""

from __future__ import annotations

import time

import psutil

MARK = "ZCLOAD_TEST_MARK"


def marked(mark):
    """Return the living processes whose environment has MARK with the text of *mark*, whoever their parents are by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(mark) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(condition, seconds):
    """Wait until *condition* holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
