"""Waiting for a descriptor: it ends when there is something to read or the time is up, whatever the descriptor's number."""

from __future__ import annotations

import os
import resource
import time
from types import SimpleNamespace

import pytest

from zcload.errors import TimeLimitExceeded
from zcload.linux import interrupt, patience

HIGH = 1500  # select(2) takes descriptors below 1024


@pytest.fixture
def pipe():
    """Return a pipe whose reading end has a number that select would refuse."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard <= HIGH:
        pytest.skip(f"the hard limit of open files is {hard} (ulimit -Hn {HIGH + 1})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, HIGH + 1), hard))
    reader, writer = os.pipe()
    os.dup2(reader, HIGH)
    yield writer
    for fd in (reader, writer, HIGH):
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_ends_when_there_is_something_to_read(pipe):
    """What is there to be read ends the wait long before its time, above descriptor 1023 too."""
    os.write(pipe, b"x")
    start = time.monotonic()
    interrupt.wait(HIGH, 60.0)
    assert time.monotonic() - start < 30.0


def test_it_ends_with_its_time(pipe):
    """With nothing to read the wait lasts as long as it was asked to."""
    start = time.monotonic()
    interrupt.wait(HIGH, 0.05)
    assert time.monotonic() - start >= 0.049


def test_nobody_waits_once_the_end_was_asked_for(pipe, monkeypatch):
    """A signal that asked for the end before ends every later wait at once."""
    monkeypatch.setattr(interrupt, "requested", 15)
    start = time.monotonic()
    interrupt.wait(HIGH, 60.0)
    assert time.monotonic() - start < 30.0


def test_a_limit_ends_what_looks_at_it(monkeypatch):
    """Within `limited`, `check` raises once the time is over and says what was being done; the limit that is over first counts."""
    now = [100.0]
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with interrupt.limited(10.0, lambda: "outer"):
        with interrupt.limited(5.0, lambda: "making a file"):
            interrupt.check()
            now[0] += 3.0
            interrupt.check()
            now[0] += 3.0
            with pytest.raises(TimeLimitExceeded, match=r"^making a file: not done after 5 s, the limit of this phase$"):
                interrupt.check()
        now[0] += 3.0
        interrupt.check()
        now[0] += 2.0
        with interrupt.limited(60.0, lambda: "inner"), pytest.raises(TimeLimitExceeded, match=r"^outer"):
            interrupt.check()
    interrupt.check()
