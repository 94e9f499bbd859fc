"""Measure one extra window of each lane with perf counters. It enters no other figure.

Attached counters cost something at every context switch. So they are attached for one window of a generation, which enters no other figure,
and only in the first `stop.min_generations` generations of a point.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from zcload.host.machine import Machine
from zcload.lane.contract import Lane, PlacedLane
from zcload.linux.perf_event import Ability, PerfCounters
from zcload.runner.window import measure

if TYPE_CHECKING:
    from zcload.cluster.bench import Bench


def count(placed: PlacedLane, able: Ability, open_s: float, machine: Machine | Bench) -> dict[str, Any] | None:
    """Open the lane's gate once and return what was counted of its senders, receivers and relays; None where zcload may not count them.

    The lane must be at rest. Raises LaneFailed, Interrupted.
    """
    lane = cast("Lane", placed)
    roles = {"senders": lane.observed_senders, "receivers": lane.observed_receivers}
    if lane.observed_relays:
        roles["relays"] = lane.observed_relays
    with ExitStack() as stack:
        counters = {}
        for role, processes in roles.items():
            try:
                counters[role] = PerfCounters((process.pid for process in processes), able)
            except OSError:
                return None
            stack.callback(counters[role].close)
        for each in counters.values():
            each.start()
        window = measure(lane, open_s, machine)
        counted = {role: each.read() for role, each in counters.items()}
    return {"kind": "counters", "lane": lane.name, "bytes": sum(after[1] - before[1] for before, after in window["receivers"]), **counted}
