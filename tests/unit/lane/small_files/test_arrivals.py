"""Schedules of an open loop: exact where they are constant, exponential where they are Poisson, alike for a seed."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import pytest

from zcload.lane.small_files.arrivals import Constant, Poisson, schedule

ORIGIN = 5_000_000_000_000


def instants(plan, count, origin=0):
    """Return the first *count* instants of a window that begins at *origin*."""
    plan.begin(origin)
    found = []
    for _ in range(count):
        found.append(plan.due())
        plan.advance()
    return found


@pytest.mark.parametrize("per_s", [1.0, 3.0, 7.5, 999.0, 1e6, 0.1])
def test_constant_arrivals_are_exact(per_s):
    """Arrival k is at k / rate to the nanosecond, a million arrivals on as at the first: no rounding adds up."""
    plan = Constant(per_s, 1, 0)
    plan.begin(ORIGIN)
    assert instants(Constant(per_s, 1, 0), 100) == [int(k * Fraction(10**9) / Fraction(per_s)) for k in range(100)]
    plan._number = 10**6
    assert plan.due() == ORIGIN + int(10**6 * Fraction(10**9) / Fraction(per_s))


def test_senders_share_constant_arrivals_in_turns():
    """The arrivals of all senders together are those of one sender with the whole rate."""
    dealt = sorted(at for s in range(3) for at in instants(Constant(700.0, 3, s), 50))
    assert dealt == instants(Constant(700.0, 1, 0), 150)


def test_every_window_begins_with_its_own_origin():
    """Constant arrivals begin anew with a window; Poisson ones go on with the next gap, counted from the new origin."""
    constant = Constant(1000.0, 1, 0)
    first, second = instants(constant, 5, 100), instants(constant, 5, 10_000)
    assert [at - 100 for at in first] == [at - 10_000 for at in second]
    poisson, whole = Poisson(1000.0, 1, 0, 7), instants(Poisson(1000.0, 1, 0, 7), 11)
    assert instants(poisson, 5, 1000) == [1000 + at for at in whole[:5]]
    poisson.begin(50_000)
    assert poisson.due() == 50_000 + whole[5] - whole[4]


def test_a_seed_gives_the_same_arrivals_and_another_gives_others():
    """Lanes of a generation have equal arrivals, senders and generations do not."""
    one = instants(Poisson(500.0, 2, 0, 1), 100)
    assert one == instants(Poisson(500.0, 2, 0, 1), 100)
    assert one != instants(Poisson(500.0, 2, 1, 1), 100)
    assert one != instants(Poisson(500.0, 2, 0, 2), 100)


def test_arrivals_go_on_when_the_gaps_drawn_beforehand_are_used_up():
    """After the last gap the first comes again, and time goes on."""
    found = instants(Poisson(100.0, 1, 0, 3, gaps=4), 12)
    gaps = [b - a for a, b in zip([0, *found], found, strict=False)]
    assert gaps[:4] == gaps[4:8] == gaps[8:12]
    assert found == sorted(found)


@pytest.mark.parametrize("senders", [1, 4])
def test_poisson_gaps_are_exponential(senders):
    """Of 16,000 gaps the mean is within 4 standard errors, and the distribution within Kolmogorov's bound at one in a thousand."""
    per_s, count = 2000.0, 16_000
    found = instants(Poisson(per_s, senders, 0, 11), count)
    gaps = sorted((b - a) / 1e9 for a, b in zip([0, *found], found, strict=False))
    mean = senders / per_s
    assert statistics.fmean(gaps) == pytest.approx(mean, rel=4 / math.sqrt(count))
    furthest = max(abs((k + 1) / count - (1 - math.exp(-gap / mean))) for k, gap in enumerate(gaps))
    assert furthest < 1.95 / math.sqrt(count)


def test_counts_of_a_superposition_vary_as_a_poisson_process_does():
    """The arrivals of four senders in windows of 10 ms have a variance equal to their mean."""
    merged = sorted(at for s in range(4) for at in instants(Poisson(4000.0, 4, s, 5), 10_000))
    windows = [0] * 900
    for at in merged:
        if at < 9_000_000_000:
            windows[at // 10_000_000] += 1
    assert statistics.fmean(windows) == pytest.approx(40, rel=0.03)
    assert statistics.variance(windows) == pytest.approx(40, rel=0.2)


def test_the_schedule_is_the_one_asked_for():
    """The config's words give these two."""
    assert isinstance(schedule("poisson", 10.0, 1, 0, 0), Poisson)
    assert isinstance(schedule("constant", 10.0, 1, 0, 0), Constant)
