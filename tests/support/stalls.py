"""Windows in which a process stands still: when it stood, and each transfer of the window."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from zcload.lane.rest import wait_for_rest
from zcload.lane.worker import process_state

WINDOW_S, STALL_S = 0.8, 0.3
BEFORE = 50  # transfers that are done before the stall
ATTEMPTS = 10


@dataclass(frozen=True)
class Transfer:
    """When a transfer was due, begun and done (CLOCK_MONOTONIC, ns); a closed loop begins all at once when due and says so of none."""

    due_ns: int
    begun_ns: int
    done_ns: int

    @property
    def latency_ns(self):
        return self.done_ns - self.due_ns


@dataclass(frozen=True)
class Stall:
    """From when until when the process stood still, and the transfers of the window, sender by sender."""

    stood_ns: int
    ended_ns: int
    transfers: list[Transfer]

    @property
    def latencies(self):
        """Return the latencies of all transfers, ns."""
        return [each.latency_ns for each in self.transfers]

    @property
    def due_meanwhile(self):
        """Return the transfers that were due while the process stood still."""
        return [each for each in self.transfers if self.stood_ns <= each.due_ns < self.ended_ns]

    @property
    def under_way(self):
        """Return the transfers that were due before the process ran again, and were not done before it stood still."""
        return [each for each in self.transfers if each.due_ns < self.ended_ns and each.done_ns >= self.stood_ns]


def _seen(log, before):
    """Return how many transfers have begun since the senders' numbers *before*, and how many are done; the log must not have been full."""
    counts = [0, 0]
    for sender, first in enumerate(before):
        for which, ring in enumerate((log.due(sender), log.done(sender))):
            with ring:
                number = first
                while ring[number % log.capacity]:
                    number += 1
            counts[which] += number - first
    return counts


def _transfers(log, before, after):
    """Return the transfers that the senders' numbers *before* and *after* enclose."""
    found = []
    for sender, (first, last) in enumerate(zip(before, after, strict=True)):
        with log.due(sender) as due, log.begun(sender) as begun, log.done(sender) as done:
            found += [Transfer(*(ring[n % log.capacity] for ring in (due, begun, done))) for n in range(first, last)]
    return found


def _wait(fact):
    while not fact():
        time.sleep(0.001)


def stalled_window(lane, pid):
    """Stop process *pid* for STALL_S or longer within a window of *lane*; return the Stall.

    When it stops, transfers have been done in this window, and one at least is under way. On a busy machine the window may be over
    before the stall is: then the next one is taken.
    """
    log, closed = lane.transfer_plan.log, lane.transfer_plan.closed
    for _ in range(ATTEMPTS):
        before = lane.read().transfers[0]
        until_ns = lane.gate.open(WINDOW_S) + WINDOW_S * 1e9
        _wait(lambda: _seen(log, before)[1] >= BEFORE)  # noqa: B023 - called at once
        os.kill(pid, signal.SIGSTOP)
        try:
            _wait(lambda: process_state(pid).startswith("T"))
            if closed:
                _wait(lambda: _seen(log, before)[0] > _seen(log, before)[1])  # noqa: B023 - called at once
            stood_ns = time.monotonic_ns()
            time.sleep(STALL_S)
            ended_ns = time.monotonic_ns()
        finally:
            os.kill(pid, signal.SIGCONT)
        time.sleep(max(0.0, until_ns / 1e9 - time.monotonic()))
        lane.gate.close()
        wait_for_rest(lane)
        if ended_ns < until_ns:
            return Stall(stood_ns, ended_ns, _transfers(log, before, lane.read().transfers[0]))
    raise AssertionError(f"none of {ATTEMPTS} windows of {WINDOW_S} s held a stall of {STALL_S} s")
