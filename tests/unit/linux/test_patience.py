"""Waiting in time that counts only while this process runs: limits of phases, replicates, lanes on their way to rest."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest

from zcload.errors import StudyError, TimeLimitExceeded
from zcload.lane import rest
from zcload.linux import interrupt, patience
from zcload.linux.patience import Patience
from zcload.model.progress import nobody
from zcload.runner import fresh_process
from zcload.runner.replicate import Done

AN_HOUR_S = 3600.0


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that only the test moves, in the list's one element."""
    now = [100.0]
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_it_ends_after_its_time(clock):
    """Looks that come often count in full, and renewing begins anew."""
    waiting = Patience(2.0)
    for _ in range(4):
        clock[0] += 0.5
        assert not waiting.over()
    waiting.renew()
    clock[0] += 0.5
    assert waiting.look() == pytest.approx(1.5)


def test_time_in_which_nobody_looked_hardly_counts(clock):
    """A process that was stopped for an hour, twice, has used two steps of its patience."""
    waiting = Patience(10.0, longest_step_s=3.0)
    for left in (7.0, 4.0):
        clock[0] += AN_HOUR_S
        assert waiting.look() == pytest.approx(left)


def test_a_phase_is_not_over_because_it_was_stopped(clock):
    """Within `limited`, `check` passes after an hour in which the process was stopped, and raises when the phase itself takes too long."""
    with interrupt.limited(30.0, lambda: "measuring"):
        clock[0] += AN_HOUR_S
        interrupt.check()
        clock[0] += 4.0
        interrupt.check()
        for _ in range(5):
            clock[0] += 4.0
            interrupt.check()
        clock[0] += 4.0
        with pytest.raises(TimeLimitExceeded, match=r"^measuring: not done after 30 s, the limit of this phase$"):
            interrupt.check()


class SilentReplicate:
    """A replicate that says nothing until its *answer_at*-th look; each look lasts *look_s*, however short it was to be."""

    pid = 1 << 30

    def __init__(self, clock, look_s=None, answer_at=None):
        self.clock, self.look_s, self.answer_at, self.looks = clock, look_s, answer_at, 0

    def fileno(self):
        return -1

    def wait(self, fd, seconds):
        self.looks += 1
        self.clock[0] += self.look_s or seconds + 0.001

    def poll(self, seconds):
        return self.looks == self.answer_at

    def recv(self):
        return Done([], None, None)


@pytest.fixture
def listen(clock, monkeypatch):
    """Return a function that listens to a replicate for 300 s, and who was killed."""
    killed = []
    monkeypatch.setattr(os, "kill", lambda pid, signum: killed.append((pid, signum)))

    def call(replicate):
        monkeypatch.setattr(interrupt, "wait", replicate.wait)
        return fresh_process._listen("replicate 1", replicate, replicate, nobody, 300.0, 10.0)

    return call, killed


def test_a_run_that_was_stopped_waits_on_for_its_replicate(clock, listen):
    """Ctrl-Z for an hour, three times: the replicate, which waited too, is not killed for it."""
    call, killed = listen
    assert isinstance(call(SilentReplicate(clock, AN_HOUR_S, answer_at=3)), Done)
    assert killed == []


def test_a_replicate_that_stands_still_is_killed_at_its_limit(clock, listen):
    """One that says nothing for as long as it may take in all is killed, and the error says so."""
    call, killed = listen
    with pytest.raises(StudyError, match=r"not done after 300 s, its limit"):
        call(SilentReplicate(clock))
    assert killed == [(SilentReplicate.pid, signal.SIGKILL)]


@pytest.fixture
def watch(clock, monkeypatch):
    """Return the watch over a lane in which nothing moves."""
    monkeypatch.setattr(rest, "clocks", lambda lane: [7])
    monkeypatch.setattr(rest, "describe_state", lambda lane: "nothing moves")
    lane = SimpleNamespace(name="l", failure=lambda: None, received=lambda: 5, patience_s=None, burst_bytes=1, parts=((0, 1),))
    return rest._Watch(lane, 10.0)


def test_a_lane_that_was_stopped_does_not_stand_still(clock, watch):
    """After an hour in which all processes were stopped the lane has its time to come to rest."""
    watch.look()
    clock[0] += AN_HOUR_S
    watch.look()


def test_a_lane_that_stands_still_is_told(clock, watch):
    """Looked at every second, a lane in which nothing moves fails after ten."""
    watch.look()
    for _ in range(10):
        clock[0] += 1.0
        watch.look()
    clock[0] += 1.0
    with pytest.raises(StudyError, match=r"^lane l did not come to rest in 11 s: nothing moves"):
        watch.look()
