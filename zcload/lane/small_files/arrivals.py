"""Schedules of an open loop: when each transfer is due, fixed before a window opens.

A lane's arrivals are shared among its senders so that together they are what was asked for. With constant arrivals the senders take turns.
A Poisson process that is divided at random gives several Poisson processes of a lower rate.
"""

from __future__ import annotations

import random
from array import array
from fractions import Fraction

LEAD_NS = 500_000  # from the gate's opening to the schedule's origin: a sender that is still waking up is late for nothing
POISSON_GAPS = 1 << 14  # of a sender, before its gaps come again


class ArrivalSchedule:
    """One sender's arrivals, window after window."""

    def begin(self, origin_ns: int) -> None:
        """Begin a window whose arrivals count from *origin_ns*."""
        raise NotImplementedError

    def due(self) -> int:
        """Return when (ns) the next arrival is."""
        raise NotImplementedError

    def advance(self) -> None:
        """Go to the next arrival."""
        raise NotImplementedError


class Constant(ArrivalSchedule):
    """Arrival k of the lane is at k / *per_s* from the origin, exact to the nanosecond, in every window anew."""

    def __init__(self, per_s: float, senders: int, sender: int) -> None:
        gap_ns = Fraction(10**9) / Fraction(per_s)
        self._gap, self._parts = gap_ns.numerator, gap_ns.denominator  # of whole numbers: no error adds up, however long it lasts
        self._senders, self._sender = senders, sender
        self._origin = 0
        self._number = sender

    def begin(self, origin_ns: int) -> None:
        self._origin, self._number = origin_ns, self._sender

    def due(self) -> int:
        return self._origin + self._number * self._gap // self._parts

    def advance(self) -> None:
        self._number += self._senders


class Poisson(ArrivalSchedule):
    """Exponential gaps with a mean of senders / *per_s*, drawn beforehand and alike for a *seed*.

    Each window continues where the last one ended, which is right because a Poisson process has no memory.
    """

    def __init__(self, per_s: float, senders: int, sender: int, seed: int, gaps: int = POISSON_GAPS) -> None:
        rng = random.Random(f"arrivals {seed} {sender}")
        at, self._instants = 0.0, array("q")
        for _ in range(gaps):
            at += rng.expovariate(per_s / senders)
            self._instants.append(int(at * 1e9))
        self._next = self._base = 0

    def begin(self, origin_ns: int) -> None:
        self._base = origin_ns - (self._instants[self._next - 1] if self._next else 0)

    def due(self) -> int:
        return self._base + self._instants[self._next]

    def advance(self) -> None:
        self._next += 1
        if self._next == len(self._instants):
            self._base += self._instants[-1]
            self._next = 0


def schedule(arrivals: str, per_s: float, senders: int, sender: int, seed: int) -> ArrivalSchedule:
    """Return the schedule of one sender of a lane with so many arrivals a second: "constant" or "poisson"."""
    return Poisson(per_s, senders, sender, seed) if arrivals == "poisson" else Constant(per_s, senders, sender)
