"""Measure one extra window of each lane with perf counters. It enters no other figure.

Attached counters cost something at every context switch. So they are there for one window of a generation, which enters no
other figure, and only in the least number of generations that a point has.
"""

from __future__ import annotations

from typing import Any, cast

from zcload.cluster.bench import Bench
from zcload.host.machine import Machine
from zcload.lane.contract import Lane, PlacedLane
from zcload.linux.perf_event import Ability, PerfCounters
from zcload.runner.window import measure


def count(placed: PlacedLane, able: Ability, open_s: float, machine: Machine | Bench) -> dict[str, Any] | None:
    """Open the lane's gate once and return what was counted of its senders and receivers; None where they are not ours to count.

    The lane must be at rest. Raises LaneFailed, Interrupted.
    """
    lane = cast(Lane, placed)
    try:
        senders = PerfCounters((process.pid for process in lane.observed_senders), able)
    except OSError:
        return None
    try:
        receivers = PerfCounters((process.pid for process in lane.observed_receivers), able)
    except OSError:
        senders.close()
        return None
    try:
        senders.start()
        receivers.start()
        window = measure(lane, open_s, machine)
        counted = {"senders": senders.read(), "receivers": receivers.read()}
    finally:
        senders.close()
        receivers.close()
    return {"kind": "counters", "lane": lane.name, "bytes": sum(after[1] - before[1] for before, after in window["receivers"]), **counted}
