"""Run a block: one pass over the lanes in random order, judged for contamination, and repeated if contaminated.

More than four lanes are divided into groups of at most three contenders, each group with its own baseline lane. So the two windows of a
pair stay close in time, and every lane, the baseline's too, has one window in a block. A single baseline lane that ran in every group would
have the warmest caches of all, and seem to cost less.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zcload.host.machine import TICKS_PER_S, Machine, busy_s, capacity_s, irq_s, steal_s
from zcload.lane.contract import PlacedLane
from zcload.linux import interrupt
from zcload.model.timing import CONTENDERS_PER_GROUP
from zcload.runner.window import measure, measure_together

if TYPE_CHECKING:
    from zcload.cluster.bench import Bench, Watch
    from zcload.model.records.measurements import WindowReading

FOREIGN_LIMIT = 0.05  # of the machine's CPU time: more foreign CPU or steal than that contaminates a block
REPEAT_LIMIT = 0.25  # of the blocks: so many may be repeated

Emit = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Tolerance:
    """How many blocks a point has had, and how many were repeats; interrupts count as zcload's where the kernel counts them apart."""

    interrupts_apart: bool
    blocks: int = 0
    repeats: int = 0

    def may_repeat(self) -> bool:
        return self.repeats + 1 <= REPEAT_LIMIT * (self.blocks + 1)


def groups_of(contenders: Sequence[str], rng: random.Random) -> list[list[str]]:
    """Divide *contenders* at random into as few groups as allowed, of sizes as equal as possible."""
    shuffled = list(contenders)
    rng.shuffle(shuffled)
    count = max(1, -(-len(shuffled) // CONTENDERS_PER_GROUP))
    return [shuffled[i::count] for i in range(count)]


def run_block(
    groups: Sequence[dict[str, PlacedLane]],
    *,
    label: dict[str, Any],
    open_s: float,
    together: bool,
    machine: Machine | Bench,
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
        watch = MachineWatch(machine) if isinstance(machine, Machine) else machine.watch()
        measured: list[WindowReading] = []
        try:
            for number in rng.sample(range(len(groups)), len(groups)):
                order = rng.sample(list(groups[number].values()), len(groups[number]))
                windows = measure_together(order, open_s, machine) if together else []
                for position, lane in enumerate(order):
                    window = windows[position] if together else measure(lane, open_s, machine)
                    measured.append(window)
                    record({"kind": "window", **label, "attempt": attempt, "group": number, **window})
                    between()
                    interrupt.check()
        except BaseException:
            record({"kind": "block", **label, "attempt": attempt, "fate": "abandoned"})
            raise
        verdict = _judge(watch, measured, tolerance)
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


class MachineWatch:
    """The CPU time of this machine from one instant on."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._start, self._own = machine, machine.read().as_list(), time.process_time_ns()

    def shares(self, windows: Iterable[WindowReading], interrupts_apart: bool) -> tuple[float, float, float]:
        """Return the share of the machine's CPU time that others used, the share of steal, and how many CPU seconds it had.

        The CPU time of the workers of *windows* and of this process does not count as others'.
        """
        now = self._machine.read().as_list()
        used_ns = sum(b[0] - a[0] for window in windows for a, b in (*window["senders"], *window["receivers"], *window.get("relays", ())))
        foreign = busy_s(self._start, now) - (used_ns + time.process_time_ns() - self._own) / 1e9
        if interrupts_apart:
            foreign -= irq_s(self._start, now)
        capacity = capacity_s(self._start, now)
        return foreign / capacity, steal_s(self._start, now) / capacity, capacity


def _judge(watch: MachineWatch | Watch, windows: Sequence[WindowReading], tolerance: Tolerance | None) -> dict[str, float]:
    """Return the share of the CPU time that was neither ours nor idle (steal included), its bound, and the steal."""
    foreign, steal, capacity = watch.shares(windows, tolerance is not None and tolerance.interrupts_apart)
    # Idle time is printed in ticks: a short block is allowed one tick of rounding on top.
    return {
        "foreign_share": round(foreign, 4),
        "steal_share": round(steal, 4),
        "limit": round(FOREIGN_LIMIT + 1 / TICKS_PER_S / capacity, 4),
    }
