"""Run a block: one pass over the lanes in random order, judged for contamination, and repeated if contaminated.

With more than four lanes they are dealt into groups of at most three contenders, each group with a baseline lane of its own.
So the two windows of a pair stay close in time, and every lane, the baseline's too, has one window in a block: a baseline
that ran in every group would be the warmest lane of all, and look cheaper than itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zcload.host.machine import TICKS_PER_S, Machine, busy_s, capacity_s, irq_s, steal_s
from zcload.lane.contract import Lane
from zcload.linux import interrupt
from zcload.model.timing import CONTENDERS_PER_GROUP
from zcload.runner.window import measure, measure_together

FOREIGN_LIMIT = 0.05  # of the machine's CPU time: more foreign CPU or steal than that contaminates a block
REPEAT_LIMIT = 0.25  # of the blocks: so many may be repeated

Emit = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Tolerance:
    """How many blocks a point has had, and how many of them were repeats; interrupts count as ours where the kernel keeps them apart."""

    interrupts_apart: bool
    blocks: int = 0
    repeats: int = 0

    def may_repeat(self) -> bool:
        return self.repeats + 1 <= REPEAT_LIMIT * (self.blocks + 1)


def groups_of(contenders: Sequence[str], rng: random.Random) -> list[list[str]]:
    """Deal *contenders* at random into as few groups as allowed, of sizes as equal as can be."""
    shuffled = list(contenders)
    rng.shuffle(shuffled)
    count = max(1, -(-len(shuffled) // CONTENDERS_PER_GROUP))
    return [shuffled[i::count] for i in range(count)]


def run_block(
    groups: Sequence[dict[str, Lane]],
    *,
    label: dict[str, Any],
    open_s: float,
    together: bool,
    machine: Machine,
    rng: random.Random,
    record: Emit,
    tolerance: Tolerance | None,
    between: Callable[[], None],
) -> None:
    """Measure one block of the *groups* of lanes and record it; *label* goes into every record, *between* is called after each window.

    A contaminated block is repeated while the *tolerance* allows, then kept; with no tolerance (warm-ups) it is never judged.
    Raises LaneFailed and Interrupted with the block recorded as abandoned.
    """
    attempt = 0
    while True:
        start, own = machine.read().as_list(), time.process_time_ns()
        used_ns = 0
        try:
            for number in rng.sample(range(len(groups)), len(groups)):
                order = rng.sample(list(groups[number].values()), len(groups[number]))
                windows = measure_together(order, open_s, machine) if together else []
                for position, lane in enumerate(order):
                    window = windows[position] if together else measure(lane, open_s, machine)
                    used_ns += sum(b[0] - a[0] for a, b in (*window["senders"], *window["receivers"], *window.get("relays", ())))
                    record({"kind": "window", **label, "attempt": attempt, "group": number, **window})
                    between()
                    interrupt.check()
        except BaseException:
            record({"kind": "block", **label, "attempt": attempt, "fate": "abandoned"})
            raise
        verdict = _judge(start, machine.read().as_list(), used_ns + time.process_time_ns() - own, tolerance)
        fate = "counted"
        if tolerance is not None:
            tolerance.blocks += 1
            if verdict["foreign_share"] > verdict["limit"]:
                fate = "repeated" if tolerance.may_repeat() else "kept"
                tolerance.repeats += fate == "repeated"
        record({"kind": "block", **label, "attempt": attempt, "fate": fate, **verdict})
        if fate != "repeated":
            return
        attempt += 1


def _judge(before: list[int], after: list[int], ours_ns: int, tolerance: Tolerance | None) -> dict[str, float]:
    """Return the share of the machine's CPU time that was neither ours nor idle (steal included), its bound, and the steal."""
    capacity = capacity_s(before, after)
    foreign = busy_s(before, after) - ours_ns / 1e9
    if tolerance is not None and tolerance.interrupts_apart:
        foreign -= irq_s(before, after)
    # Idle time is printed in ticks: a short block is allowed one tick of rounding on top.
    return {
        "foreign_share": round(foreign / capacity, 4),
        "steal_share": round(steal_s(before, after) / capacity, 4),
        "limit": round(FOREIGN_LIMIT + 1 / TICKS_PER_S / capacity, 4),
    }
