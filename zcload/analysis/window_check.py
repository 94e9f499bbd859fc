"""Short windows against long ones: whether the windows of --check-windows give the same ratios as those that are measured."""

from __future__ import annotations

from collections.abc import Sequence

from zcload.analysis.comparisons import Comparison
from zcload.analysis.estimates import ratio_to
from zcload.analysis.point_data import PointData
from zcload.analysis.stats import Bootstrap, interval_record
from zcload.model.metrics import SENDER_CPU_S_PER_GB, SENDER_VOLUNTARY_SWITCHES_PER_GB
from zcload.model.records.summary import WindowCheck, WindowCheckRow


def window_check(data: PointData, short: Sequence[Comparison], headline: str, window_s: float | None) -> WindowCheck | None:
    """Compare the ratios in the long windows of *data* (*window_s* each) with the *short* ones'; None if none were measured."""
    generations = data.used()
    if not generations:
        return None
    keys = (headline, SENDER_CPU_S_PER_GB, SENDER_VOLUNTARY_SWITCHES_PER_GB)
    bootstrap = Bootstrap(len(generations))
    rows: list[WindowCheckRow] = []
    disagree: list[str] = []
    for a in short:
        if a.metric.key not in keys:
            continue
        long_i = ratio_to(a.metric, a.variant, a.baseline, generations, a.baseline, bootstrap).interval
        short_i = a.ratio.interval
        apart = bool(short_i and long_i and (short_i.high < long_i.low or long_i.high < short_i.low))
        rows.append(
            {
                "variant": a.variant,
                "metric": a.metric.key,
                "short": interval_record(short_i) if short_i else None,
                "long": interval_record(long_i) if long_i else None,
                "disagree": apart,
            }
        )
        if apart:
            disagree.append(f"{a.variant} ({a.metric.label})")
    return {"window_s": window_s, "generations": len(generations), "rows": rows, "disagree": disagree}
