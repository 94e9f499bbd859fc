"""Compare each variant with its baseline, and derive the verdicts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zcload.analysis.estimates import Ratio, ratio_to
from zcload.analysis.stats import Bootstrap, Interval, half_width_percent, holm, interval_record
from zcload.analysis.tally import Generation
from zcload.model.metrics import METRICS, Metric

if TYPE_CHECKING:
    from zcload.model.records.summary import ComparisonRecord, Verdict


@dataclass(slots=True)
class Comparison:
    """One variant's metric against one baseline's; *everything* is the same with all contaminated blocks, *clean* with none."""

    variant: str
    baseline: str
    metric: Metric
    ratio: Ratio
    everything: Interval | None
    clean: Interval | None
    headline: bool
    aa: bool
    verdict: Verdict | None = None
    reason: str | None = None
    difference: Interval | None = None  # in the metric's unit, where both moved the same

    def p(self, margin: float) -> float | None:
        """Return the level at which this comparison is decided; None if it has no estimate."""
        return self.ratio.p(margin)

    def record(self, label: str | None) -> ComparisonRecord:
        """Return it as results have it, with the *label* of the variant."""
        interval = self.ratio.interval
        return {
            "variant": self.variant,
            "baseline": self.baseline,
            "metric": self.metric.key,
            "headline": self.headline,
            "aa": self.aa,
            "ratio": interval_record(interval),
            "saving_percent": interval_record(saving(interval) if interval else None),
            "half_width_percent": half_width_percent(interval) if interval else None,
            "verdict": self.verdict,
            "reason": self.reason,
            "ratio_of_sums": interval_record(self.ratio.sums),
            "with_contaminated": interval_record(self.everything),
            "without_contaminated": interval_record(self.clean),
            "difference": interval_record(self.difference) if self.difference else None,
            "generation_sd": statistics.stdev(self.ratio.logs) if len(self.ratio.logs) > 1 else None,
            "label": label,
        }


def saving(ratio: Interval) -> Interval:
    """Return 100 x (1 - ratio), in percent of the baseline."""
    return ratio.map(lambda r: 100 * (1 - r))


def compare(
    variants: Iterable[tuple[str, bool]],
    baseline: str,
    reference: str,
    generations: Sequence[Generation],
    bootstrap: Bootstrap,
    headline: str,
    *,
    everything: Sequence[Generation] | None = None,
    clean: Sequence[Generation] | None = None,
) -> list[Comparison]:
    """Compare each of *variants* (name, whether it is the baseline's own second lane) with *baseline*, in every metric.

    *everything* and *clean* are the same generations with all contaminated blocks and with none, None where that makes no difference.
    """
    clean_draws = Bootstrap(len(clean)) if clean is not None else bootstrap

    def one(name: str, metric: Metric, aa: bool) -> Comparison:
        def interval(of: Sequence[Generation] | None, draws: Bootstrap) -> Interval | None:
            return ratio.interval if of is None else ratio_to(metric, name, baseline, of, reference, draws, sums=False).interval

        ratio = ratio_to(metric, name, baseline, generations, reference, bootstrap)
        with_all, without = interval(everything, bootstrap), interval(clean, clean_draws)
        return Comparison(name, baseline, metric, ratio, with_all, without, metric.key == headline, aa)

    return [one(name, metric, aa) for name, aa in variants for metric in METRICS.values()]


def judge(comparisons: Sequence[Comparison], margin: float, aa_outside: bool) -> None:
    """Give each comparison of one point its verdict by its own interval; `keep_family_wise` then looks at the headlines of all points."""
    for comparison in comparisons:
        comparison.verdict, comparison.reason = _verdict(comparison, margin)
        if aa_outside and comparison.verdict is not None and not comparison.aa:
            comparison.verdict = "inconclusive"
            comparison.reason = "the baseline differs from itself by more than the margin (A/A): no verdict of this point can be trusted"


def judge_beside_load(comparisons: Iterable[Comparison], margin: float) -> None:
    """Take back verdicts of a point that was measured beside other work, unless the blocks without it say the same by themselves."""
    for c in comparisons:
        if c.aa or c.verdict in (None, "inconclusive"):
            continue
        alone = verdict(c.metric, c.clean, margin)[0] if c.clean is not None else None
        if alone != c.verdict:
            c.verdict = "inconclusive"
            c.reason = (
                "other work ran while it was measured, in too many blocks to leave it out"
                if alone is None
                else f"other work ran while it was measured; the blocks without it say: {alone}"
            )


def judge_undecided(comparisons: Iterable[Comparison]) -> None:
    """Take back the verdicts at a value that a search for a crossover leaves undecided: its intervals allow for its many looks."""
    for c in comparisons:
        if c.verdict in ("saves", "costs", "no difference"):
            c.verdict = "inconclusive"
            c.reason = "its own interval decides, but not at 5 % for all values and looks of the search together"


def _verdict(comparison: Comparison, margin: float) -> tuple[Verdict | None, str | None]:
    interval = comparison.ratio.interval
    return verdict(comparison.metric, interval, margin) if interval else (None, comparison.ratio.reason)


def verdict(metric: Metric, interval: Interval, margin: float) -> tuple[Verdict | None, str | None]:
    """Return what the interval of a ratio of *metric* allows to be said, and the reason where that is not what one hopes for."""
    if metric.better == "none":
        return None, None
    if not all(map(math.isfinite, (interval.low, interval.high))):
        return None, "the interval is not finite"
    below, above = interval.high < 1 - margin, interval.low > 1 + margin
    if below or above:
        good = below == (metric.better == "lower")
        if metric.better == "higher":
            return ("gains" if good else "loses"), None
        return ("saves" if good else "costs"), None
    if interval.low >= 1 - margin and interval.high <= 1 + margin:
        return "no difference", None
    return "inconclusive", f"the interval straddles the margin of {100 * margin:g} %"


def keep_family_wise(comparisons: Iterable[Comparison], margin: float) -> int:
    """Take back headline verdicts that a family-wise error rate of 5 % over the study does not allow (Holm); return the family's size."""
    family = [c for c in comparisons if c.headline and not c.aa and c.p(margin) is not None]
    decided = holm([p for c in family if (p := c.p(margin)) is not None])
    for comparison, allowed in zip(family, decided, strict=True):
        if not allowed and comparison.verdict not in (None, "inconclusive"):
            comparison.verdict = "inconclusive"
            comparison.reason = (
                f"its own interval decides, but not at 5 % for all {len(family)} headline comparisons of the study together (Holm)"
            )
    return len(family)


def aa_outside(comparisons: Iterable[Comparison], margin: float) -> bool:
    """Say whether the A/A lane's headline interval lies wholly outside the margin."""
    return any(
        c.aa and c.headline and c.ratio.interval is not None and (c.ratio.interval.low > 1 + margin or c.ratio.interval.high < 1 - margin)
        for c in comparisons
    )


def smallest_saving_percent(comparisons: Iterable[Comparison], margin: float) -> float | None:
    """Return the smallest headline saving that this point could have shown as one: the margin and the widest half-width beyond it."""
    widths = [half_width_percent(c.ratio.interval) for c in comparisons if c.headline and not c.aa and c.ratio.interval]
    return 100 * margin + max(widths) if widths else None
