"""Processes of a run that was started as a process of its own, found by a mark that all of them inherit; and waiting for them."""

from __future__ import annotations

import time

import psutil

MARK = "ZCLOAD_TEST_MARK"
_LONGEST_STEP_S = 0.5  # a step of `wait_until` that took longer: this process was stopped, or starved
_STOPPED_S = 3.0
stopped_at = 0.0  # when this process last found that it had been stopped (time.monotonic)


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


def command_of(process):
    """Return the command line of *process* as one text; empty if it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_until(condition, seconds):
    """Wait until *condition* holds; return whether it did in time. Moments in which this process was stopped itself hardly count."""
    global stopped_at
    left, last = seconds, time.monotonic()
    while not condition():
        if left < 0:
            return False
        time.sleep(0.02)
        now = time.monotonic()
        left -= min(now - last, _LONGEST_STEP_S)
        if now - last > _STOPPED_S:
            stopped_at = now
        last = now
    return True
