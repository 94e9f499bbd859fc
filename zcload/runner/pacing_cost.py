"""Windows long enough for a rate, and what keeping the rate costs by itself."""

from __future__ import annotations

from typing import Any

from zcload.lane.contract import Lane
from zcload.model.schedule import LEAST_BURSTS, LONGEST_WINDOW_S, burst_bytes, window_s
from zcload.model.study import Point, Study
from zcload.runner.context import PointContext
from zcload.runner.window import LaneFailed, measure

LEAST_ARRIVALS = 50  # of a lane in a window: with fewer, windows would differ by chance alone
_LOOK_BURSTS = 20  # of every sender in a window that only calibrates or warms up
_COST_WINDOWS = 3


def least_window_s(study: Study, point: Point) -> float:
    """Return how long the windows of *point* must be for its rate, 0.0 without one: long enough for the lane with the largest bursts,
    or for as many small files.
    """
    if point.transfers_per_s is not None:
        return min(LEAST_ARRIVALS / point.transfers_per_s, LONGEST_WINDOW_S)
    return max(chunk_window_s(point, contender.burst_bytes) for contender in study.contenders(point))


def chunk_window_s(point: Point, chunk: int) -> float:
    """Return how long a window must be for a lane with *chunk* to have its least number of bursts in it; 0.0 without a rate."""
    return window_s(point.rate_bps, burst_bytes(chunk, point.chunk), point.senders) if point.paced and point.rate_bps else 0.0


def probe_window_s(least_s: float, shortest_s: float) -> float:
    """Return how long a window must be that is only to be looked at, where one that counts must last *least_s*."""
    return max(shortest_s, least_s * _LOOK_BURSTS / LEAST_BURSTS)


def may_try(point: Point, chunk: int) -> bool:
    """Say whether *chunk* is small enough for the rate to be tried as the baseline's best: twice its window is one that is allowed."""
    return chunk <= point.chunk or chunk_window_s(point, chunk) <= LONGEST_WINDOW_S / 2


def pacing_cost(context: PointContext, lane: Lane, open_s: float) -> dict[str, Any] | None:
    """Measure what keeping the point's rate costs by itself, with the null mechanism: wake-ups, clock, schedule and turns of the loop."""
    try:
        records = [measure(lane, open_s, context.machine) for _ in range(_COST_WINDOWS)]
    except LaneFailed:
        return None
    cpu_s = sum(after[0] - before[0] for record in records for before, after in record["senders"]) / 1e9
    sleeps, moved = (sum(sum(record["pacing"][key]) for record in records) for key in ("sleeps", "bytes"))
    if not sleeps or not moved:
        return None
    return {
        "cpu_s_per_sleep": cpu_s / sleeps,
        "cpu_s_per_gb": cpu_s / moved * 1e9,
        "sleeps_per_gb": sleeps / moved * 1e9,
        "cpu_cores": cpu_s / sum(record["close_ns"] - record["open_ns"] for record in records) * 1e9,
    }
