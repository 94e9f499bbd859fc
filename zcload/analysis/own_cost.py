"""How much of a variant's CPU is zcload's own code: the senders' loop, or the io_uring binding, per call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from zcload.analysis.tally import Generation, Tally
from zcload.model.metrics import TOTAL_CPU_S_PER_GB

if TYPE_CHECKING:
    from zcload.model.records.lines import Calibrated
    from zcload.model.records.summary import MetricRecord, OwnCost, ReceiverOwnCost, VariantRecord
    from zcload.model.records.values import LaneFacts

LOOP = "null"  # the mechanism whose cost per call is that of the loop itself


def cost_per_call(tally: Tally) -> float | None:
    """Return the senders' CPU seconds per turn of their loop."""
    return tally["sender_cpu_s"] / tally["sender_iterations"] if tally.get("sender_iterations") else None


def costs_per_call(lanes: Iterable[LaneFacts], calibrated: Calibrated | None, generations: Sequence[Generation]) -> dict[str, float]:
    """Return by mechanism what a call costs that moves nothing: calibrated, or measured as a variant of its own."""
    found = {LOOP: calibrated.get("loop_s_per_call"), **calibrated.get("own_s_per_call", {})} if calibrated else {}
    for lane in lanes:
        if lane["moves_payload"] or found.get(lane["mechanism"]):
            continue
        sums = [g.sums[lane["name"]] for g in generations if lane["name"] in g.sums]
        together = {key: sum(each[key] for each in sums) for key in ("sender_cpu_s", "sender_iterations")}
        found[lane["mechanism"]] = cost_per_call(together)
    return {name: cost for name, cost in found.items() if cost}


def own_cost(lane: LaneFacts, per_call: Mapping[str, float], sums: Tally, metrics: Mapping[str, MetricRecord]) -> OwnCost | None:
    """Return what zcload itself costs in a variant, per call and per GB, and its share of both ends' CPU; None if that was not measured.

    *mechanism* is the one that moves nothing by the same code.
    """
    name = str(lane.get("overhead"))  # results of older versions do not say
    total = metrics[TOTAL_CPU_S_PER_GB]["estimate"]
    if name not in per_call or not lane["moves_payload"] or not sums["gb"]:
        return None
    per_gb = per_call[name] * sums["sender_iterations"] / sums["gb"]
    return {"mechanism": name, "s_per_call": per_call[name], "s_per_gb": per_gb, "share": per_gb / total if total else None}


def receiver_own_cost(
    lane: LaneFacts, per_receive: Mapping[str, float], sums: Tally, metrics: Mapping[str, MetricRecord]
) -> ReceiverOwnCost | None:
    """Return what the receivers' loop costs in a variant, per receive and per GB, and its share of both ends' CPU; None if not measured.

    *per_receive* is by sink. The receivers of a server have a loop of their own, which nothing shows.
    """
    cost, total = per_receive.get(lane["sink"]), metrics[TOTAL_CPU_S_PER_GB]["estimate"]
    if not cost or not lane.get("overhead") or not lane["moves_payload"] or not sums["gb"]:
        return None
    per_gb = cost * sums["receiver_iterations"] / sums["gb"]
    return {"s_per_receive": cost, "s_per_gb": per_gb, "share": per_gb / total if total else None}


def distortion(ours: VariantRecord, theirs: VariantRecord) -> float | None:
    """Return by how much zcload's own cost shifts the ratio of a variant to the baseline, as a fraction of the baseline's cost.

    What both pay alike shifts nothing; what only one of them pays is taken for a cost of its mechanism.
    """
    a, b, total = ours.get("own_cost"), theirs.get("own_cost"), theirs["metrics"][TOTAL_CPU_S_PER_GB]["estimate"]
    return (a["s_per_gb"] - b["s_per_gb"]) / total if a and b and total else None
