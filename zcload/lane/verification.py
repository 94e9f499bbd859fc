"""The verification of a lane: what arrives on every connection is what the file holds, by SHA-256."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from zcload.errors import StudyError
from zcload.lane.board import VERIFY
from zcload.lane.contract import Lane
from zcload.lane.worker import Worker
from zcload.linux import interrupt
from zcload.model.timing import longest_transfer_s


def verify(lane: Lane, expected: Sequence[str], timeout_s: float) -> None:
    """Order the file to be moved once, and compare the receivers' digests with *expected*; raises StudyError, Interrupted.

    *timeout_s* is how long no byte may arrive.
    """
    workers = lane.workers
    for worker in workers.gated:
        workers.expect(worker, "ready", "setting up")
    lane.gate.order(VERIFY)
    plan = lane.transfer_plan
    most_s = longest_transfer_s(sum(end - start for start, end in lane.parts) if plan is None else sum(plan.catalogue.sizes))
    last = time.monotonic() + most_s
    found: dict[int, str] = {}
    for worker in workers.receivers:
        digests = _receive_while_moving(lane, worker, timeout_s, last).get("digests")
        if not isinstance(digests, dict):
            raise StudyError(f"{worker}: said no digests while verifying")
        found |= {int(number): digest for number, digest in digests.items()}
    wrong = [number for number, digest in enumerate(expected) if found.get(number) != digest]
    if wrong:
        raise StudyError(
            f"lane {lane.name}: what arrived on connection {wrong[0]} is not what the file holds"
            f" (SHA-256 {found.get(wrong[0], 'missing')[:16]}..., expected {expected[wrong[0]][:16]}...)"
        )
    for worker in workers.receivers:
        workers.expect(worker, "ready", "after verification")


def _receive_while_moving(lane: Lane, worker: Worker, timeout_s: float, last: float) -> dict[str, Any]:
    """Wait for a message from *worker* for as long as bytes keep arriving, until the time *last*, watching all workers."""
    seen, deadline = -1, time.monotonic() + timeout_s
    while True:
        try:
            message = worker.poll()
        except StudyError as error:
            raise lane.failure() or error from None
        if message is not None:
            return message
        interrupt.check()
        now = lane.received()
        if now != seen:
            seen, deadline = now, time.monotonic() + timeout_s
        failure = lane.failure()
        late = time.monotonic() > min(deadline, last)
        if (failure is not None or late) and (message := worker.poll()) is not None:
            return message  # it came while we looked
        if failure is not None:
            raise failure
        if late and time.monotonic() <= deadline:
            raise StudyError(f"lane {lane.name}: verification is too slow: only {now} bytes so far; {describe_state(lane)}")
        if late:
            raise StudyError(f"lane {lane.name}: verification stands still at {now} bytes for {timeout_s:.0f} s: {describe_state(lane)}")
        interrupt.wait(worker.control.fileno(), 0.05)


def describe_state(lane: Lane) -> str:
    """Describe what a lane that does not move is doing, for messages."""
    return f"{lane.sent()} bytes sent as of the last park, {lane.received()} received; {lane.workers.describe()}"
