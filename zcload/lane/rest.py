"""The rule that says when a lane is at rest, and the readings taken then.

A lane is at rest when every sender has parked for this order, as many bytes have been received (and passed on, where there are
relays) as were sent, every thread of every process is blocked, and two readings of every CPU clock half a millisecond apart are
equal. Then no work of the window is left anywhere: acknowledgements, completions and the receivers' share are inside, and the
clocks are exact.

The processes of a server have timers and may never all be blocked at once. A server's lane also counts as at rest when nothing has moved
for `Lane.patience_s`; the lane counts how often.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from zcload.errors import StudyError
from zcload.lane.contract import Lane, observed
from zcload.lane.verification import describe_state
from zcload.linux import interrupt
from zcload.linux.patience import Patience
from zcload.model.timing import longest_transfer_s

_APART_S = 0.0005
LOOK_S = 0.001  # between looks while the lane still moves: each costs the coordinator a wake-up on a CPU it shares
LOOK_AFTER_WORKERS_S = 0.05
STALL_S = 10.0  # how long a lane on its way to rest may neither move a byte nor use CPU time
SPIN = 10  # how many times as long it may use CPU time without moving a byte, as one that reads a large file does


def clocks(lane: Lane) -> list[int]:
    """Read the CPU clock (ns) of every process of the lane, in the order of `observed`; raises StudyError if one has ended."""
    try:
        return [process.cpu_ns() for process in observed(lane)]
    except OSError:
        raise lane.failure() or StudyError(f"lane {lane.name}: a process of it has ended") from None


def _blocked(lane: Lane) -> bool:
    """Return whether every thread of every process is blocked; raises OSError if one has ended."""
    return all(process.blocked() for process in observed(lane))


def wait_for_rest(lane: Lane, stall_s: float = STALL_S, look: Callable[[], None] = interrupt.check) -> list[int]:
    """Wait until *lane* is at rest, calling *look* meanwhile, and return its CPU clocks there (ns, in the order of `observed`).

    Raises StudyError naming the cause if a worker fails or nothing moves for *stall_s*, Interrupted on a signal.
    """
    look_at = time.monotonic() + LOOK_AFTER_WORKERS_S
    watch: _Watch | None = None
    patience: Patience | None = None
    while True:
        if lane.gate.parked() and lane.all_arrived():
            if patience is None and lane.patience_s is not None:
                patience = Patience(lane.patience_s)
            first = clocks(lane)
            interrupt.pause(_APART_S)
            second = clocks(lane)
            try:
                if first == second and _blocked(lane) and lane.all_arrived():
                    lane.rests.total += 1
                    return second
                if patience is not None and patience.over() and lane.failure() is None:
                    lane.rests.total += 1
                    lane.rests.loose += 1
                    return second
            except (OSError, IndexError):
                raise lane.failure() or StudyError(f"lane {lane.name}: a process of it has ended") from None
        else:
            interrupt.pause(LOOK_S)
        look()
        now = time.monotonic()
        if now < look_at:
            continue
        look_at = now + LOOK_AFTER_WORKERS_S
        watch = watch or _Watch(lane, stall_s)
        watch.look()


class _Watch:
    """Watches a lane that takes long to come to rest."""

    def __init__(self, lane: Lane, stall_s: float) -> None:
        self._lane, self._bytes, self._cpu_ns = lane, -1, -1
        self._idle, self._unmoved = Patience(stall_s), Patience(SPIN * stall_s)
        # What is not ours may drip bytes for ever: after the gate has closed only the answers to the last requests are to come.
        self._total = Patience(longest_transfer_s(lane.burst_bytes * len(lane.parts)) if lane.patience_s is not None else math.inf)

    def look(self) -> None:
        """Raise StudyError if a process of the lane has ended, or it has stood still or taken too long."""
        lane = self._lane
        if (error := lane.failure()) is not None:
            raise error
        received, cpu_ns = lane.received(), sum(clocks(lane))
        if received != self._bytes:
            self._bytes = received
            self._idle.renew()
            self._unmoved.renew()
        if cpu_ns != self._cpu_ns:
            self._cpu_ns = cpu_ns
            self._idle.renew()
        if min(self._idle.look(), self._unmoved.look()) < 0.0:
            still_s = self._unmoved.seconds - self._unmoved.left_s
            raise StudyError(f"lane {lane.name} did not come to rest in {still_s:.0f} s: {describe_state(lane)}")
        if self._total.over():
            most = f"{self._total.seconds:.0f} s, though it still moves: its server is too slow to be measured"
            raise StudyError(f"lane {lane.name} did not come to rest in {most}; {describe_state(lane)}")
