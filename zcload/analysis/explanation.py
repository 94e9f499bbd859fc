"""Explain why a variant costs more or less than the baseline: the figures that changed together with its CPU.

A side's CPU per GB is the effect; it is told if its interval excludes "the same". A cause is told if its own figures differ
beyond doubt and by enough to matter, and only in the direction of the effect: fewer calls explain no cost. Copies are the documented ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zcload.analysis.caution_rules import RETRANSMITS
from zcload.model.metrics import (
    CPU_S_PER_GB,
    INVOLUNTARY_SWITCHES_PER_GB,
    MINOR_FAULTS_PER_GB,
    SENDER_CPU_S_PER_GB,
    SENDER_INVOLUNTARY_SWITCHES_PER_GB,
    SENDER_VOLUNTARY_SWITCHES_PER_GB,
    SYSCALLS_PER_GB,
    VOLUNTARY_SWITCHES_PER_GB,
)
from zcload.model.records.summary import Cause, ComparisonRecord, CopiesRecord, Explanation, MetricRecord, Side, VariantRecord
from zcload.model.records.values import IntervalRecord, KnownInterval, Role

ROLES: tuple[Role, ...] = ("relay", "sender", "receiver")
LEAST_CHANGE = 0.1  # of the baseline's system calls: fewer are no reason for anything that could be measured
MANY_PER_GB = 5000.0  # switches: more than one for every 200 kB
LEAST_OWN = 0.01  # of the baseline's sender CPU
LEAST_PER_GB = 500.0  # faults, switches: at some microseconds each the least that CPU seconds per GB show


def reasons(variants: Sequence[VariantRecord], comparisons: Sequence[ComparisonRecord], baseline: str) -> list[Explanation]:
    """Return for each contender that won or lost: its verdict, and by role the effect and its causes. Pure, from a point of a summary."""
    by_name = {v["name"]: v for v in variants}
    compared: dict[str, dict[str, ComparisonRecord]] = {}
    for c in comparisons:
        compared.setdefault(c["variant"], {})[c["metric"]] = c
    found: list[Explanation] = []
    for name, metrics in compared.items():
        headline = next(c for c in metrics.values() if c["headline"])
        other_role = headline["aa"] or by_name[name]["best_chunk"] or not by_name[name]["moves_payload"]
        if other_role or headline["verdict"] not in ("saves", "costs", "no difference"):
            continue
        sides = [side for role in ROLES if (side := _side(role, by_name[name], by_name[baseline], metrics))]
        if sides and (headline["verdict"] != "no difference" or _cancel(sides)):
            found.append({"variant": name, "baseline": baseline, "verdict": headline["verdict"], "sides": sides})
    return found


def _cancel(sides: Sequence[Side]) -> bool:
    """Say whether one side pays what the other saves: what there is to tell of a variant that makes no difference."""
    return len({side["effect"] for side in sides}) == 2


def _side(role: Role, ours: VariantRecord, theirs: VariantRecord, metrics: Mapping[str, ComparisonRecord]) -> Side | None:
    """Return the effect on one side's CPU and its causes; None where the interval shows no effect."""
    compared = metrics.get(CPU_S_PER_GB[role])  # results of older versions know of no relays
    if compared is None:
        return None
    saving = compared["saving_percent"]
    better = _sign(saving)
    if not better:
        return None
    sides = (role, better, ours, theirs)
    causes: list[Cause] = [*_copies(*sides), *_counts(*sides, metrics), *_own_code(*sides), *_of_its_own(*sides)]
    return {"role": role, "effect": "saves" if better > 0 else "costs", "saving_percent": saving, "causes": causes}


def _sign(saving: IntervalRecord) -> int:
    """Return 1 if the interval shows less, -1 if it shows more, 0 if it shows neither."""
    if saving["low"] is None or saving["high"] is None:
        return 0
    return 1 if saving["low"] > 0 else -1 if saving["high"] < 0 else 0


def _documented(variant: VariantRecord, role: Role) -> CopiesRecord | None:
    return variant["bill"]["copies"].get(role)


def _copies(role: Role, better: int, ours: VariantRecord, theirs: VariantRecord) -> Iterator[Cause]:
    a, b = _documented(ours, role), _documented(theirs, role)
    if a and b and (b["here"] - a["here"]) * better > 0:
        yield {"code": "copies", "variant": a["here"], "baseline": b["here"]}
    if role == "sender" and better < 0 and ours["truth"]["label"]:
        yield {"code": "late_copy", "variant": ours["copied_fraction"], "baseline": None}
    if role == "receiver" and better < 0 and a and b and a["here"]:
        sent, usual = _documented(ours, "sender"), _documented(theirs, "sender")
        if ours["truth"]["label"]:
            yield {"code": "late_copy_here", "variant": ours["copied_fraction"], "baseline": None}
        elif sent and usual and not sent["here"] and usual["here"] and ours["sink"] == theirs["sink"] and not _more_switches(ours, theirs):
            yield {"code": "cold_memory", "variant": sent["here"], "baseline": usual["here"]}


def _more_switches(ours: VariantRecord, theirs: VariantRecord) -> bool:
    """Say whether the sender switches so much more that its threads may be what costs the receiver, and not the memory."""
    keys = (SENDER_VOLUNTARY_SWITCHES_PER_GB, SENDER_INVOLUNTARY_SWITCHES_PER_GB)
    return sum((ours["metrics"][key]["estimate"] or 0.0) - (theirs["metrics"][key]["estimate"] or 0.0) for key in keys) > MANY_PER_GB


def _counts(
    role: Role, better: int, ours: VariantRecord, theirs: VariantRecord, metrics: Mapping[str, ComparisonRecord]
) -> Iterator[Cause]:
    """Tell of calls, faults and switches that differ beyond doubt, by enough, and in the direction of the effect."""
    for code, key in (
        ("calls", SYSCALLS_PER_GB[role]),
        ("faults", MINOR_FAULTS_PER_GB[role]),
        ("voluntary", VOLUNTARY_SWITCHES_PER_GB[role]),
        ("involuntary", INVOLUNTARY_SWITCHES_PER_GB[role]),
    ):
        a, b = _known(ours["metrics"][key]), _known(theirs["metrics"][key])
        if a is None or b is None:
            continue
        fewer = b["estimate"] - a["estimate"]
        apart = a["high"] < b["low"] or b["high"] < a["low"]
        enough = abs(fewer) >= (LEAST_CHANGE * b["estimate"] if code == "calls" else LEAST_PER_GB)
        # A ratio takes in what drifts for both; where the baseline has none at all there is no ratio, and their intervals must do.
        decided = _sign(metrics[key]["saving_percent"]) * better > 0 or (not b["estimate"] and apart)
        if enough and decided and fewer * better > 0:
            yield {"code": code, "metric": key, "variant": a, "baseline": b}


def _of_its_own(role: Role, better: int, ours: VariantRecord, theirs: VariantRecord) -> Iterator[Cause]:
    """Tell of retransmissions and of what was mapped: things that the baseline need not have."""
    lost, usual = ours["retransmitted_fraction"], theirs["retransmitted_fraction"] or 0.0
    if better < 0 and lost is not None and lost > max(RETRANSMITS, 2 * usual):
        yield {"code": "retransmits", "variant": lost, "baseline": usual}
    mapped = ours["receiver_mapped_fraction"]
    if role == "receiver" and mapped and better > 0:
        yield {"code": "mapped", "variant": mapped, "baseline": theirs["receiver_mapped_fraction"]}


def _own_code(role: Role, better: int, ours: VariantRecord, theirs: VariantRecord) -> Iterator[Cause]:
    """Tell of zcload's own code in the senders where one variant runs more of it than the other, by a share that shows."""
    a, b, usual = ours["own_cost"], theirs["own_cost"], theirs["metrics"][SENDER_CPU_S_PER_GB]["estimate"]
    if role == "sender" and a and b and usual is not None and (b["s_per_gb"] - a["s_per_gb"]) * better > LEAST_OWN * usual:
        yield {"code": "own_code", "variant": a["s_per_gb"], "baseline": b["s_per_gb"]}


def _known(metric: MetricRecord) -> KnownInterval | None:
    """Return the figure of a metric that exists."""
    estimate, low, high = metric["estimate"], metric["low"], metric["high"]
    return None if estimate is None or low is None or high is None else {"estimate": estimate, "low": low, "high": high}
