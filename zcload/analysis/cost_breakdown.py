"""Break a variant's cost down into system calls by kind and copies of the payload, documented and observed."""

from __future__ import annotations

from collections.abc import Sequence

from zcload.analysis.estimates import metric_record
from zcload.analysis.stats import Bootstrap
from zcload.analysis.tally import Generation, call_sum
from zcload.model.metrics import Metric
from zcload.model.records.summary import CopiesRecord, CostBreakdown, MetricRecord, ZeroCopyCheck
from zcload.model.records.values import DocumentedCopies, LaneFacts, Role

ROLES = ("sender", "receiver", "relay")
NOT_OBSERVABLE = "not observable"


def cost_breakdown(
    lane: LaneFacts,
    network: str,
    generations: Sequence[Generation],
    bootstrap: Bootstrap,
    truth: ZeroCopyCheck,
    mapped_fraction: float | None,
) -> CostBreakdown:
    """Return the bill of *lane*: what `lane_facts` says of it, with what was counted and what the kernel reported."""
    found: CostBreakdown = {
        "calls_per_gb": {
            "sender": _calls(lane, "sender", generations, bootstrap),
            "receiver": _calls(lane, "receiver", generations, bootstrap),
        },
        "copies": {
            "sender": _copies(lane, "sender", network, *_late(lane, truth)),
            "receiver": _copies(lane, "receiver", network, *_unmapped(mapped_fraction)),
        },
    }
    if "relay" in lane.get("calls", {}):
        found["calls_per_gb"]["relay"] = _calls(lane, "relay", generations, bootstrap)
        found["copies"]["relay"] = _copies(lane, "relay", network, None, NOT_OBSERVABLE)
    return found


def _calls(lane: LaneFacts, role: Role, generations: Sequence[Generation], bootstrap: Bootstrap) -> dict[str, MetricRecord]:
    """Return by kind how many system calls the role made per GB; empty for results of versions that did not name the kinds."""
    found: dict[str, MetricRecord] = {}
    names = lane["calls"].get(role, []) if "calls" in lane else []
    for at, kind in enumerate(names):
        metric = Metric(f"{role}_{kind}_calls_per_gb", f"{role} {kind}", "1/GB", "none", "sums", call_sum(role, at), "gb", "")
        found[kind] = metric_record(metric, lane["name"], generations, bootstrap)
    return found


def _copies(lane: LaneFacts, role: Role, network: str, observed: float | None, basis: str) -> CopiesRecord | None:
    """Return the copies of the payload on one side: *card* and *local* as documented, *here* which of them this network asks for.

    *observed* are copies per byte that something told of, *basis* says what, and what nothing tells of. None where nothing is documented.
    """
    documented = _documented(lane, role)
    if documented is None or not lane["moves_payload"]:
        return None
    here = documented["local"] if network in ("loopback", "veth") else documented["card"]
    return {**documented, "here": here, "observed": observed, "basis": basis}


def _documented(lane: LaneFacts, role: Role) -> DocumentedCopies | None:
    copies = lane.get("copies")
    return copies.get(role) if copies else None


def _late(lane: LaneFacts, truth: ZeroCopyCheck) -> tuple[float | None, str]:
    """Return the copies that the kernel admits on the sending side, per byte: late ones by the completions' flag, and plain sends."""
    if truth["copied_fraction"] is None:
        return None, NOT_OBSERVABLE
    plain = truth["fallback_fraction"] or 0.0
    documented = _documented(lane, "sender")
    rest = "; the copy into the buffer is " + NOT_OBSERVABLE if documented and documented["card"] else ""
    return (1 - plain) * truth["copied_fraction"] + plain, f"copied flag of {truth['completions']} completions{rest}"


def _unmapped(mapped_fraction: float | None) -> tuple[float | None, str]:
    if mapped_fraction is None:
        return None, NOT_OBSERVABLE
    return 1 - mapped_fraction, "bytes that the sink mapped"
