"""The strict rule of rest, and the readings taken there.

A lane is at rest when every sender has parked for this order, as many bytes have been received as were sent, every thread of
every process is blocked, and two readings of every CPU clock half a millisecond apart are equal. Then no work of the window is
left anywhere: acknowledgements, completions and the receivers' share are inside, and the clocks are exact.
"""

from __future__ import annotations

import time

from zcload import interrupt
from zcload.errors import StudyError
from zcload.lane.lane import Lane
from zcload.lane.worker import process_state

_APART_S = 0.0005
_LOOK_S = 0.001  # between looks while the lane still moves: each costs the coordinator a wake-up on a CPU it shares
_LOOK_AFTER_WORKERS_S = 0.05
STALL_S = 10.0  # how long a lane may make no progress on its way to rest


def clocks(lane: Lane) -> list[int]:
    """Read the CPU clock (ns) of every process of the lane, senders first; raises StudyError if one has ended."""
    try:
        return [process.cpu_ns() for process in lane.observed]
    except OSError:
        raise lane.failure() or StudyError(f"lane {lane.name}: a process of it has ended") from None


def wait_for_rest(lane: Lane, stall_s: float = STALL_S) -> list[int]:
    """Wait until *lane* is at rest and return its CPU clocks there (ns, senders first).

    Raises StudyError naming the cause if a worker fails or nothing moves for *stall_s*, Interrupted on a signal.
    """
    look_at = time.monotonic() + _LOOK_AFTER_WORKERS_S
    seen, moved_at = -1, time.monotonic()
    while True:
        if lane.parked() and lane.sent() == lane.received():
            first = clocks(lane)
            interrupt.pause(_APART_S)
            second = clocks(lane)
            try:
                if first == second and all(process.blocked() for process in lane.observed) and lane.sent() == lane.received():
                    return second
            except (OSError, IndexError):
                raise lane.failure() or StudyError(f"lane {lane.name}: a process of it has ended") from None
        else:
            interrupt.pause(_LOOK_S)
        interrupt.check()
        now = time.monotonic()
        if now < look_at:
            continue
        look_at = now + _LOOK_AFTER_WORKERS_S
        error = lane.failure()
        if error is not None:
            raise error
        progress = lane.received() + sum(clocks(lane))
        if progress != seen:
            seen, moved_at = progress, now
        elif now - moved_at > stall_s:
            raise StudyError(f"lane {lane.name} did not come to rest in {stall_s:.0f} s: {_posture(lane)}")


def _posture(lane: Lane) -> str:
    """Describe what a lane that will not come to rest is doing."""
    workers = ", ".join(f"{worker.role} {worker.index} (pid {worker.pid}) {process_state(worker.pid)}" for worker in lane.workers[:6])
    return f"{lane.sent()} bytes sent as of the last park, {lane.received()} received; {workers}"
