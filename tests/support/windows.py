"""Windows that hold what a test looks at: on a busy machine a worker may get no CPU time in one, and comes late in most."""

from __future__ import annotations

import pytest

from zcload.errors import StudyError
from zcload.runner.window import measure

MOST = 200  # windows, which is seconds to a minute


def windows_until(lane, open_s, machine, holds):
    """Measure windows of *lane* until *holds* is true of one's record; return the records, that one last."""
    records = []
    for _ in range(MOST):
        records.append(measure(lane, open_s, machine))
        if holds(records[-1]):
            return records
    raise AssertionError(f"none of {MOST} windows of {open_s} s was what was waited for; the last: {records[-1]}")


def moved(record):
    """Say whether any sender has made a turn in the window."""
    return any(after[2] > before[2] for before, after in record["senders"])


def all_moved(record):
    """Say whether every sender and every receiver has moved bytes in the window."""
    return all(after[1] > before[1] for role in ("senders", "receivers") for before, after in record[role])


def moving_window(lane, open_s, machine):
    """Return the record of a window in which a sender had CPU time."""
    return windows_until(lane, open_s, machine, moved)[-1]


def failure_in_a_window(lane, open_s, machine, kind=StudyError, match=None):
    """Return the error that windows of *lane* end with, however many there are before it; it is of a *kind* and its text matches."""
    with pytest.raises(kind, match=match) as caught:
        windows_until(lane, open_s, machine, lambda record: False)
    return caught.value
