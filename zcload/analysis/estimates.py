"""Estimates with intervals: of each variant's metrics, and of its ratio to a baseline.

The interval comes from the generations' estimates, never from pooled windows: page layout, buffer colour and sockets of a
set-up are luck that no number of windows averages out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import sub
from typing import TYPE_CHECKING

from zcload.analysis.columns import Column, Generations
from zcload.analysis.lane_windows import Place
from zcload.analysis.stats import Bootstrap, Interval, decision_p, generations_interval, interval_p, interval_record, pseudo_median
from zcload.analysis.tally import Generation
from zcload.host.machine import TICKS_PER_S
from zcload.model.metrics import TICK_MINIMUM, Metric
from zcload.model.units import counted

if TYPE_CHECKING:
    from zcload.model.records.summary import MetricRecord


@dataclass(frozen=True, slots=True)
class Ratio:
    """A variant's metric over the baseline's. *logs* are the generations' log-ratios, *reason* says why there is no estimate."""

    interval: Interval | None
    logs: tuple[float, ...] = ()
    sums: Interval | None = None  # the ratio of sums
    reason: str | None = None
    clusters: int = 0  # the generations behind an interval that is a bootstrap's

    def p(self, margin: float) -> float | None:
        """Return the level at which the interval decides; None without an interval."""
        if self.interval is None:
            return None
        return interval_p(self.interval, self.clusters - 1, margin) if self.clusters else decision_p(self.logs, margin)


def metric_interval(
    metric: Metric, variant: str, generations: Sequence[Generation], bootstrap: Bootstrap
) -> tuple[Interval | None, str | None]:
    """Return the metric of *variant* with its interval, or None and the reason."""
    reason = _missing(metric, variant, generations)
    if reason:
        return None, reason
    if metric.kind == "windows":
        interval = generations_interval([level for level in _levels(metric, variant, generations) if level is not None])
        if interval is None:
            return None, "a single generation has no spread"
        return interval.map(math.exp), None
    interval = _sums_interval(metric, variant, generations, bootstrap)
    return (_from_zero(interval), None) if interval else (None, "too few generations for an interval")


def _from_zero(interval: Interval) -> Interval:
    """Cut the end of an interval that lies below 0: no metric can, but one from which something is subtracted has draws that do."""
    return interval if interval.low >= 0 else Interval(interval.estimate, 0.0, interval.high)


_NOTHING_S = 1e-6  # of CPU time, far below a tick: what is left of it by rounding is none


def below_zero(metric: Metric, variant: str, generations: Sequence[Generation]) -> str | None:
    """Say what was subtracted if it is more than was counted, so that the metric of *variant* is below 0; None if it is not.

    The machine's CPU cannot be 0 either, since its processes used some: it is where no CPU was ever idle, with lanes parked or not.
    """
    sums, machine = Generations.of(generations), metric.numerator == "machine_cpu_s"
    total = sums.column(variant, metric.numerator).total
    if machine and not sums.column(variant, "machine_wall_s").total:
        return None  # nothing was read of the machine
    if total >= (_NOTHING_S if machine else 0):
        return None
    if machine:
        what = "below 0" if total <= -_NOTHING_S else "0"
        return f"{what}: other work ran while the lanes were parked, so more was subtracted for the idle machine than it used"
    return "below 0: more was subtracted for the gate than was counted"


def metric_record(metric: Metric, variant: str, generations: Sequence[Generation], bootstrap: Bootstrap) -> MetricRecord:
    """Return the metric of *variant* as the summary has it, with the reason where there is none."""
    interval, why = metric_interval(metric, variant, generations, bootstrap)
    figure = interval_record(interval)
    record: MetricRecord = {"estimate": figure["estimate"], "low": figure["low"], "high": figure["high"], "unit": metric.unit}
    if interval is None:
        record["reason"] = why
    return record


def ratio_to(
    metric: Metric,
    variant: str,
    baseline: str,
    generations: Sequence[Generation],
    reference: str,
    bootstrap: Bootstrap,
    *,
    sums: bool = True,
) -> Ratio:
    """Return the ratio of *variant*'s metric to *baseline*'s.

    *reference* is the variant that has a lane in every group: a pair in one group is compared directly, a pair in two groups
    by way of the reference's windows, so that what drifts between the groups cancels. Without *sums* the ratio of sums is left
    out where it is not the estimate itself.
    """
    for name in (variant, baseline):
        reason = _missing(metric, name, generations)
        if reason:
            return Ratio(None, reason=f"{name}: {reason}" if name != variant else reason)
    logs = tuple(_log_ratios(metric, variant, baseline, generations, reference))
    beside = _sums_ratio(metric, variant, baseline, generations, bootstrap) if sums or metric.kind == "sums" else None
    if metric.kind == "sums":
        reason = None if beside else _no_ratio(metric, baseline, generations, bootstrap)
        return Ratio(beside, logs, beside, reason, len(generations))
    interval = generations_interval(logs)
    if interval is None:
        return Ratio(None, logs, beside, "fewer than two generations: no spread to judge by")
    return Ratio(interval.map(math.exp), logs, beside)


def _no_ratio(metric: Metric, baseline: str, generations: Sequence[Generation], bootstrap: Bootstrap) -> str:
    """Say why there is no ratio to *baseline*, which has windows."""
    base = _sums_interval(metric, baseline, generations, bootstrap)
    if base is not None and base.low < 0:
        return f"{baseline}: its interval reaches below 0, so there is nothing to divide by"
    return "too few generations for an interval, or nothing to divide by"


def difference_to(
    metric: Metric, variant: str, baseline: str, generations: Sequence[Generation], reference: str, bootstrap: Bootstrap
) -> Interval | None:
    """Return *variant*'s metric less *baseline*'s, in the metric's unit, paired as in `ratio_to`; None if there is none."""
    if _missing(metric, variant, generations) or _missing(metric, baseline, generations):
        return None
    if metric.kind == "sums":
        columns = _four_columns(metric, variant, baseline, generations)
        top, bottom, base_top, base_bottom = (column.total for column in columns)
        draws = zip(*map(bootstrap.sums, columns), strict=True)
        return bootstrap.interval(top / bottom - base_top / base_bottom, [a / b - c / d for a, b, c, d in draws if b and d])
    values = []
    for generation in generations:
        ours, theirs = (_less_reference(metric, name, generation, reference) for name in (variant, baseline))
        pairs = [more - theirs[block] for block, more in ours.items() if block in theirs]
        if pairs:
            values.append(pseudo_median(pairs))
    return generations_interval(values)


def _less_reference(metric: Metric, variant: str, generation: Generation, reference: str) -> dict[float, float]:
    """Return, by block, what the variant's window has more than the reference's of the same group."""
    return {block: a - b for block, a, b in _beside(metric, variant, generation, reference) if not math.isnan(a - b)}


def _beside(metric: Metric, variant: str, generation: Generation, reference: str) -> list[tuple[float, float, float]]:
    """Return, by block, the metric of the variant's window and of the reference's of the same group; NaN where there is none."""
    if variant not in generation.windows or reference not in generation.windows:
        return []
    ours, theirs = generation.windows[variant], generation.windows[reference]
    a, b = (windows.quotients(metric.numerator, metric.denominator) for windows in (ours, theirs))
    others = theirs.rows
    return [(place[0], a[row], b[others[place]]) for place, row in ours.rows.items() if place in others]


def _log_ratios(metric: Metric, variant: str, baseline: str, generations: Sequence[Generation], reference: str) -> Iterator[float]:
    """Yield each generation's log-ratio, as `generation_log_ratio` returns it, where there is one."""
    if metric.kind == "sums":
        for top, bottom, base_top, base_bottom in zip(*_four_columns(metric, variant, baseline, generations), strict=True):
            if bottom and base_bottom and (ours := top / bottom) > 0 and (theirs := base_top / base_bottom) > 0:
                yield math.log(ours / theirs)
        return
    for logs in _block_logs(metric, variant, baseline, Generations.of(generations), reference):
        if there := [log for log in logs if log == log]:  # NaN, of a window without the figure, differs from itself
            yield pseudo_median(there)


def generation_log_ratio(metric: Metric, variant: str, baseline: str, generation: Generation, reference: str) -> float | None:
    """Return one generation's robust log-ratio (pseudo-median over blocks), for sums the log of their ratio; None if there is none."""
    return next(_log_ratios(metric, variant, baseline, (generation,), reference), None)


_Logs = tuple[Collection[Place], list[float]]


def _beside_reference(metric: Metric, variant: str, generations: Generations, reference: str) -> Iterator[_Logs]:
    """Yield for each generation the places of the variant's windows and their log-ratios to the reference's windows of the same group."""
    ours, theirs = generations.windows(variant), generations.windows(reference)
    key = metric.numerator, metric.denominator
    for rows, a, others, b in zip(ours.rows, ours.logs(*key), theirs.rows, theirs.logs(*key), strict=True):
        if rows is others:  # the usual case: one group, and no block without one of the two
            yield rows, [*map(sub, a, b)]
        else:
            both = [place for place in rows if place in others]
            yield both, [a[rows[place]] - b[others[place]] for place in both]


def _block_logs(metric: Metric, variant: str, baseline: str, generations: Generations, reference: str) -> Iterator[list[float]]:
    """Return the log-ratios of the blocks of each generation."""
    ours = _beside_reference(metric, variant, generations, reference)
    if baseline == reference:
        return (logs for _, logs in ours)
    return map(_by_way_of, ours, _beside_reference(metric, baseline, generations, reference))


def _by_way_of(ours: _Logs, theirs: _Logs) -> list[float]:
    """Return the log-ratios of two variants by block, given those of each to the reference."""
    by_block = {block: log for (block, _), log in zip(*theirs, strict=True)}
    return [log - by_block[block] for (block, _), log in zip(*ours, strict=True) if block in by_block]


def _levels(metric: Metric, variant: str, generations: Sequence[Generation]) -> Iterator[float | None]:
    """Yield the log of the variant's own level in each generation (pseudo-median over its windows), None where it has none."""
    for logs in Generations.of(generations).windows(variant).logs(metric.numerator, metric.denominator):
        there = [log for log in logs if log == log]
        yield pseudo_median(there) if there else None


def generation_figure(metric: Metric, variant: str, generation: Generation) -> float | None:
    """Return the metric of *variant* in one generation; None where it does not exist there."""
    if metric.kind == "sums":
        return _quotient(metric, generation.sums.get(variant))
    (level,) = _levels(metric, variant, (generation,))
    return None if level is None else math.exp(level)


def _quotient(metric: Metric, tally: Mapping[str, float] | None) -> float | None:
    """Return numerator over denominator, None where the denominator is missing or zero."""
    if not tally or not tally.get(metric.denominator) or metric.numerator not in tally:
        return None
    return tally[metric.numerator] / tally[metric.denominator]


def _missing(metric: Metric, variant: str, generations: Sequence[Generation]) -> str | None:
    """Say why the metric does not exist for *variant*; None if it does."""
    if not any(variant in g.sums for g in generations):
        return "no window was measured"
    top, bottom = _columns(metric, variant, generations)
    if not any(bottom):
        return metric.missing
    if metric.uncounted and not top.present:
        return metric.uncounted
    if metric.ticks:
        ticks = top.total * TICKS_PER_S
        if ticks < TICK_MINIMUM:
            return f"only {counted(round(ticks), 'tick')} of 10 ms in all windows"
    return below_zero(metric, variant, generations)


def _columns(metric: Metric, variant: str, generations: Sequence[Generation]) -> tuple[Column, Column]:
    found = Generations.of(generations)
    return found.column(variant, metric.numerator), found.column(variant, metric.denominator)


def _four_columns(metric: Metric, variant: str, baseline: str, generations: Sequence[Generation]) -> tuple[Column, Column, Column, Column]:
    return *_columns(metric, variant, generations), *_columns(metric, baseline, generations)


def _sums_interval(metric: Metric, variant: str, generations: Sequence[Generation], bootstrap: Bootstrap) -> Interval | None:
    top, bottom = _columns(metric, variant, generations)
    return bootstrap.quotient(top, bottom)


def _sums_ratio(metric: Metric, variant: str, baseline: str, generations: Sequence[Generation], bootstrap: Bootstrap) -> Interval | None:
    columns = _four_columns(metric, variant, baseline, generations)
    top, bottom, base_top, base_bottom = (column.total for column in columns)
    if bottom == 0 or base_top <= 0 or base_bottom == 0:
        return None
    base = _sums_interval(metric, baseline, generations, bootstrap)
    if base is None or base.low < 0:
        return None
    draws = zip(*map(bootstrap.sums, columns), strict=True)
    found = bootstrap.interval(top * base_bottom / (bottom * base_top), [a * d / (b * c) for a, b, c, d in draws if b and c > 0])
    return found and _from_zero(found)
