"""Choose which values of the axis to measure next, until the crossing is known. Pure functions, called after each round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zcload.analysis.crossover import Crossing, CrossoverFinding, find
from zcload.analysis.stats import LOOKS

COARSE = 5  # values that a search begins with


class Search:
    """A search on the ascending *values*; ends when every crossing's interval has high / low within *precision*."""

    def __init__(self, values: Sequence[float], *, margin: float, precision: float, least: int) -> None:
        self.values = tuple(values)
        self.margin, self.precision, self.least = margin, precision, least
        last, count = len(values) - 1, min(COARSE, len(values))
        self.logs: dict[float, list[float]] = {values[round(i * last / max(count - 1, 1))]: [] for i in range(count)}
        self.dropped: set[float] = set()
        self._settled = 0
        self._wanted = list(self.logs)

    def begin(self, value: float, logs: Iterable[float]) -> None:
        """Take in what an interrupted search had measured at *value*."""
        self.logs[value] = list(logs)

    def take(self, value: float, log: float) -> None:
        """Take in a generation's log-ratio at *value*."""
        self.logs[value].append(log)

    def drop(self, value: float) -> None:
        """Leave *value* out: it cannot be measured."""
        self.dropped.add(value)
        self.logs.pop(value, None)

    def finding(self) -> CrossoverFinding:
        """Return what is known so far."""
        return find(self.logs, margin=self.margin, family=len(self.values), least=self.least)

    def look(self) -> list[float]:
        """Look at what has been measured, once after each round; return the values of the next round, empty when the search is over."""
        finding = self.finding()
        self._wanted = self._next(finding)
        self._settled = 0 if self._wanted else self._settled + 1
        if not self._wanted and self._settled < LOOKS and finding.crossings:  # narrow by luck, perhaps: see stats.LOOKS
            self._wanted = [value for crossing in finding.crossings for value in self._around(crossing)]
        return self._wanted

    def _next(self, finding: CrossoverFinding) -> list[float]:
        young = [value for value, logs in self.logs.items() if len(logs) < self.least]
        wanted = set(young)
        for crossing in finding.crossings:
            around = self._around(crossing)
            fresh = [v for v in self.values if around[0] < v < around[-1] and v not in self.logs and v not in self.dropped]
            if fresh and not young:
                wanted.add(self._begin(fresh, crossing))
            if fresh or crossing.at.high / crossing.at.low > self.precision:
                wanted.update(around)
        inside = [crossing.between for crossing in finding.crossings]
        # What is open decides whether there is another crossing; between two decided values it is the crossing that counts.
        wanted.update(v for v in finding.undecided if not any(low < v < high for low, high in inside))
        return sorted(wanted)

    def _begin(self, fresh: Sequence[float], crossing: Crossing) -> float:
        """Begin the value of *fresh* that is nearest to the estimate: bisection, down to neighbours, where the curve is about straight."""
        best = min(fresh, key=lambda v: max(v / crossing.at.estimate, crossing.at.estimate / v))
        self.logs[best] = []
        return best

    def _around(self, crossing: Crossing) -> list[float]:
        """Return the measured values that the crossing's interval hangs on: inside it, and the next ones outside."""
        measured = sorted(self.logs)
        low = max(v for v in measured if v <= crossing.at.low)
        high = min(v for v in measured if v >= crossing.at.high)
        return [v for v in measured if low <= v <= high]
