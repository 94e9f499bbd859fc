"""The result of a demo: the figures of every transfer, and the ratios made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zcload.analysis.stats import Interval, mean_interval
from zcload.errors import ZcloadError

Quantity = Literal["seconds", "sender_cpu_s", "receiver_cpu_s", "total_cpu_s"]


@dataclass(frozen=True, slots=True)
class Figures:
    """One contender: a value a round, in the order of the rounds. *skipped* says why there are none."""

    name: str
    what: str
    seconds: tuple[float, ...] = ()
    sender_cpu_s: tuple[float, ...] = ()
    receiver_cpu_s: tuple[float, ...] = ()
    sender_minor_faults: tuple[int, ...] = ()
    skipped: str | None = None

    @property
    def total_cpu_s(self) -> tuple[float, ...]:
        """CPU seconds of both ends."""
        return tuple(a + b for a, b in zip(self.sender_cpu_s, self.receiver_cpu_s, strict=True))

    def values(self, quantity: Quantity) -> tuple[float, ...]:
        """Return one of the quantities, a value a round."""
        match quantity:
            case "seconds":
                return self.seconds
            case "sender_cpu_s":
                return self.sender_cpu_s
            case "receiver_cpu_s":
                return self.receiver_cpu_s
            case "total_cpu_s":
                return self.total_cpu_s


@dataclass(frozen=True, slots=True)
class Demo:
    """A finished demo; one that was ended early has the *error* that ended it, and every round that was whole by then."""

    file: str | None  # None: made by zcload, in memory
    file_bytes: int
    sha256: str
    seed: int
    rounds: int
    contenders: tuple[Figures, ...]
    notes: tuple[str, ...]
    kernel: str
    cpus: int
    error: ZcloadError | None = None

    def figures(self, name: str) -> Figures:
        """Return the contender called *name*; raises KeyError."""
        for figures in self.contenders:
            if figures.name == name:
                return figures
        raise KeyError(name)

    def ratio(self, name: str, base: str, quantity: Quantity) -> Interval | None:
        """Return the contender's *quantity* over that of *base*, paired round by round; None where there is no interval."""
        return ratio(self.figures(name).values(quantity), self.figures(base).values(quantity))


def ratio(values: Sequence[float], base: Sequence[float]) -> Interval | None:
    """Return the geometric mean of the ratios with Student's t interval on their logarithms (95 %).

    None for fewer than two rounds, for contenders that did not run, and for figures too small for the clock.
    """
    if len(values) != len(base) or any(value <= 0 for value in (*values, *base)):
        return None
    interval = mean_interval([math.log(a / b) for a, b in zip(values, base, strict=True)])
    return interval.map(math.exp) if interval else None
