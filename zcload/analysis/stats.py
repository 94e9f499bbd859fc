"""Statistics as pure functions of numbers. Each formula has its source beside it; docs/metrics.md says where it is used."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import add, itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcload.model.records.values import IntervalRecord, KnownInterval


CONFIDENCE = 0.95
# An interval that ends the measuring as soon as it is narrow enough is narrow by luck at times, and then holds the truth less often
# than it says. Two remedies, found by simulation (benchmarks/coverage.py): it has to be narrow at three generations in a row, and it
# is computed at 96.5 % to hold 95 %. Together 95 % of normal generations are held; the second costs 15 % more of them.
LOOKS = 3
_SPENT_ON_LOOKS = 0.3  # of the error that is allowed
_SPENT_TRIMMED = 0.4  # the same where values are trimmed: the winsorised spread of few values is a little too small
_MOST_SKEWNESS = 0.3  # times sqrt(n): few values show more by chance, and with more their interval would have no end in practice
_TRIMMED, _TRIM_FROM = 0.15, 7  # of the values, at either end; fewer values lose more in degrees of freedom than trimming gains
_PRIOR_VARIANCE = 4.0  # of an effect, in standard deviations of a generation: decides large effects after 6 to 10 generations

Pick = Callable[[Sequence[float]], tuple[float, ...]]  # one draw: the values of the drawn clusters


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its confidence interval."""

    estimate: float
    low: float
    high: float

    def map(self, function: Callable[[float], float]) -> Interval:
        """Return the interval of a monotone *function* of the figure."""
        low, high = sorted((function(self.low), function(self.high)))
        return Interval(function(self.estimate), low, high)

    def record(self) -> KnownInterval:
        """Return it as results have it."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


def interval_record(interval: Interval | None) -> IntervalRecord:
    """Return *interval* as results have it: three nulls where there is none."""
    if interval is None:
        return {"estimate": None, "low": None, "high": None}
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function: NIST Handbook of Mathematical Functions, 8.17.22, by Lentz's method."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 500):
        for step in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1.0 + step * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + step / c
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b)) / a * fraction


def t_two_sided_p(t: float, df: float) -> float:
    """Return P(|T| >= |t|) for Student's t with *df* degrees of freedom (NIST Handbook of Mathematical Functions, 8.17)."""
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t))


@lru_cache(maxsize=1024)
def t_quantile(confidence: float, df: float) -> float:
    """Return the t that |T| exceeds with probability 1 - *confidence*; by bisection, to 1e-10."""
    low, high = 0.0, 1.0
    while t_two_sided_p(high, df) > 1 - confidence:
        high *= 2
    while high - low > 1e-10 * max(high, 1.0):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided_p(middle, df) > 1 - confidence else (low, middle)
    return (low + high) / 2


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Return the mean of *values* with Student's t interval; None for fewer than two, which have no spread."""
    if len(values) < 2:
        return None
    mean = statistics.fmean(values)
    half = t_quantile(confidence, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def generations_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Return the middle of the *values* of generations with its interval, for a point that ends when that is narrow enough.

    From seven values on it is their 15 % trimmed mean with Student's t over the winsorised spread (K. K. Yuen, Biometrika 61 (1974)
    165; J. W. Tukey, D. H. McLaughlin, Sankhya A 25 (1963) 331): a state of the machine that lasts half a second and makes one way
    of sending four times as dear falls into some set-ups and not into others, and another run would say something else of their
    mean. Fewer values have their mean, with Student's t of a cubic transformation that takes the skewness out of it (P. Hall,
    J. R. Stat. Soc. B 54 (1992) 221). None for fewer than two values, which have no spread.
    """
    if len(values) < 2:
        return None
    middle, error, skewness, n = _moments(values)
    q = t_quantile(1 - (1 - _spent_share(len(values))) * (1 - confidence), n - 1)
    low, high = (middle - error * _unskewed_inverse(bound, skewness, n) for bound in (q, -q))
    return Interval(middle, low, high)


def anytime_interval(values: Sequence[float], alpha: float) -> Interval | None:
    """Return the mean of *values* with an interval that holds the truth at every look at once, with probability 1 - *alpha*.

    So it may be looked at after each value and acted upon, at the price of being wide. It holds what Student's t, mixed over effects
    of a normal prior, does not refute (M. Gönen et al., Am. Stat. 59 (2005) 252; that its odds are a test martingale under any
    stopping: A. Hendriksen, R. de Heide, P. Grünwald, Bayesian Analysis 16 (2021) 961). None where no interval would be finite.
    """
    n = len(values)
    if n < 2:
        return None
    mean, error, _ = _untrimmed_moments(values)
    spread = 1 + n * _PRIOR_VARIANCE
    bound = (math.sqrt(spread) / alpha) ** (2 / n)
    if bound >= spread:
        return None
    half = error * math.sqrt((n - 1) * (bound - 1) / (1 - bound / spread))
    return Interval(mean, mean - half, mean + half)


def looked_at_quantile(df: int, confidence: float = CONFIDENCE) -> float:
    """Return Student's quantile for an interval that is looked at after every generation."""
    return t_quantile(_nominal(confidence), df)


def _nominal(confidence: float) -> float:
    """Return the confidence to compute an interval at that is looked at after every generation."""
    return 1 - (1 - _SPENT_ON_LOOKS) * (1 - confidence)


def _spent_share(n: int) -> float:
    """Return the share of the allowed error that looking after every generation takes from an interval of *n* values."""
    return _SPENT_TRIMMED if trimmed(n) else _SPENT_ON_LOOKS


def trimmed(n: int) -> int:
    """Return how many of *n* values are left out at either end of a trimmed mean."""
    return int(_TRIMMED * n) if n >= _TRIM_FROM else 0


def outlying(values: Sequence[float]) -> list[float]:
    """Return those of *values*, in order, that lie further than five robust standard deviations from their median.

    A standard deviation by the median of the distances to the median, times 1.4826 (P. J. Rousseeuw, C. Croux, J. Am. Stat. Assoc.
    88 (1993) 1273). None of values so few that none are trimmed: they decide the estimate as all others do.
    """
    if not trimmed(len(values)):
        return []
    middle = statistics.median(values)
    far = 5 * 1.4826 * statistics.median([abs(value - middle) for value in values])
    return sorted(value for value in values if abs(value - middle) > far)


def _moments(values: Sequence[float]) -> tuple[float, float, float, int]:
    """Return the middle of *values*, its standard error, the skewness that is left, and how many values are not trimmed."""
    cut = trimmed(len(values))
    if not cut:
        return *_untrimmed_moments(values), len(values)
    ordered = sorted(values)
    kept = ordered[cut:-cut]
    winsorised = [kept[0]] * cut + kept + [kept[-1]] * cut
    centre, n = statistics.fmean(winsorised), len(kept)
    squares = sum((value - centre) ** 2 for value in winsorised)
    return statistics.fmean(kept), math.sqrt(squares / (n * (n - 1))), 0.0, n


def _untrimmed_moments(values: Sequence[float]) -> tuple[float, float, float]:
    """Return mean, its standard error and the skewness of *values*, cut off at what so few can show; 0 where there is no spread."""
    n, mean = len(values), statistics.fmean(values)
    squares = sum((value - mean) ** 2 for value in values)
    sd = math.sqrt(squares / (n - 1))
    skewness = sum(((value - mean) / sd) ** 3 for value in values) / n if sd > 0 else 0.0
    most = _MOST_SKEWNESS * math.sqrt(n)
    return mean, sd / math.sqrt(n), min(max(skewness, -most), most)


_LARGEST_T = 1e9  # beyond it no p differs from 0, and its cube is no number any more


def _unskewed(t: float, skewness: float, n: int) -> float:
    """Return Hall's monotone transformation of a mean's t statistic: about Student's t, whatever the skewness."""
    root = math.sqrt(n)
    t = max(-_LARGEST_T, min(t, _LARGEST_T))
    return t + skewness * t * t / (3 * root) + skewness**2 * t**3 / (27 * n) + skewness / (6 * root)


def _unskewed_inverse(u: float, skewness: float, n: int) -> float:
    if abs(skewness) < 1e-6:
        return u
    root = math.sqrt(n)
    return 3 * root / skewness * (math.cbrt(1 + skewness * (u / root - skewness / (6 * n))) - 1)


def pseudo_median(values: Sequence[float]) -> float:
    """Return the Hodges-Lehmann estimate: the median of all pairwise means (J. L. Hodges, E. L. Lehmann, Ann. Math. Stat. 34 (1963) 598).

    As robust as needed (29 % of the values may be anything) and nearly as efficient as the mean. Raises ValueError for none.
    """
    if not values:
        raise ValueError("no values")
    if len(values) > 200:  # the pairs grow with the square, the difference to the median shrinks
        return statistics.median(values)
    if len(values) <= 2:
        return sum(values) / len(values)
    left, right, low, high = _middle_pairs(len(values))
    ordered = sorted(values)
    sums: list[float] = sorted(map(add, left(ordered), right(ordered)))
    return (sums[low] + sums[high]) / 4


@cache
def _middle_pairs(n: int) -> tuple[Pick, Pick, int, int]:
    """Return which pairs of *n* ordered values may have the median sum, as two picks, and its places among the ordered sums of these.

    The sum of the values at i and j, counted from 0, is no less than those of all pairs that lie at or before i and j, and no more than
    those that lie at or behind them. Half of the pairs cannot be in the middle.
    """
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    low, high = (len(pairs) - 1) // 2, len(pairs) // 2
    before = {(i, j): (i + 1) * (j + 1) - i * (i + 1) // 2 - 1 for i, j in pairs}
    behind = {(i, j): (j - i) * (n - j) + (n - j) * (n - j + 1) // 2 - 1 for i, j in pairs}
    surely_before = [pair for pair in pairs if len(pairs) - 1 - behind[pair] < low]
    kept = [pair for pair in pairs if before[pair] <= high and len(pairs) - 1 - behind[pair] >= low]
    left, right = zip(*kept, strict=True)
    return itemgetter(*left), itemgetter(*right), low - len(surely_before), high - len(surely_before)


_MOST_CLUSTERS = 500


class Bootstrap:
    """Resample *clusters* generations with replacement: one set of draws for all figures of a point, so that they agree.

    The percentile levels are those of the "expanded percentile" interval, which undoes the narrowness of the plain one for
    few clusters: T. Hesterberg, What Teachers Should Know about the Bootstrap, Am. Stat. 69 (2015) 371, section 5.3.
    """

    def __init__(self, clusters: int, draws: int = 2000, seed: int = 1) -> None:
        # Sums over thousands of clusters are as well resampled in bundles of neighbours, and much quicker.
        size = -(-clusters // _MOST_CLUSTERS)
        self._bundles = [slice(at, at + size) for at in range(0, clusters, size)] if size > 1 else None
        clusters = len(self._bundles) if self._bundles else clusters
        self._draws = _draws(clusters, draws, seed) if clusters >= 2 else []
        self._sums: dict[tuple[float, ...], list[float]] = {}
        self._quotients: dict[tuple[tuple[float, ...], tuple[float, ...]], Interval | None] = {}
        if clusters >= 2:
            t = t_quantile(_nominal(CONFIDENCE), clusters - 1) * math.sqrt(clusters / (clusters - 1))
            self._tail = statistics.NormalDist().cdf(-t)

    @property
    def picks(self) -> Sequence[Pick]:
        """Return the draws: each takes the values of its clusters out of a column with one of each."""
        return self._draws

    def sums(self, column: Sequence[float]) -> list[float]:
        """Return the sum of *column*, a value of each cluster, in every draw; kept, because figures share their columns."""
        key = tuple(column)
        if key not in self._sums:
            bundled = self.bundled(key)
            self._sums[key] = [sum(pick(bundled)) for pick in self._draws]
        return self._sums[key]

    def quotient(self, top: Sequence[float], bottom: Sequence[float]) -> Interval | None:
        """Return the sum of *top* by that of *bottom*, not 0, with its interval; kept: every variant asks for its baseline's."""
        key = tuple(top), tuple(bottom)
        if key not in self._quotients:
            draws = zip(self.sums(top), self.sums(bottom), strict=True)
            self._quotients[key] = self.interval(sum(top) / sum(bottom), [a / b for a, b in draws if b])
        return self._quotients[key]

    def bundled(self, column: Sequence[float]) -> Sequence[float]:
        """Return *column*, a value of each cluster, as `picks` take from it: sums of bundles where there are very many clusters."""
        return column if self._bundles is None else [sum(column[bundle]) for bundle in self._bundles]

    def interval(self, estimate: float, values: Iterable[float]) -> Interval | None:
        """Return *estimate* with the interval of *values*, the same figure in every draw in which it exists.

        None if there are fewer than two clusters or the figure does not exist in too many draws.
        """
        ordered = sorted(values)
        if not self._draws or len(ordered) < 0.9 * len(self._draws):
            return None
        return Interval(estimate, _percentile(ordered, self._tail), _percentile(ordered, 1 - self._tail))


@lru_cache(maxsize=64)  # the points of a study tend to have alike numbers of generations
def _draws(clusters: int, draws: int, seed: int) -> list[Pick]:
    rng, population = random.Random(seed), list(range(clusters))  # a list: the draws share its numbers, else most of their memory
    return [itemgetter(*rng.choices(population, k=clusters)) for _ in range(draws)]


def _percentile(ordered: Sequence[float], level: float) -> float:
    """Return the value at *level* (0..1) of an ordered sequence, interpolated."""
    at = level * (len(ordered) - 1)
    below = min(int(at), len(ordered) - 2)
    return ordered[below] + (at - below) * (ordered[below + 1] - ordered[below])


def half_width_percent(ratio: Interval) -> float:
    """Return a ratio's half-width in percentage points of the baseline's cost; for ratios above 1 relative to the ratio."""
    return 100 * (ratio.high - ratio.low) / 2 / max(ratio.estimate, 1.0)


def narrow_enough(widths: Sequence[float], target: float, looks: int = LOOKS) -> bool:
    """Say whether the last *looks* half-widths, one a generation, are all within *target*: the rule that ends a point."""
    return len(widths) >= looks and all(width <= target for width in widths[-looks:])


def decision_p(log_values: Sequence[float], margin: float) -> float | None:
    """Return the smallest alpha at which the (1 - alpha) `generations_interval` of a log-ratio lies wholly beyond the margin or inside.

    None for fewer than two values. *margin* is a fraction: ratios in (1 - margin, 1 + margin) count as none.
    """
    if len(log_values) < 2:
        return None
    low, high = margin_in_logs(margin)
    mean, error, skewness, n = _moments(log_values)
    if error == 0.0:
        return 1.0 if mean in (low, high) else 0.0

    def away(bound: float) -> float:
        return _unskewed((mean - bound) / error, skewness, n)

    furthest = max(-away(low), away(high), min(away(low), -away(high)))  # below the margin, above it, inside
    return min(1.0, t_two_sided_p(furthest, n - 1) / (1 - _spent_share(len(log_values)))) if furthest > 0 else 1.0


def interval_p(ratio: Interval, df: int, margin: float) -> float:
    """Return what `decision_p` does for a ready interval of a ratio, such as a bootstrap's, whose two sides may differ.

    Each side is taken for Student's t times a standard error: at the interval's own confidence it decides as the interval does.
    """
    low, high = 1 - margin, 1 + margin
    above, below = ratio.high - ratio.estimate, ratio.estimate - ratio.low
    if ratio.estimate < low:
        shares = [(low - ratio.estimate, above)]
    elif ratio.estimate > high:
        shares = [(ratio.estimate - high, below)]
    else:
        shares = [(ratio.estimate - low, below), (high - ratio.estimate, above)]
    share = min(distance / side if side > 0 else math.inf if distance > 0 else 0.0 for distance, side in shares)
    return min(1.0, t_two_sided_p(share * t_quantile(_nominal(CONFIDENCE), df), df) / (1 - _SPENT_ON_LOOKS))


def margin_in_logs(margin: float) -> tuple[float, float]:
    """Return the margin's bounds as log-ratios."""
    return math.log1p(-margin), math.log1p(margin)


def holm(p_values: Sequence[float], alpha: float = 1 - CONFIDENCE) -> list[bool]:
    """Say which hypotheses are decided at family-wise level *alpha* (S. Holm, Scand. J. Stat. 6 (1979) 65)."""
    decided = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        decided[index] = True
    return decided
