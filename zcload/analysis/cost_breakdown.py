"""Break a variant's cost down into system calls by kind and copies of the payload, documented and observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.analysis.estimates import metric_interval
from zcload.analysis.stats import Bootstrap
from zcload.analysis.tally import Generation, call_sum
from zcload.model.metrics import Metric

ROLES = ("sender", "receiver")
NOT_OBSERVABLE = "not observable"

Facts = Mapping[str, Any]


def cost_breakdown(
    lane: Facts, network: str, generations: Sequence[Generation], bootstrap: Bootstrap, truth: Facts, mapped_fraction: float | None
) -> dict[str, Any]:
    """Return the bill of *lane*: what `lane_facts` says of it, with what was counted and what the kernel reported."""
    return {
        "calls_per_gb": {role: _calls(lane, role, generations, bootstrap) for role in ROLES},
        "copies": {
            "sender": _copies(lane, "sender", network, *_late(lane, truth)),
            "receiver": _copies(lane, "receiver", network, *_unmapped(mapped_fraction)),
        },
    }


def _calls(lane: Facts, role: str, generations: Sequence[Generation], bootstrap: Bootstrap) -> dict[str, Any]:
    """Return by kind how many system calls the role made per GB; empty for results of versions that did not name the kinds."""
    found = {}
    for at, kind in enumerate(lane.get("calls", {}).get(role, ())):
        metric = Metric(f"{role}_{kind}_calls_per_gb", f"{role} {kind}", "1/GB", "none", "sums", call_sum(role, at), "gb", "")
        interval, why = metric_interval(metric, lane["name"], generations, bootstrap)
        figures = interval.as_dict() if interval else {"estimate": None, "low": None, "high": None}
        found[kind] = {**figures, "unit": metric.unit, **({} if interval else {"reason": why})}
    return found


def _copies(lane: Facts, role: str, network: str, observed: float | None, basis: str) -> dict[str, Any] | None:
    """Return the copies of the payload on one side: *card* and *local* as documented, *here* which of them this network asks for.

    *observed* are copies per byte that something told of, *basis* says what, and what nothing tells of. None where nothing is documented.
    """
    documented = (lane.get("copies") or {}).get(role)
    if documented is None or not lane["moves_payload"]:
        return None
    here = documented["local"] if network in ("loopback", "veth") else documented["card"]
    return {**documented, "here": here, "observed": observed, "basis": basis}


def _late(lane: Facts, truth: Facts) -> tuple[float | None, str]:
    """Return the copies that the kernel admits on the sending side, per byte: late ones by the completions' flag, and plain sends."""
    if truth["copied_fraction"] is None:
        return None, NOT_OBSERVABLE
    plain = truth["fallback_fraction"] or 0.0
    documented = (lane.get("copies") or {}).get("sender") or {"card": 0}
    rest = "; the copy into the buffer is " + NOT_OBSERVABLE if documented["card"] else ""
    return (1 - plain) * truth["copied_fraction"] + plain, f"copied flag of {truth['completions']} completions{rest}"


def _unmapped(mapped_fraction: float | None) -> tuple[float | None, str]:
    if mapped_fraction is None:
        return None, NOT_OBSERVABLE
    return 1 - mapped_fraction, "bytes that the sink mapped"
