"""Measure what keeping the rate of a point costs, with no payload moved."""

from __future__ import annotations

from typing import Any

from zcload.lane.contract import PlacedLane
from zcload.runner.context import PointContext
from zcload.runner.window import LaneFailed, measure

_COST_WINDOWS = 3


def pacing_cost(context: PointContext, lane: PlacedLane, open_s: float) -> dict[str, Any] | None:
    """Measure what keeping the point's rate costs, with the null mechanism: wake-ups, clock, schedule and turns of the loop."""
    try:
        records = [measure(lane, open_s, context.machine) for _ in range(_COST_WINDOWS)]
    except LaneFailed as error:
        context.remove(lane.name, error)
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
