"""What comparisons allow to be said: verdicts, their reasons, and what takes them back."""

from __future__ import annotations

import math

import pytest
from support.fake_results import Cost, Result, header, lane

from zcload.analysis.comparisons import Comparison, aa_outside, judge, keep_family_wise, saving, smallest_saving_percent
from zcload.analysis.estimates import Ratio
from zcload.analysis.stats import Interval, generations_interval
from zcload.analysis.summary import summarise
from zcload.model.metrics import METRICS

COST, GOODPUT, SWITCHES = "total_cpu_s_per_gb", "goodput_bps", "sender_voluntary_switches_per_gb"
MACHINE = "system_cpu_s_per_gb"
MARGIN = 0.03


def comparison(ratio, metric=COST, *, variant="sendfile", aa=False, headline=True):
    return Comparison(variant, "copy", METRICS[metric], ratio, ratio.interval, ratio.interval, headline=headline, aa=aa)


def compared(low, high, metric=COST, *, variant="sendfile", aa=False, headline=True):
    """Return a comparison with an interval."""
    return comparison(Ratio(Interval((low + high) / 2, low, high)), metric, variant=variant, aa=aa, headline=headline)


def measured(*ratios, **more):
    """Return a headline comparison with the log-ratios of generations."""
    logs = tuple(math.log(ratio) for ratio in ratios)
    interval = generations_interval(logs)
    return comparison(Ratio(interval and interval.map(math.exp), logs), **more)


def verdict(compared, margin=MARGIN, outside=False):
    """Return a comparison's verdict and reason, judged alone."""
    judge([compared], margin, outside)
    return compared.verdict, compared.reason


STRADDLES = "the interval straddles the margin of 3 %"


@pytest.mark.parametrize(
    ("low", "high", "metric", "expected", "reason"),
    [
        # Costs, less is better: the margin is 0.97 .. 1.03.
        (0.60, 0.70, COST, "saves", None),
        (0.90, 0.969, COST, "saves", None),
        (0.90, 0.97, COST, "inconclusive", STRADDLES),  # the bound itself is not beyond it
        (0.95, 1.00, COST, "inconclusive", STRADDLES),
        (0.97, 1.03, COST, "no difference", None),  # and is inside
        (0.98, 0.99, COST, "no difference", None),  # wholly below 1 and still nothing to speak of
        (0.96, 1.04, COST, "inconclusive", STRADDLES),  # too wide for either
        (1.00, 1.05, COST, "inconclusive", STRADDLES),
        (1.031, 1.10, COST, "costs", None),
        (0.00, 0.00, COST, "saves", None),  # a variant that has none of it at all
        # Goodput, more is better.
        (1.10, 1.20, GOODPUT, "gains", None),
        (0.80, 0.90, GOODPUT, "loses", None),
        (0.98, 1.02, GOODPUT, "no difference", None),
        (0.90, 1.02, GOODPUT, "inconclusive", STRADDLES),
        # Counts that are neither good nor bad have no verdict, however clear.
        (0.10, 0.20, SWITCHES, None, None),
        (0.99, 1.01, SWITCHES, None, None),
        # A bound that is no number decides nothing.
        (0.5, math.inf, COST, None, "the interval is not finite"),
    ],
)
def test_verdict(low, high, metric, expected, reason):
    """The verdict says where the whole interval lies against the margin, in the words of the metric's direction."""
    assert verdict(compared(low, high, metric)) == (expected, reason)


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.96, 0.965, 0.0, "saves"),
        (0.99, 0.995, 0.0, "saves"),  # without a margin every difference counts
        (0.99, 1.01, 0.0, "inconclusive"),
        (0.90, 0.94, 0.05, "saves"),
        (0.90, 0.96, 0.05, "inconclusive"),
        (0.90, 0.96, 0.20, "no difference"),
    ],
)
def test_verdict_depends_on_the_margin(low, high, margin, expected):
    """The margin says how small a difference is none."""
    assert verdict(compared(low, high), margin)[0] == expected


def test_no_estimate_has_no_verdict():
    """Where there is no estimate the verdict is none, and the reason is the estimate's."""
    nothing = comparison(Ratio(None, reason="no payload was moved"))
    assert verdict(nothing) == (None, "no payload was moved")
    assert verdict(nothing, outside=True) == (None, "no payload was moved")


def test_saving_is_the_ratio_turned_round():
    """A ratio of 0.6 (0.5..0.8) is a saving of 40 % (20..50)."""
    turned = saving(Interval(0.6, 0.5, 0.8))
    assert (turned.estimate, turned.low, turned.high) == pytest.approx((40, 20, 50))


# A/A: the baseline against itself.


@pytest.mark.parametrize(
    ("low", "high", "outside"),
    [
        (0.98, 1.02, False),
        (0.95, 0.99, False),  # 1.0 is missed, but the margin is not left: a caution, and verdicts stand
        (0.94, 0.969, True),
        (1.031, 1.05, True),
        (0.90, 1.10, False),
    ],
)
def test_aa_outside(low, high, outside):
    """The baseline differs from itself only where the whole A/A interval is beyond the margin."""
    assert aa_outside([compared(low, high, variant="copy#2", aa=True), compared(0.5, 0.6)], MARGIN) is outside


def test_only_the_headline_of_the_aa_lane_counts():
    """A contender's interval, and another metric of the A/A lane, say nothing of the point's trust."""
    others = [compared(0.5, 0.6), compared(0.5, 0.6, GOODPUT, variant="copy#2", aa=True, headline=False)]
    assert not aa_outside(others, MARGIN)


def test_aa_outside_makes_every_verdict_inconclusive():
    """A point whose baseline differs from itself has no other verdict, in any metric; A/A keeps its own."""
    comparisons = [
        compared(0.60, 0.70),
        compared(0.99, 1.01),
        compared(1.1, 1.2, GOODPUT, headline=False),
        compared(0.1, 0.2, SWITCHES, headline=False),
        compared(0.90, 0.95, variant="copy#2", aa=True),
    ]
    judge(comparisons, MARGIN, aa_outside(comparisons, MARGIN))
    assert [c.verdict for c in comparisons] == ["inconclusive", "inconclusive", "inconclusive", None, "saves"]
    assert all("A/A" in c.reason for c in comparisons[:3])


# The family.

CLEAR = (0.60, 0.61, 0.59, 0.60, 0.61, 0.60)
BARE = (0.90, 0.96, 0.92, 0.95, 0.93, 0.97)  # p = 0.03 or so: its own interval decides, and two of its kind do not
OPEN = (0.90, 1.05, 0.95, 1.02, 0.97, 1.03)


def judged(*comparisons):
    """Return the verdicts of the headlines of a study."""
    judge(comparisons, MARGIN, False)
    size = keep_family_wise(comparisons, MARGIN)
    return [c.verdict for c in comparisons], size


def test_alone_an_interval_decides():
    """A study with one comparison keeps the verdict of its interval."""
    assert 0.025 < measured(*BARE).p(MARGIN) < 0.05
    assert judged(measured(*BARE)) == (["saves"], 1)


def test_holm_takes_back_what_many_comparisons_do_not_allow():
    """What its own interval decides is taken back where it would be wrong too often among all headlines, and the reason says so."""
    bare = measured(*BARE)
    assert judged(bare, measured(*OPEN)) == (["inconclusive", "inconclusive"], 2)
    assert bare.reason == "its own interval decides, but not at 5 % for all 2 headline comparisons of the study together (Holm)"


def test_holm_lets_the_last_one_have_all_that_is_left():
    """Beside a comparison that is clear, a bare one keeps its verdict: the clear one used up nothing."""
    assert judged(measured(*BARE), measured(*CLEAR)) == (["saves", "saves"], 2)


def test_the_family_is_the_headlines_of_contenders():
    """A/A lanes, other metrics and comparisons without an estimate take no part in the family."""
    aside = [measured(*OPEN, aa=True), compared(0.9, 1.1, GOODPUT, headline=False), measured(0.5)]
    assert judged(measured(*BARE), *aside)[0][0] == "saves"
    assert judged(measured(*BARE), *aside)[1] == 1


@pytest.mark.parametrize("ratio", [0.60, 0.93, 0.96, 1.0, 1.5])
def test_a_bootstrap_interval_and_its_level_agree(ratio):
    """Where the headline is a ratio of sums (the machine), a study of one comparison keeps exactly what its interval says."""
    interval = Interval(ratio, ratio - 0.02, ratio + 0.01)
    machine = comparison(Ratio(interval, logs=(-0.5, 0.5), sums=interval, clusters=6), MACHINE)
    alone = verdict(machine)[0]
    assert judged(machine) == ([alone], 1)


def test_smallest_saving():
    """What a point could have shown is the margin and the widest half-width beyond it, A/A and other metrics left out."""
    comparisons = [
        compared(0.60, 0.64),
        compared(0.70, 0.78),
        compared(0.80, 1.20, variant="copy#2", aa=True),
        compared(0.5, 1.5, GOODPUT, headline=False),
    ]
    assert smallest_saving_percent(comparisons, MARGIN) == pytest.approx(3 + 4)
    assert smallest_saving_percent([], MARGIN) is None


# Reasons for what does not exist, from the records.


def comparison_of(records, variant, metric):
    """Return one comparison from the summary of records."""
    (point,) = summarise(records)["points"]
    return next(c for c in point["comparisons"] if (c["variant"], c["metric"]) == (variant, metric))


def two_lanes(generations=6, *, copy=None, other=None, between=None):
    """Return the records of a study of a copy and a sendfile that costs half."""
    result = Result(header([lane("copy", "read_send"), lane("sendfile")])).verified("copy", "sendfile").calibrated()
    for number in range(generations):
        result.generation(number, {"copy": copy or Cost(0.4), "sendfile": other or Cost(0.2)})
        if between:
            between(result, number)
    return result.end()


NOTHING = {"estimate": None, "low": None, "high": None}


@pytest.mark.parametrize(
    ("records", "metric", "reason"),
    [
        (two_lanes(1), COST, "fewer than two generations: no spread to judge by"),
        (two_lanes(1), "sender_syscalls_per_gb", "too few generations for an interval, or nothing to divide by"),
        (two_lanes(0), COST, "no window was measured"),
        (two_lanes(other=Cost(0.0, 0.0, gb=0.0)), COST, "no payload was moved"),
        (two_lanes(copy=Cost(0.0, 0.0, gb=0.0)), COST, "copy: no payload was moved"),
        # 0/0: neither lane made a system call.
        (
            two_lanes(copy=Cost(0.4, sender_calls=0), other=Cost(0.2, sender_calls=0)),
            "sender_syscalls_per_gb",
            "too few generations for an interval, or nothing to divide by",
        ),
        (two_lanes(), MACHINE, "no machine ledger: lanes ran together, or no payload was moved"),
        (two_lanes(), SWITCHES, "no sample was taken at rest, or no payload was moved"),
        (two_lanes(), "sender_user_s_per_gb", "no sample was taken at rest, or no payload was moved"),
    ],
)
def test_what_does_not_exist_has_a_reason(records, metric, reason):
    """A comparison without an estimate is null throughout, and says why."""
    c = comparison_of(records, "sendfile", metric)
    assert (c["ratio"], c["saving_percent"], c["half_width_percent"], c["verdict"]) == (NOTHING, NOTHING, None, None)
    assert c["reason"] == reason


@pytest.mark.parametrize(("user_s", "enough"), [(0.03, False), (0.04, True)])
def test_too_few_ticks_are_no_figure(user_s, enough):
    """Below 20 ticks of the scheduler in all generations there is no figure of user or system time."""

    def samples(result, number):
        for orders, moved, seen in ((0, 0, {}), (2, 200_000_000, {"user_s": user_s})):
            result.sample(number, copy=(orders, moved, {"user_s": orders}, {}), sendfile=(orders, moved, seen, {}))

    c = comparison_of(two_lanes(5, between=samples), "sendfile", "sender_user_s_per_gb")
    assert c["reason"] == (None if enough else "only 15 ticks of 10 ms in all windows")
    assert (c["ratio"]["estimate"] is not None) is enough
