"""The statistics: against published and independently computed values, and by property."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zcload.analysis.stats import (
    LOOKS,
    Bootstrap,
    Interval,
    _middle_pairs,
    decision_p,
    generations_interval,
    half_width_percent,
    holm,
    interval_p,
    margin_in_logs,
    mean_interval,
    narrow_enough,
    pseudo_median,
    t_quantile,
    t_two_sided_p,
)


@pytest.mark.parametrize(
    ("confidence", "df", "t"),
    [
        (0.95, 1, 12.7062047362),
        (0.95, 2, 4.30265272975),
        (0.95, 5, 2.57058183564),
        (0.95, 15, 2.13144954556),
        (0.95, 39, 2.02269092004),
        (0.95, 1000, 1.96233908083),
        (0.9, 7, 1.89457860509),
        (0.99, 7, 3.49948329735),
        (0.999, 3, 12.9239786367),
        (0.5, 4, 0.740697084113),
    ],
)
def test_t_quantile(confidence, df, t):
    """The quantiles of Student's t are SciPy's to nine digits."""
    assert t_quantile(confidence, df) == pytest.approx(t, rel=1e-9)


@pytest.mark.parametrize(
    ("t", "df", "p"),
    [
        (0.0, 3, 1.0),
        (0.001, 7, 0.999230017245),
        (0.1, 1, 0.936548965139),
        (1.0, 1, 0.5),
        (2.0, 5, 0.10193947883),
        (5.0, 15, 0.000158369514622),
        (12.0, 30, 5.5801854152e-13),
        (40.0, 4, 2.3340163226e-06),
        (1.96, 100_000, 0.0499985631943),
        (math.inf, 5, 0.0),
        (1e200, 5, 0.0),
    ],
)
def test_t_two_sided_p(t, df, p):
    """The tails of Student's t are SciPy's to nine digits, however far out, and the same on both sides."""
    assert t_two_sided_p(t, df) == pytest.approx(p, rel=1e-9)
    assert t_two_sided_p(-t, df) == t_two_sided_p(t, df)


@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0), st.integers(1, 200))
def test_t_p_falls_with_t(a, b, df):
    """A larger t never has a larger p."""
    near, far = sorted((a, b))
    assert t_two_sided_p(far, df) <= t_two_sided_p(near, df) + 1e-12


@given(st.floats(0.01, 0.999), st.integers(1, 300))
def test_quantile_is_the_inverse_of_p(confidence, df):
    """The quantile is the t whose p is one less the confidence."""
    assert t_two_sided_p(t_quantile(confidence, df), df) == pytest.approx(1 - confidence, rel=1e-6)


RATIOS = [0.61, 0.66, 0.58, 0.70, 0.64, 0.69]


@pytest.mark.parametrize(
    ("confidence", "low", "high"),
    [(0.95, 0.5980440736838831, 0.6952892596494501), (0.90, 0.6085519972408872, 0.6847813360924461)],
)
def test_mean_interval(confidence, low, high):
    """The mean's interval is the one that SciPy gives."""
    interval = mean_interval(RATIOS, confidence)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.6466666666666666, low, high), rel=1e-9)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_mean_interval_needs_two_values(values):
    """One value has no spread, so there is no interval."""
    assert mean_interval(values) is None


def test_mean_interval_without_spread():
    """Equal values have an interval of no width."""
    assert mean_interval([0.5, 0.5, 0.5]) == Interval(0.5, 0.5, 0.5)


def test_generations_interval_of_symmetric_values():
    """Without skewness the interval is Student's at 96.5 %: what is looked at after every generation needs more to hold 95 %."""
    values = [0.1, 0.2, 0.4, 0.5]
    student, found = mean_interval(values, 0.965), generations_interval(values)
    assert (found.low, found.high) == pytest.approx((student.low, student.high), rel=1e-9)


def test_generations_interval_of_skewed_values():
    """A long tail on one side makes the interval longer on that side: Hall's transformation of both ends is Student's quantile."""
    values = [0.01, 0.02, 0.02, 0.03, 0.09, 0.02]
    n, mean = len(values), sum(values) / len(values)
    error = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    skewness = sum(((v - mean) / error / math.sqrt(n)) ** 3 for v in values) / n
    skewness = min(skewness, 0.3 * math.sqrt(n))
    found = generations_interval(values)
    assert found.high - found.estimate > found.estimate - found.low
    for bound, u in ((found.low, t_quantile(0.965, n - 1)), (found.high, -t_quantile(0.965, n - 1))):
        t, a = (mean - bound) / error, skewness / math.sqrt(n)
        assert t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6 == pytest.approx(u, rel=1e-9)


def test_generations_interval_of_many_values_is_of_their_trimmed_mean():
    """Of ten values the least and the greatest are left out: Yuen's standard error, 7 degrees of freedom, at 97 %."""
    values = [0.55, 0.56, 0.57, 0.56, 0.58, 0.55, 0.57, 0.56, 0.58, 0.39]
    kept = [0.55, 0.55, 0.56, 0.56, 0.56, 0.57, 0.57, 0.58]
    winsorised = [0.55, *kept, 0.58]
    mean, centre = sum(kept) / 8, sum(winsorised) / 10
    error = math.sqrt(sum((value - centre) ** 2 for value in winsorised) / (8 * 7))
    found = generations_interval(values)
    assert found.estimate == pytest.approx(mean, rel=1e-12)
    half = t_quantile(0.97, 7) * error
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-9)


@pytest.mark.parametrize("strange", [0.0, 0.3, 0.55, 0.9, 5.0])
def test_one_strange_value_in_many_hardly_moves_the_interval(strange):
    """One of ten set-ups may say anything: the interval stays within the spread of the others."""
    values = [0.55, 0.56, 0.57, 0.56, 0.58, 0.55, 0.57, 0.56, 0.58]
    found = generations_interval([*values, strange])
    assert 0.54 < found.low < found.estimate < found.high < 0.59


@given(st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=20), st.floats(0.1, 3.0))
def test_generations_interval_mirrors_and_scales(values, factor):
    """The interval of mirrored values is mirrored, that of scaled ones scaled, and the mean lies inside."""
    found = generations_interval(values)
    other = generations_interval([-factor * value for value in values])
    assert (other.low, other.high) == pytest.approx((-factor * found.high, -factor * found.low), rel=1e-6, abs=1e-6)
    assert found.low <= found.estimate <= found.high


@pytest.mark.parametrize("values", [[], [1.0]])
def test_generations_interval_needs_two_values(values):
    """One generation has no spread, so there is no interval; equal ones have one of no width."""
    assert generations_interval(values) is None
    assert generations_interval([0.5, 0.5, 0.5]) == Interval(0.5, 0.5, 0.5)


DEPRESSION_BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
DEPRESSION_AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


@pytest.mark.parametrize(
    ("values", "estimate"),
    [
        # Hollander and Wolfe, Nonparametric Statistical Methods, example 3.1: also in the documentation of R's wilcox.test.
        ([a - b for a, b in zip(DEPRESSION_BEFORE, DEPRESSION_AFTER, strict=True)], 0.46),
        (DARWIN, 25.0),  # the differences of Darwin's maize plants, by NumPy over all pairs
        ([1, 2, 3, 10], 2.75),  # pairs: 1 1.5 2 2 2.5 3 | 3 5.5 6 6.5 10 has the middle (2.5 + 3) / 2
        ([5], 5),
        ([7, 7, 7, 1000], 7),  # one value of four may be anything
    ],
)
def test_pseudo_median(values, estimate):
    """The Hodges-Lehmann estimate is the median of all pairwise means, a value's own mean with itself among them."""
    assert pseudo_median(values) == pytest.approx(estimate)


def test_pseudo_median_of_nothing():
    """No values have no estimate."""
    with pytest.raises(ValueError, match="no values"):
        pseudo_median([])


def test_pseudo_median_of_very_many():
    """Above 200 values the median stands in: the pairs would be too many and the difference is too small to matter."""
    values = [0.0] * 101 + [1.0] * 100
    assert pseudo_median(values) == 0.0
    assert pseudo_median(values[:-1] + [-1.0] * 2) == 0.0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(-100, 100))
def test_pseudo_median_moves_with_its_values(values, shift):
    """Adding a number to all values adds it to the estimate, and the mirrored values have the mirrored estimate."""
    assert pseudo_median([v + shift for v in values]) == pytest.approx(pseudo_median(values) + shift, abs=1e-9)
    assert pseudo_median([-v for v in values]) == pytest.approx(-pseudo_median(values), abs=1e-9)


def test_interval_of_a_function():
    """A falling function swaps the ends of an interval, a rising one does not."""
    assert Interval(0.5, 0.4, 0.7).map(lambda r: 1 - r) == Interval(0.5, pytest.approx(0.3), 0.6)
    assert Interval(0.0, -1.0, 1.0).map(math.exp) == Interval(1.0, math.exp(-1), math.e)


# The bootstrap.


def test_bootstrap_takes_the_expanded_percentiles():
    """The interval ends at the percentiles whose normal quantile is t at 96.5 % times sqrt(n / (n - 1)): 0.08 % for 6, 0.83 % for 16."""
    for clusters, tail in ((6, 0.0008338939527050004), (16, 0.008337808878682684)):
        interval = Bootstrap(clusters, draws=1001).interval(0.5, [i / 1000 for i in range(1001)])
        assert (interval.low, interval.high) == pytest.approx((tail, 1 - tail), rel=1e-6)
        assert interval.estimate == 0.5


def test_bootstrap_draws_whole_clusters():
    """Every draw sums as many clusters as there are, and no value that is not one."""
    sums = Bootstrap(3, draws=200).sums([1.0, 10.0, 100.0])
    possible = {a + b + c for a in (1, 10, 100) for b in (1, 10, 100) for c in (1, 10, 100)}
    assert len(sums) == 200
    assert set(sums) <= possible
    assert len(set(sums)) == len(possible)


def test_bootstrap_bundles_thousands_of_clusters():
    """Sums over thousands of clusters are drawn in bundles of neighbours: the interval of a mean is the one that theory gives."""
    rng = random.Random(1)
    values = [rng.gauss(10.0, 1.0) for _ in range(3000)]
    bootstrap = Bootstrap(len(values))
    assert len(bootstrap.bundled(values)) == 500
    found = bootstrap.interval(statistics.fmean(values), [total / len(values) for total in bootstrap.sums(values)])
    assert (found.high - found.low) / 2 == pytest.approx(1.96 / math.sqrt(len(values)), rel=0.15)
    assert found.low < 10.0 < found.high


def test_bootstrap_draws_are_the_same_for_all_figures():
    """Two figures of a point are resampled together: the ratio of a column to its double is the same in every draw."""
    bootstrap = Bootstrap(5)
    column = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert {a / b for a, b in zip(bootstrap.sums(column), bootstrap.sums([2 * v for v in column]), strict=True)} == {0.5}
    assert bootstrap.sums(column) == Bootstrap(5).sums(column)
    assert bootstrap.sums(column) != Bootstrap(5, seed=2).sums(column)


@pytest.mark.parametrize("clusters", [0, 1])
def test_bootstrap_needs_two_clusters(clusters):
    """Fewer than two generations have no interval."""
    bootstrap = Bootstrap(clusters)
    assert bootstrap.interval(1.0, bootstrap.sums([1.0] * clusters)) is None


def test_bootstrap_of_a_figure_that_is_often_missing():
    """A figure that does not exist in a tenth of the draws or more has no interval."""
    bootstrap = Bootstrap(4, draws=100)
    assert bootstrap.interval(1.0, [1.0] * 90) is not None
    assert bootstrap.interval(1.0, [1.0] * 89) is None


# Half-widths, and the rule that ends a point.


@pytest.mark.parametrize(
    ("interval", "percent"),
    [
        (Interval(0.40, 0.37, 0.43), 3.0),  # points of the baseline's cost: "saves 60 % +-3 points"
        (Interval(1.00, 0.97, 1.03), 3.0),
        (Interval(2.00, 1.90, 2.10), 5.0),  # above 1 relative to the ratio
        (Interval(0.50, 0.50, 0.50), 0.0),
        (Interval(0.50, 0.45, 0.65), 10.0),  # half the whole width where the sides differ
    ],
)
def test_half_width(interval, percent):
    """The half-width is in points of the baseline's cost, and relative for ratios above 1."""
    assert half_width_percent(interval) == pytest.approx(percent)


@given(st.floats(0.01, 0.5), st.floats(0.001, 0.3))
def test_half_width_of_a_ratio_and_of_its_inverse(ratio, spread):
    """A variant and its baseline may change places without making the interval seem much wider or narrower than it is."""
    interval = Interval(0.0, -spread, spread).map(lambda x: ratio * math.exp(x))
    inverse = interval.map(lambda r: 1 / r)
    assert half_width_percent(inverse) == pytest.approx(100 * math.sinh(spread), rel=1e-9)
    assert half_width_percent(interval) == pytest.approx(100 * ratio * math.sinh(spread), rel=1e-9)


@pytest.mark.parametrize(
    ("widths", "enough"),
    [
        ([], False),
        ([2.9], False),
        ([2.9, 2.9], False),
        ([2.9, 2.9, 2.9], True),
        ([3.0, 3.0, 3.0], True),  # the target itself is within the target
        ([2.9, 3.1, 2.9, 2.9], False),  # narrow by luck once
        ([9.0, 3.1, 2.9, 2.9, 2.9], True),
        ([1.0, 1.0, 1.0, 3.1], False),  # narrow before is not narrow now
    ],
)
def test_narrow_enough(widths, enough):
    """A point ends when its interval was narrow enough at three generations in a row."""
    assert LOOKS == 3
    assert narrow_enough(widths, 3.0) is enough


# Decisions.

LOGS = [math.log(r) for r in (0.70, 0.72, 0.69, 0.74, 0.71, 0.70)]


def test_decision_p():
    """The p of a saving is Student's of Hall's transformed t against the margin's bound (by hand: skewness 0.501, t 30.59, 11.12)."""
    assert decision_p(LOGS, 0.03) == pytest.approx(t_two_sided_p(11.124390159009266, 5) / 0.7, rel=1e-8)


@pytest.mark.parametrize(
    ("logs", "margin", "p"),
    [
        ([], 0.03, None),
        ([0.1], 0.03, None),  # one generation decides nothing
        ([-0.5, -0.5], 0.03, 0.0),  # no spread, beyond the margin
        ([0.0, 0.0], 0.03, 0.0),  # no spread, inside
        ([0.0, 0.0], 0.0, 1.0),  # no spread, on the bound
    ],
)
def test_decision_p_at_the_edges(logs, margin, p):
    """Without spread the estimate decides alone; without two values nothing does."""
    assert decision_p(logs, margin) == p


def _decided(interval, margin):
    low, high = margin_in_logs(margin)
    return interval.high < low or interval.low > high or (interval.low >= low and interval.high <= high)


def _clear(interval, bounds):
    """Say whether no figure of an interval lies so close to a bound that rounding decides."""
    return all(abs(figure - bound) > 1e-6 for figure in (interval.low, interval.estimate, interval.high) for bound in bounds)


_LOGS = st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=20)


@given(_LOGS, st.floats(0.0, 0.3), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
@example([-0.02, 0.02], 0.03, 0.95)
def test_decision_p_agrees_with_the_interval(logs, margin, confidence):
    """p is at most alpha exactly where the (1 - alpha) interval lies wholly beyond the margin or wholly inside it."""
    p, interval = decision_p(logs, margin), generations_interval(logs, confidence)
    if _clear(interval, margin_in_logs(margin)):
        assert (p <= 1 - confidence) == _decided(interval, margin)


@given(_LOGS, st.floats(0.0, 0.3))
def test_p_of_a_symmetric_interval(logs, margin):
    """For an interval without skewness, the p from the interval decides at 5 % as the p from the values does."""
    logs = [*logs[:3], *(2 * sum(logs[:3]) / len(logs[:3]) - log for log in logs[:3])]  # so few that none are trimmed
    interval = generations_interval(logs)
    if _clear(interval, margin_in_logs(margin)):
        assert (interval_p(interval.map(math.exp), len(logs) - 1, margin) <= 0.05) == (decision_p(logs, margin) <= 0.05)


@given(st.floats(0.2, 3.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(1, 60), st.floats(0.0, 0.3))
def test_p_of_an_interval_decides_as_the_interval(estimate, below, above, df, margin):
    """However lopsided an interval is, its p is below 5 % exactly where the interval lies wholly beyond the margin or inside it."""
    ratio = Interval(estimate, estimate - below, estimate + above)
    if _clear(ratio, (1 - margin, 1 + margin)):
        decided = ratio.high < 1 - margin or ratio.low > 1 + margin or (ratio.low >= 1 - margin and ratio.high <= 1 + margin)
        assert (interval_p(ratio, df, margin) <= 0.05) == decided


@pytest.mark.parametrize(("estimate", "p"), [(0.5, 0.0), (1.0, 0.0), (1.5, 0.0), (0.75, 1.0)])
def test_p_of_an_interval_without_width(estimate, p):
    """An interval of no width is decided unless it sits on the margin's bound."""
    assert interval_p(Interval(estimate, estimate, estimate), 5, 0.25) == p


def test_margin_in_logs():
    """The margin's bounds in logs are those of the ratio."""
    assert margin_in_logs(0.03) == pytest.approx((math.log(0.97), math.log(1.03)))


@pytest.mark.parametrize(
    ("p_values", "decided"),
    [
        # The bounds are 0.05/4, /3, /2, /1 in the order of the p: 0.005 and 0.010 pass, 0.030 > 0.025 ends it, 0.040 with it.
        ([0.010, 0.040, 0.030, 0.005], [True, False, False, True]),
        ([0.04], [True]),  # alone, the bound is 5 %
        ([0.04, 0.04], [False, False]),  # both above 2.5 %
        ([0.024, 0.05], [True, True]),  # after the first, the second has 5 % again
        ([0.0125, 0.0166, 0.024, 0.05], [True, True, True, True]),
        ([0.9, 0.0], [False, True]),
        ([], []),
    ],
)
def test_holm(p_values, decided):
    """Holm's procedure goes from the smallest p on and stops at the first that is too large."""
    assert holm(p_values) == decided


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_never_more_generous_than_each_alone(p_values):
    """What is decided for all together is decided alone, and what Bonferroni decides is decided."""
    for p, decided in zip(p_values, holm(p_values), strict=True):
        assert not decided or p <= 0.05 + 1e-12
        assert decided or p > 0.05 / len(p_values) - 1e-12


def test_holm_keeps_the_family_wise_error():
    """Where nothing is there, one study in twenty or fewer decides anything at all."""
    rng = random.Random(4)
    wrong = sum(any(holm([rng.random() for _ in range(5)])) for _ in range(2000))
    assert wrong / 2000 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_the_pseudo_median_is_that_of_all_pairs():
    """Only pairs that may be in the middle are looked at, and the result is that of all of them, to the last digit, ties or not."""
    rng = random.Random(7)
    for n in [*range(1, 40), 200]:
        for values in ([rng.gauss(0, 1) for _ in range(n)], [float(rng.randrange(3)) for _ in range(n)]):
            sums = sorted(a + b for i, a in enumerate(values) for b in values[i:])
            assert pseudo_median(values) == (sums[(len(sums) - 1) // 2] + sums[len(sums) // 2]) / 4
    assert len(_middle_pairs(8)[0](range(8))) < 36 / 2
