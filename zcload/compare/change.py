"""The change of one figure between two sets of results, with its interval. All in logs of ratios.

Two runs are not paired, and they differ by more than the windows of either show: pages, clock rates and neighbours are those of
the day. So a figure of a run carries, beside its own error, a spread between runs: assumed where there are too few results to see
it, and taken from the results themselves where there are at least `ENOUGH` on each side.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from zcload.analysis.stats import CONFIDENCE, Interval, t_quantile, t_two_sided_p
from zcload.model.records.values import IntervalRecord

ENOUGH = 3  # results a side from which on their own spread is used: with two, t has so few degrees of freedom that it says nothing
# Assumed spread between runs (standard deviation in logs): the upper end of what runs of one study on one machine showed, 0.012 to
# 0.025 (docs/comparing.md). An assumption, so the user may set his own.
RUN_SPREAD = 0.025


@dataclass(frozen=True, slots=True)
class Figure:
    """One result's figure: its *estimate* and, in logs, its standard *error* with the degrees of freedom behind it."""

    estimate: float
    error: float
    freedom: int

    @property
    def log(self) -> float:
        return math.log(self.estimate)


@dataclass(frozen=True, slots=True)
class Change:
    """New over base, in logs: *estimate* with standard *error* and degrees of *freedom*. *spread_seen*: between results, not assumed."""

    estimate: float
    error: float
    freedom: float
    spread_seen: bool

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Return the ratio new / base with its interval."""
        half = t_quantile(confidence, self.freedom) * self.error
        return Interval(self.estimate, self.estimate - half, self.estimate + half).map(math.exp)

    def p(self, ratio: float) -> float:
        """Return the level (two-sided) at which the interval's end would lie just at *ratio*; no interval reaches 0 or less."""
        if ratio <= 0:
            return 0.0
        distance = abs(self.estimate - math.log(ratio))
        if self.error == 0:
            return 0.0 if distance else 1.0
        return t_two_sided_p(distance / self.error, self.freedom)


def figure(stored: IntervalRecord, clusters: int) -> Figure | None:
    """Return a stored figure with its error, which is its interval's half-width in logs over Student's t; None where logs have none.

    *clusters* are what the interval is over: replicates, or the generations of a single process.
    """
    estimate, low, high = stored["estimate"], stored["low"], stored["high"]
    if clusters < 2 or not estimate or not low or not high or min(estimate, low, high) <= 0 or not math.isfinite(high):
        return None
    half = (math.log(high) - math.log(low)) / 2
    return Figure(estimate, half / t_quantile(CONFIDENCE, clusters - 1), clusters - 1)


def change(base: Sequence[Figure], new: Sequence[Figure], run_spread: float = RUN_SPREAD) -> Change:
    """Return how far *new* lies from *base*: Welch's t where both have `ENOUGH` results, else each one's error and *run_spread*.

    B. L. Welch, Biometrika 34 (1947) 28; the degrees of freedom are those of F. E. Satterthwaite, Biometrics Bull. 2 (1946) 110.
    """
    seen = len(base) >= ENOUGH and len(new) >= ENOUGH
    parts = [part for side in (base, new) for part in (_between(side) if seen else _within(side, run_spread))]
    variance = math.fsum(part for part, _ in parts)
    weight = math.fsum(part * part / freedom for part, freedom in parts)
    freedom = variance * variance / weight if weight else math.inf
    estimate = statistics.fmean(f.log for f in new) - statistics.fmean(f.log for f in base)
    # Beyond a million degrees of freedom t is the normal distribution to ten digits, and its continued fraction does not converge.
    return Change(estimate, math.sqrt(variance), min(max(freedom, 1.0), 1e6), seen)


def _between(side: Sequence[Figure]) -> list[tuple[float, float]]:
    """Return the variance of the mean of a side's logs as their own spread shows it, and its degrees of freedom."""
    return [(statistics.variance([f.log for f in side]) / len(side), len(side) - 1)]


def _within(side: Sequence[Figure], run_spread: float) -> list[tuple[float, float]]:
    """Return the parts of that variance as the results' own errors and the assumed spread between runs make it."""
    count = len(side)
    return [(f.error**2 / count**2, f.freedom) for f in side] + [(run_spread**2 / count, math.inf)]
