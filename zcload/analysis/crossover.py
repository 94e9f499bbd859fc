"""Find where on a swept axis one variant starts to beat another: the crossing and its interval, from the points' log-ratios.

Two questions, two errors. *Which side* each point is on is decided for all points and at every look together (5 % family-wise): two
neighbouring points that are decided differently have a crossing between them. *Where* between them: a value of the axis belongs to the
crossing's 95 % interval unless the log-ratio there, interpolated between the points beside it, is told from 0 (as in Fieller's
theorem: E. C. Fieller, J. R. Stat. Soc. B 16 (1954) 175). The axis is logarithmic throughout.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zcload.analysis.stats import CONFIDENCE, Interval, anytime_interval, looked_at_quantile, margin_in_logs
from zcload.model.records.lines import CrossoverFacts
from zcload.model.records.summary import CrossingRecord, CrossoverRecord, CrossoverVerdict

_STEPS = 24  # in which the stretch between two points is searched: finer than a percent of it after the bisection
_BISECTIONS = 20

Logs = Mapping[float, Sequence[float]]  # log-ratios of the generations (contender over baseline) by the swept value


@dataclass(frozen=True, slots=True)
class Crossing:
    """One crossing: where, with its 95 % interval, between which decided values, and whether the contender wins *above* it."""

    at: Interval
    between: tuple[float, float]
    wins_above: bool

    def record(self) -> CrossingRecord:
        """Return it as results have it."""
        return {**self.at.record(), "between": list(self.between), "wins": "above" if self.wins_above else "below"}


@dataclass(frozen=True, slots=True)
class CrossoverFinding:
    """What the points say: *verdict* with its *crossings*, and the values at which each side wins, or neither.

    The verdict is "crosses", "several", "always" or "never" (does the contender win), "no difference", or "open".
    """

    verdict: CrossoverVerdict
    crossings: tuple[Crossing, ...]
    wins: tuple[float, ...]
    loses: tuple[float, ...]
    level: tuple[float, ...]
    undecided: tuple[float, ...]


def crossing_record(
    crossover: CrossoverFacts, baseline: str, metric: str, margin: float, logs: Logs, stopped: str | None
) -> CrossoverRecord:
    """Return the `crossing` of a summary: what the header's *crossover* looked for, and what *logs* allow to be said of it."""
    values = crossover["values"]
    finding = find(logs, margin=margin, family=len(values), least=crossover["min_generations"])
    return {
        "sweep": crossover["sweep"],
        "unit": {"rate": "bit/s", "senders": "senders"}.get(crossover["sweep"], "B"),
        "contender": crossover["contender"],
        "baseline": baseline,
        "metric": metric,
        "confidence": CONFIDENCE,
        "range": [values[0], values[-1]],
        "verdict": finding.verdict,
        "crossings": [crossing.record() for crossing in finding.crossings],
        "wins": list(finding.wins),
        "loses": list(finding.loses),
        "level": list(finding.level),
        "undecided": sorted([*finding.undecided, *(v for v in logs if len(logs[v]) < crossover["min_generations"])]),
        "precision_percent": 100 * crossover["precision"],
        "stopped": stopped,
    }


@dataclass(frozen=True, slots=True)
class _CrossoverPoint:
    """A value of the axis: its mean log-ratio, the square of the mean's standard error, degrees of freedom, and its side.

    The side is -1 where the contender wins, 1 where it loses, 0 where the difference lies inside the margin, None where it is open.
    """

    value: float
    mean: float
    square: float
    df: int
    side: int | None


def find(logs: Logs, *, margin: float, family: int, least: int) -> CrossoverFinding:
    """Return what *logs* allow to be said; values with fewer than *least* generations are left out.

    *margin* is a fraction, *family* how many values might be measured in all: the family-wise error is shared among them.
    """
    points = [_point(value, logs[value], margin, family) for value in sorted(logs) if len(logs[value]) >= max(least, 2)]
    decided = [point for point in points if point.side]
    crossings = tuple(
        _crossing([p for p in points if a.value <= p.value <= b.value]) for a, b in itertools.pairwise(decided) if a.side != b.side
    )
    sides = {side: tuple(point.value for point in points if point.side == side) for side in (-1, 1, 0, None)}
    return CrossoverFinding(_verdict(points, len(crossings), len(logs)), crossings, sides[-1], sides[1], sides[0], sides[None])


def _verdict(points: Sequence[_CrossoverPoint], crossings: int, begun: int) -> CrossoverVerdict:
    if crossings:
        return "crosses" if crossings == 1 else "several"
    sides = {point.side for point in points}
    if len(points) == begun and len(sides) == 1:
        of_all: dict[int | None, CrossoverVerdict] = {-1: "always", 1: "never", 0: "no difference", None: "open"}
        return of_all[sides.pop()]
    return "open"


def _point(value: float, logs: Sequence[float], margin: float, family: int) -> _CrossoverPoint:
    interval = anytime_interval(logs, (1 - CONFIDENCE) / family)
    low, high = margin_in_logs(margin)
    side = None
    if interval is not None:
        side = -1 if interval.high < 0 else 1 if interval.low > 0 else 0 if interval.low >= low and interval.high <= high else None
    mean, n = statistics.fmean(logs), len(logs)
    return _CrossoverPoint(value, mean, sum((log - mean) ** 2 for log in logs) / (n - 1) / n, n - 1, side)


def _crossing(points: Sequence[_CrossoverPoint]) -> Crossing:
    """Return the crossing between the first and the last of *points*, which are decided for different sides."""
    first, last = points[0], points[-1]
    falls = -1 if first.mean > 0 else 1
    stretches = list(itertools.pairwise(points))
    # The curve through noisy means may cross several times on its way from one side to the other: an odd number of times.
    zeros = [_at(a, b, a.mean / (a.mean - b.mean)) for a, b in stretches if (a.mean > 0) != (b.mean > 0)]
    estimate = zeros[len(zeros) // 2]
    low = _edge(stretches)
    high = _edge([(b, a) for a, b in reversed(stretches)])
    return Crossing(Interval(estimate, min(low, estimate), max(high, estimate)), (first.value, last.value), falls < 0)


def _at(a: _CrossoverPoint, b: _CrossoverPoint, weight: float) -> float:
    return math.exp((1 - weight) * math.log(a.value) + weight * math.log(b.value))


def _edge(stretches: Sequence[tuple[_CrossoverPoint, _CrossoverPoint]]) -> float:
    """Return the first value, going along *stretches*, at which the log-ratio cannot be told from 0."""
    for a, b in stretches:
        for step in range(1, _STEPS + 1):
            if _open(a, b, step / _STEPS):
                told, open_ = (step - 1) / _STEPS, step / _STEPS
                for _ in range(_BISECTIONS):
                    middle = (told + open_) / 2
                    told, open_ = (told, middle) if _open(a, b, middle) else (middle, open_)
                return _at(a, b, open_)
    return stretches[-1][1].value


def _open(a: _CrossoverPoint, b: _CrossoverPoint, weight: float) -> bool:
    """Say whether 0 lies in the 95 % interval of the log-ratio that is interpolated between two points."""
    mean = (1 - weight) * a.mean + weight * b.mean
    parts = ((1 - weight) ** 2 * a.square, weight**2 * b.square)
    total = sum(parts)
    if total == 0.0:
        return mean == 0.0
    # Welch's degrees of freedom: B. L. Welch, Biometrika 34 (1947) 28.
    df = total**2 / (parts[0] ** 2 / a.df + parts[1] ** 2 / b.df)
    return mean**2 <= looked_at_quantile(int(df)) ** 2 * total
