"""Explain why a variant costs more or less than the baseline: the figures that changed together with its CPU.

A side's CPU per GB is the effect; it is told if its interval excludes "the same". A cause is told if its own figures differ
beyond doubt and by enough to matter, and only in the direction of the effect: fewer calls explain no cost. Copies are the documented ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zcload.analysis.caution_rules import RETRANSMITS

ROLES = ("sender", "receiver")
LEAST_CHANGE = 0.1  # of the baseline's system calls: fewer are no reason for anything that could be measured
MANY_PER_GB = 5000.0  # switches: more than one for every 200 kB
LEAST_OWN = 0.01  # of the baseline's sender CPU
LEAST_PER_GB = 500.0  # faults, switches: at some microseconds each the least that CPU seconds per GB show

Facts = Mapping[str, Any]


def reasons(variants: Sequence[Facts], comparisons: Sequence[Facts], baseline: str) -> list[dict[str, Any]]:
    """Return for each contender that won or lost: its verdict, and by role the effect and its causes. Pure, from a point of a summary."""
    by_name = {v["name"]: v for v in variants}
    compared: dict[str, dict[str, Facts]] = {}
    for c in comparisons:
        compared.setdefault(c["variant"], {})[c["metric"]] = c
    found = []
    for name, metrics in compared.items():
        headline = next(c for c in metrics.values() if c["headline"])
        other_role = headline["aa"] or by_name[name]["best_chunk"] or not by_name[name]["moves_payload"]
        if other_role or headline["verdict"] not in ("saves", "costs", "no difference"):
            continue
        sides = [side for role in ROLES if (side := _side(role, by_name[name], by_name[baseline], metrics))]
        if sides and (headline["verdict"] != "no difference" or _cancel(sides)):
            found.append({"variant": name, "baseline": baseline, "verdict": headline["verdict"], "sides": sides})
    return found


def _cancel(sides: Sequence[Facts]) -> bool:
    """Say whether one side pays what the other saves: what there is to tell of a variant that makes no difference."""
    return len({side["effect"] for side in sides}) == 2


def _side(role: str, ours: Facts, theirs: Facts, metrics: Mapping[str, Facts]) -> dict[str, Any] | None:
    """Return the effect on one side's CPU and its causes; None where the interval shows no effect."""
    saving = metrics[f"{role}_cpu_s_per_gb"]["saving_percent"]
    better = _sign(saving)
    if not better:
        return None
    sides = (role, better, ours, theirs)
    causes = [*_copies(*sides), *_counts(*sides, metrics), *_own_code(*sides), *_of_its_own(*sides)]
    return {"role": role, "effect": "saves" if better > 0 else "costs", "saving_percent": saving, "causes": causes}


def _sign(saving: Facts) -> int:
    """Return 1 if the interval shows less, -1 if it shows more, 0 if it shows neither."""
    if saving["estimate"] is None:
        return 0
    return 1 if saving["low"] > 0 else -1 if saving["high"] < 0 else 0


def _documented(variant: Facts, role: str) -> Facts | None:
    copies: Facts | None = variant["bill"]["copies"][role]
    return copies


def _copies(role: str, better: int, ours: Facts, theirs: Facts) -> Iterator[dict[str, Any]]:
    a, b = _documented(ours, role), _documented(theirs, role)
    if a and b and (b["here"] - a["here"]) * better > 0:
        yield {"code": "copies", "variant": a["here"], "baseline": b["here"]}
    if role == "sender" and better < 0 and ours["truth"]["label"]:
        yield {"code": "late_copy", "variant": ours["copied_fraction"], "baseline": None}
    if role == "receiver" and better < 0 and a and b and a["here"]:
        sent, usual = _documented(ours, "sender"), _documented(theirs, "sender")
        if ours["truth"]["label"]:
            yield {"code": "late_copy_here", "variant": ours["copied_fraction"], "baseline": None}
        elif sent and usual and sent["here"] < usual["here"] and ours["sink"] == theirs["sink"] and not _more_switches(ours, theirs):
            yield {"code": "cold_memory", "variant": sent["here"], "baseline": usual["here"]}


def _more_switches(ours: Facts, theirs: Facts) -> bool:
    """Say whether the sender switches so much more that its threads may be what costs the receiver, and not the memory."""
    keys = [f"sender_{kind}_switches_per_gb" for kind in ("voluntary", "involuntary")]
    return sum((ours["metrics"][key]["estimate"] or 0.0) - (theirs["metrics"][key]["estimate"] or 0.0) for key in keys) > MANY_PER_GB


def _counts(role: str, better: int, ours: Facts, theirs: Facts, metrics: Mapping[str, Facts]) -> Iterator[dict[str, Any]]:
    """Tell of calls, faults and switches that differ beyond doubt, by enough, and in the direction of the effect."""
    for code, key in (
        ("calls", f"{role}_syscalls_per_gb"),
        ("faults", f"{role}_minor_faults_per_gb"),
        ("voluntary", f"{role}_voluntary_switches_per_gb"),
        ("involuntary", f"{role}_involuntary_switches_per_gb"),
    ):
        a, b = ours["metrics"][key], theirs["metrics"][key]
        if a["estimate"] is None or b["estimate"] is None:
            continue
        fewer = b["estimate"] - a["estimate"]
        apart = a["high"] < b["low"] or b["high"] < a["low"]
        enough = abs(fewer) >= (LEAST_CHANGE * b["estimate"] if code == "calls" else LEAST_PER_GB)
        # A ratio takes in what drifts for both; where the baseline has none at all there is no ratio, and their intervals must do.
        decided = _sign(metrics[key]["saving_percent"]) * better > 0 or (not b["estimate"] and apart)
        if enough and decided and fewer * better > 0:
            yield {"code": code, "metric": key, "variant": _figure(a), "baseline": _figure(b)}


def _of_its_own(role: str, better: int, ours: Facts, theirs: Facts) -> Iterator[dict[str, Any]]:
    """Tell of retransmissions and of what was mapped: things that the baseline need not have."""
    lost, usual = ours["retransmitted_fraction"], theirs["retransmitted_fraction"] or 0.0
    if better < 0 and lost is not None and lost > max(RETRANSMITS, 2 * usual):
        yield {"code": "retransmits", "variant": lost, "baseline": usual}
    mapped = ours["receiver_mapped_fraction"]
    if role == "receiver" and mapped and better > 0:
        yield {"code": "mapped", "variant": mapped, "baseline": theirs["receiver_mapped_fraction"]}


def _own_code(role: str, better: int, ours: Facts, theirs: Facts) -> Iterator[dict[str, Any]]:
    """Tell of zcload's own code in the senders where one variant runs more of it than the other, by a share that shows."""
    a, b, usual = ours["own_cost"], theirs["own_cost"], theirs["metrics"]["sender_cpu_s_per_gb"]["estimate"]
    if role == "sender" and a and b and (b["s_per_gb"] - a["s_per_gb"]) * better > LEAST_OWN * usual:
        yield {"code": "own_code", "variant": a["s_per_gb"], "baseline": b["s_per_gb"]}


def _figure(metric: Facts) -> dict[str, Any]:
    return {name: metric[name] for name in ("estimate", "low", "high")}
