"""Verify a lane: the bytes that arrive on every connection have the SHA-256 of the file's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zcload.errors import StudyError
from zcload.lane.board import VERIFY
from zcload.lane.contract import Lane
from zcload.lane.worker import Worker
from zcload.linux import interrupt
from zcload.linux.patience import Patience
from zcload.model.timing import longest_transfer_s


def verify(lane: Lane, expected: Sequence[str], timeout_s: float) -> None:
    """Order the file to be moved once, and compare the receivers' digests with *expected*; raises StudyError, Interrupted.

    *timeout_s* is how long no byte may arrive.
    """
    plan = lane.transfer_plan
    size = sum(end - start for start, end in lane.parts) if plan is None else sum(plan.catalogue.sizes)
    found = move_once(lane, timeout_s, longest_transfer_s(size))
    wrong = [number for number, digest in enumerate(expected) if found.get(number) != digest]
    if wrong:
        raise StudyError(wrong_digest(lane.name, wrong[0], found.get(wrong[0]), expected[wrong[0]]))


def wrong_digest(lane: str, connection: int | str, found: str | None, expected: str) -> str:
    """Return the message for wrong bytes on a *connection* of *lane*: SHA-256 *found* instead of *expected*."""
    what = f"lane {lane}: what arrived on connection {connection} is not what the file holds"
    return f"{what} (SHA-256 {(found or 'missing')[:16]}..., expected {expected[:16]}...)"


def move_once(lane: Lane, timeout_s: float, most_s: float) -> dict[int, str]:
    """Have the gated workers move the bytes to verify; return the SHA-256 of what arrived on each connection.

    Raises StudyError when nothing arrives for *timeout_s* or all has not arrived after *most_s*, Interrupted.
    """
    workers = lane.workers
    for worker in workers.gated:
        workers.expect(worker, "ready", "setting up")
    lane.gate.order(VERIFY)
    last = Patience(most_s)
    found: dict[int, str] = {}
    for worker in workers.receivers:
        digests = _receive_while_moving(lane, worker, timeout_s, last).get("digests")
        if not isinstance(digests, dict):
            raise StudyError(f"{worker}: said no digests while verifying")
        found |= {int(number): digest for number, digest in digests.items()}
    for worker in workers.receivers:
        workers.expect(worker, "ready", "after verification")
    return found


def _receive_while_moving(lane: Lane, worker: Worker, timeout_s: float, last: Patience) -> dict[str, Any]:
    """Wait for a message from *worker* for as long as bytes keep arriving, until *last* is over, watching all workers."""
    seen, still = -1, Patience(timeout_s)
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
            seen = now
            still.renew()
        failure = lane.failure()
        stalled, late = still.over(), last.over()
        if (failure is not None or stalled or late) and (message := worker.poll()) is not None:
            return message  # it came while we looked
        if failure is not None:
            raise failure
        if stalled:
            raise StudyError(f"lane {lane.name}: verification stands still at {now} bytes for {timeout_s:.0f} s: {describe_state(lane)}")
        if late:
            raise StudyError(f"lane {lane.name}: verification is too slow: only {now} bytes so far; {describe_state(lane)}")
        interrupt.wait(worker.control.fileno(), 0.05)


def describe_state(lane: Lane) -> str:
    """Describe what a lane that does not move is doing, for messages."""
    return f"{lane.sent()} bytes sent as of the last park, {lane.received()} received; {lane.workers.describe()}"
