"""Sentences on what encryption costs in seconds per GB, beside what sendfile would save without it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zcload.model.metrics import RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import PointSummary, VariantRecord
from zcload.report.text.figures import significant

_COPYING, _ZERO_COPY = "read_send", "sendfile"


def sentences(point: PointSummary) -> Iterator[str]:
    """Yield one for each variant that encrypts, where the mechanism that does the same without was measured too.

    The ± is that of a difference of two independent figures, each with its 95 % interval; it is wider than that of a paired difference.
    """
    where = f"At {point['name']}, " if point["name"] else ""
    for variant in point["variants"]:
        twin = _variant(point, variant.get("unencrypted"))
        if twin is None or (costs := _more(variant, twin, TOTAL_CPU_S_PER_GB)) is None:
            continue
        ends = ((role, _more(variant, twin, key)) for role, key in (("sender", SENDER_CPU_S_PER_GB), ("receiver", RECEIVER_CPU_S_PER_GB)))
        split = ", ".join(f"{role} {significant(more[0])}" for role, more in ends if more is not None)
        text = f"{where}encryption costs {_written(costs)} s/GB ({split}): {variant['name']} less {twin['name']}"
        yield (text[:1].upper() + text[1:]) + _beside_sendfile(point, twin, costs[0]) + "."


def _beside_sendfile(point: PointSummary, twin: VariantRecord, costs: float) -> str:
    """Say what sendfile saves of the copying *twin*, and how often encryption costs that."""
    zero_copy = _variant(point, _ZERO_COPY)
    saves = _more(twin, zero_copy, TOTAL_CPU_S_PER_GB) if zero_copy and twin["mechanism"] == _COPYING else None
    if saves is None or saves[0] <= saves[1] or costs <= 0:
        return ""
    return f", {significant(costs / saves[0], 2)} times the {_written(saves)} s/GB that sendfile saves without encryption"


def _variant(point: PointSummary, mechanism: str | None) -> VariantRecord | None:
    """Return the first variant with *mechanism* that a user asked for."""
    found = (v for v in point["variants"] if v["mechanism"] == mechanism and not v["aa"] and not v["best_chunk"])
    return next(found, None)


def _more(one: VariantRecord, other: VariantRecord, key: str) -> tuple[float, float] | None:
    """Return how much more *one* costs than *other*, and the half-width of its 95 % interval; None where a figure is missing."""
    ours, theirs = one["metrics"][key], other["metrics"][key]
    halves = []
    for figure in (ours, theirs):
        if figure["low"] is None or figure["high"] is None:
            return None
        halves.append((figure["high"] - figure["low"]) / 2)
    return (ours["estimate"] or 0.0) - (theirs["estimate"] or 0.0), math.hypot(*halves)


def _written(figure: tuple[float, float]) -> str:
    return f"{significant(figure[0])} ±{significant(figure[1], 2)}"
