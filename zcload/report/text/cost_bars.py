"""Bars in characters, for a terminal: CPU seconds per GB of each variant, the sender's share and the receiver's."""

from __future__ import annotations

from zcload.model.metrics import RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import PointSummary, VariantRecord
from zcload.report.text.figures import significant

SENDER, RECEIVER = "#", "="  # signs that every encoding has


def cost_bars(point: PointSummary, width: int, most: int = 8) -> list[str]:
    """Return a line for each of at most *most* variants of *point* in *width* columns, none where nothing has a cost."""
    costs = [(v, *found) for v in point["variants"] if v["moves_payload"] and not v["aa"] and (found := _costs(v))]
    if not costs:
        return []
    names = max(len(v["name"]) for v, _, _ in costs)
    columns = width - names - 10
    if columns < 16:
        return []
    longest = max(sender + receiver for _, sender, receiver in costs)
    lines = [f"CPU seconds per GB of both ends: {SENDER} sender, {RECEIVER} receiver"]
    for v, sender, receiver in costs[:most]:
        left = round(sender / longest * columns)
        both = round((sender + receiver) / longest * columns)
        bar = SENDER * left + RECEIVER * (both - left)
        lines.append(f"{v['name']:>{names}} {bar} {significant(v['metrics'][TOTAL_CPU_S_PER_GB]['estimate'] or sender + receiver)}")
    return lines


def _costs(variant: VariantRecord) -> tuple[float, float] | None:
    """Return the sender's and the receiver's seconds per GB; None where either has no figure."""
    sender, receiver = (variant["metrics"][key]["estimate"] for key in (SENDER_CPU_S_PER_GB, RECEIVER_CPU_S_PER_GB))
    return None if sender is None or receiver is None else (max(sender, 0.0), max(receiver, 0.0))
