"""Percentiles of latencies from all raw values, with the interval that the generations give them.

A percentile is an order statistic: the least value that at least so many of all transfers do not exceed (definition 1 of
R. J. Hyndman, Y. Fan, Am. Stat. 50 (1996) 361); nothing is interpolated, nothing comes from a histogram. Latencies of one
set-up are alike and those of neighbouring transfers depend on each other, so the interval is a cluster bootstrap: whole
generations are drawn, with all their values (A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application (1997), 3.8).
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import cast

from zcload.analysis.stats import Bootstrap, Interval
from zcload.model.packed import unpack
from zcload.model.records.summary import FigureRecord, Latency, Percentiles, TransferLateness

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "p99_9": 0.999}
BEYOND = 10  # values that must lie beyond a percentile: with fewer it is a figure of single events
_CANDIDATES = 512  # values that an interval's ends are taken from
_CURVE = (0.0, 0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0)


def rank(level: float, count: int) -> int:
    """Return which of *count* ordered values (from 0) is the percentile at *level* (0..1)."""
    # Written through a rounding: 0.999 * 10000 is 9990.000000000001 in binary, and the value after it is another one.
    return max(0, math.ceil(round(level * count, 6)) - 1)


def quantile(level: float, clusters: Sequence[Sequence[int]], bootstrap: Bootstrap) -> Interval | None:
    """Return the percentile at *level* of all values of the *clusters*, each ordered, with its bootstrap interval over them.

    None if there are fewer than two clusters. The clusters must be as many as the bootstrap draws from; some may be empty.
    """
    pooled = list(heapq.merge(*clusters))
    own = [cluster[rank(level, len(cluster))] for cluster in clusters if cluster]
    # The percentile of any mixture of clusters lies between the least and the largest of theirs.
    low, high = bisect_left(pooled, min(own)), bisect_right(pooled, max(own)) - 1
    step = max(1, -(-(high - low) // _CANDIDATES))
    candidates = sorted({*pooled[low : high + 1 : step], pooled[high]})
    upto = [bootstrap.bundled([bisect_right(cluster, value) for cluster in clusters]) for value in candidates]
    sizes = bootstrap.bundled([len(cluster) for cluster in clusters])
    drawn = []
    for pick in bootstrap.picks:
        total = sum(pick(sizes))
        if not total:
            continue
        needed = rank(level, round(total)) + 1

        def not_beyond(counts: Sequence[float]) -> int:
            return round(sum(pick(counts)))  # noqa: B023 - used at once

        drawn.append(candidates[bisect_left(upto, needed, hi=len(upto) - 1, key=not_beyond)])
    return bootstrap.interval(pooled[rank(level, len(pooled))], drawn)


def describe(generations: Sequence[Iterable[str]], late: Iterable[str], bootstrap: Bootstrap, *, open_loop: bool) -> Latency | None:
    """Return a variant's latencies as the summary has them, in seconds; None if there are none.

    *generations* give the packed values (ns) of each one's windows, *late* those of how late transfers were begun.
    """
    clusters = [_ordered(texts) for texts in generations]
    pooled = list(heapq.merge(*clusters))
    if not pooled:
        return None
    begun = _ordered(late)
    percentiles = {name: _percentile(level, clusters, len(pooled), bootstrap) for name, level in PERCENTILES.items()}
    percentiles["max"] = _alone(pooled[-1], f"the largest of {len(pooled)} values: a longer run finds a larger one")
    return {
        "kind": "response_time" if open_loop else "service_time",
        "count": len(pooled),
        "unit": "s",
        "mean": sum(pooled) / len(pooled) / 1e9,
        "percentiles": cast(Percentiles, percentiles),
        "curve": [[level, pooled[rank(level, len(pooled))] / 1e9] for level in _CURVE if len(pooled) * (1 - level) >= 1 or level == 1.0],
        "lateness": _lateness(begun) if begun else None,
    }


def _ordered(texts: Iterable[str]) -> list[int]:
    return sorted(value for text in texts for value in unpack(text))


def _percentile(level: float, clusters: Sequence[Sequence[int]], count: int, bootstrap: Bootstrap) -> FigureRecord:
    needed = math.ceil(round(BEYOND / (1 - level), 6))
    if count < needed:
        return {"estimate": None, "low": None, "high": None, "reason": f"only {count} values: it takes {needed}"}
    interval = quantile(level, clusters, bootstrap)
    if interval is None:
        pooled = list(heapq.merge(*clusters))
        return _alone(pooled[rank(level, count)], "a single generation has no spread")
    seconds = interval.map(lambda ns: ns / 1e9)
    return {"estimate": seconds.estimate, "low": seconds.low, "high": seconds.high}


def _alone(value_ns: int, reason: str) -> FigureRecord:
    """Return a figure that has no interval, with the reason."""
    return {"estimate": value_ns / 1e9, "low": None, "high": None, "reason": reason}


def _lateness(begun: Sequence[int]) -> TransferLateness:
    """Return how late transfers were begun, in seconds: a check of the load, so without intervals."""
    p50, p99, largest = (begun[rank(level, len(begun))] / 1e9 for level in (0.5, 0.99, 1.0))
    return {"p50": p50, "p99": p99, "max": largest}
