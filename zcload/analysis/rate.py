"""Judge a rate: whether lanes reached it, how late their chunks were, and which lanes may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from zcload.analysis.comparisons import Comparison
from zcload.analysis.estimates import metric_interval
from zcload.analysis.stats import Bootstrap, Interval, interval_record
from zcload.analysis.tally import Generation, Pacing
from zcload.model.cautions import Caution, caution
from zcload.model.metrics import GOODPUT_BPS, METRICS
from zcload.model.records.summary import Rate
from zcload.model.schedule import percentile_ns
from zcload.model.units import human_rate

WITHIN = 0.02  # of the asked rate, and of each other: closer than that, lanes moved the same
_GOODPUT = METRICS[GOODPUT_BPS]


def describe(asked_bps: float, name: str, generations: Sequence[Generation], bootstrap: Bootstrap) -> Rate:
    """Return what the variant called *name* made of a rate of *asked_bps*, as the summary has it."""
    achieved, _ = metric_interval(_GOODPUT, name, generations, bootstrap)
    paced = Pacing()
    for generation in generations:
        if name in generation.pacing:
            paced.take_in(generation.pacing[name])
    gb = sum(g.sums[name]["gb"] for g in generations if name in g.sums)
    p50, p99 = (min(ns, paced.latest_ns) / 1e9 if (ns := percentile_ns(paced.late, level)) is not None else None for level in (0.5, 0.99))
    return {
        "asked_bps": asked_bps,
        "achieved_bps": interval_record(achieved),
        "reached": _reached(achieved, (1 - WITHIN) * asked_bps) if achieved else None,
        "sleeps_per_gb": paced.sleeps / gb if gb else None,
        "bursts": paced.bursts,
        "lateness": {"p50": p50, "p99": p99, "max": paced.latest_ns / 1e9 if paced.bursts else None, "unit": "s"},
    }


def _reached(achieved: Interval, least_bps: float) -> bool | None:
    """Say whether a rate was reached; None where the estimate lies below and the interval leaves it open."""
    return True if achieved.estimate >= least_bps else False if achieved.high < least_bps else None


def only_at_equal_throughput(comparisons: Iterable[Comparison], missed: Mapping[str, str]) -> None:
    """Take back verdicts about CPU where a lane missed the rate (*missed*: the reason by variant): it did less in the same time.

    That one moved more than the other stands: it is what the rate showed.
    """
    for comparison in comparisons:
        reasons = [missed[name] for name in (comparison.variant, comparison.baseline) if name in missed]
        if reasons and comparison.verdict is not None and comparison.metric is not _GOODPUT:
            comparison.verdict = "inconclusive"
            comparison.reason = f"not at equal throughput: {' and '.join(reasons)}"


def missed(facts: Mapping[str, Rate]) -> dict[str, str]:
    """Return the variants that are not known to have reached their rate, and say so; *facts* are `describe`'s by name."""
    return {
        name: f"{name} {'reached' if rate['reached'] is False else 'made about'} {human_rate(rate['achieved_bps']['estimate'])} "
        f"of {human_rate(rate['asked_bps'])}"
        for name, rate in facts.items()
        if not rate["reached"] and rate["achieved_bps"]["estimate"] is not None
    }


def cautions(where: str, facts: Mapping[str, Rate]) -> list[Caution]:
    """Return what is to be said of a point's rate: who missed it, and who neither did nor kept to it."""
    said = missed(facts)
    found = [caution("rate_missed", where, reason=text) for name, text in said.items() if facts[name]["reached"] is False]
    uneven = [text for name, text in said.items() if facts[name]["reached"] is None]
    reached = {name: bps for name, rate in facts.items() if rate["reached"] and (bps := rate["achieved_bps"]["estimate"]) is not None}
    if reached:
        asked = next(iter(facts.values()))["asked_bps"]
        low, high = min(reached, key=reached.__getitem__), max(reached, key=reached.__getitem__)
        if reached[high] > (1 + WITHIN) * asked or reached[high] > (1 + WITHIN) * reached[low]:
            uneven.append(f"at {human_rate(asked)} {low} made {human_rate(reached[low])} and {high} {human_rate(reached[high])}")
    if uneven:
        found.append(caution("rate_unequal", where, lanes="; ".join(uneven)))
    return found
