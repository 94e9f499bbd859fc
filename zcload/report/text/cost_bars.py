"""Bars in characters, for a terminal: CPU seconds per GB of each variant, a part for each role."""

from __future__ import annotations

from zcload.model.metrics import RECEIVER_CPU_S_PER_GB, RELAY_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import PointSummary, VariantRecord
from zcload.report.text.figures import significant

# Signs that every encoding has, in the order of the parts.
_ENDS = (("#", "sender", SENDER_CPU_S_PER_GB), ("=", "receiver", RECEIVER_CPU_S_PER_GB))
_RELAY = ("+", "relay", RELAY_CPU_S_PER_GB)


def cost_bars(point: PointSummary, width: int, most: int = 8) -> list[str]:
    """Return a line for each of at most *most* variants of *point* in *width* columns, none where nothing has a cost."""
    roles = (_RELAY, *_ENDS) if "relay" in point else _ENDS
    keys = [key for _, _, key in roles]
    costs = [(v, found) for v in point["variants"] if v["moves_payload"] and not v["aa"] and (found := _costs(v, keys))]
    if not costs:
        return []
    names = max(len(v["name"]) for v, _ in costs)
    columns = width - names - 10
    if columns < 16:
        return []
    longest = max(sum(parts) for _, parts in costs)
    of = "all three" if "relay" in point else "both ends"
    lines = [f"CPU seconds per GB of {of}: {', '.join(f'{sign} {role}' for sign, role, _ in roles)}"]
    for v, parts in costs[:most]:
        ends = [round(sum(parts[:count]) / longest * columns) for count in range(len(parts) + 1)]
        bar = "".join(sign * (ends[at + 1] - ends[at]) for at, (sign, _, _) in enumerate(roles))
        lines.append(f"{v['name']:>{names}} {bar} {significant(v['metrics'][TOTAL_CPU_S_PER_GB]['estimate'] or sum(parts))}")
    return lines


def _costs(variant: VariantRecord, keys: list[str]) -> list[float]:
    """Return the seconds per GB of each of the metrics *keys*; empty where one has no figure."""
    found = [value for key in keys if (value := variant["metrics"][key]["estimate"]) is not None]
    return [max(value, 0.0) for value in found] if len(found) == len(keys) else []
