"""Rules for the cautions that the raw records show. What each caution says is in zcload/model/cautions.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from zcload.analysis.comparisons import Comparison
from zcload.analysis.estimates import below_zero
from zcload.analysis.own_cost import distortion
from zcload.analysis.point_data import PointData
from zcload.analysis.rate import cautions as rate_cautions
from zcload.analysis.stats import outlying
from zcload.analysis.zerocopy_check import ALL_PLAIN, all_plain
from zcload.model.cautions import Caution, caution
from zcload.model.metrics import METRICS, SENDER_RETRANSMITS_PER_GB, SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB, TRANSFERS_PER_S
from zcload.model.records.summary import VariantRecord
from zcload.model.units import counted

_FEW = 6
_FAR = 0.1  # in logs: outlying values nearer to the estimate change nothing that anybody decides by
FALLBACK = 0.01  # of the bytes: from there on the figures describe a mixture
RETRANSMITS = 0.01  # of the segments: each costs as much again as it did the first time, so a third of the usual margin
WARM_READ = 0.001  # of the bytes sent: more than a stray page was not in the cache


def point_cautions(
    where: str,
    data: PointData,
    comparisons: Iterable[Comparison],
    variants: Iterable[VariantRecord],
    observer_share: float | None,
    missed: bool,
    margin: float,
) -> list[Caution]:
    """Return the cautions of one point; *where* names it in messages when there are several."""
    found = []
    generations = len(data.used())
    comparisons = list(comparisons)
    variants = list(variants)
    others = {v["name"] for v in variants if v["best_chunk"] or v["status"] != "ok"}  # lanes that do not decide when to stop
    if 0 < generations < _FEW:
        found.append(caution("few_generations", where, measured=counted(generations, "replicate" if data.replicates else "generation")))
    if missed:
        widest = max(
            (c for c in comparisons if c.headline and not c.aa and c.variant not in others and c.ratio.interval), key=_width, default=None
        )
        if widest is not None:
            found.append(caution("target_missed", where, variant=widest.variant, half_width=_width(widest)))
    if data.kept_contaminated:
        share = 100 * data.kept_contaminated / max(data.blocks - data.repeated, 1)
        found.append(caution("contaminated", where, blocks=counted(data.kept_contaminated, "block"), percent=share))
    for c in comparisons:
        found += _comparison_cautions(where, c)
    for variant in variants:
        machine, ends = (variant["metrics"][key] for key in (SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB))
        if machine["high"] is not None and ends["low"] is not None and machine["high"] < ends["low"]:
            found.append(caution("machine_ledger", where, variant=variant["name"], machine=machine["estimate"], ends=ends["estimate"]))
        elif below_zero(METRICS[SYSTEM_CPU_S_PER_GB], variant["name"], data.used()):
            found.append(caution("machine_ledger:negative", where, variant=variant["name"]))
        found += _truth_cautions(where, variant)
        held_back_by = variant["bottleneck"]
        if held_back_by and held_back_by["verdict"] == "receiver CPU":
            found.append(caution("receiver_bound", where, variant=variant["name"]))
    found += rate_cautions(where, {v["name"]: rate for v in variants if (rate := v.get("rate")) and v["moves_payload"]})
    if observer_share is not None and observer_share > 0.01:
        found.append(caution("observer_cost", where, percent=100 * observer_share))
    found += _own_cost_cautions(where, comparisons, variants, margin)
    found += _clock_cautions(where, data)
    return found + _cache_cautions(where, data)


def _own_cost_cautions(where: str, comparisons: Sequence[Comparison], variants: Sequence[VariantRecord], margin: float) -> list[Caution]:
    """Say where zcload's own code, which one variant runs and the other does not, moves their ratio by more than the margin."""
    found, by_name = [], {v["name"]: v for v in variants}
    for c in comparisons:
        ours = by_name[c.variant]
        shift = distortion(ours, by_name[c.baseline]) if c.headline else None
        own = ours.get("own_cost")
        if shift is not None and own and abs(shift) > margin:
            found.append(
                caution(
                    "own_cost",
                    where,
                    variant=c.variant,
                    baseline=c.baseline,
                    s_per_gb=own["s_per_gb"],
                    points=100 * shift,
                    ns_per_call=1e9 * own["s_per_call"],
                )
            )
    return found


def _truth_cautions(where: str, variant: VariantRecord) -> list[Caution]:
    """Say that a variant was no zero-copy, that it lost packets, or that a part of it went as plain copies."""
    found, name, said = [], variant["name"], variant["truth"]
    if all_plain(said):
        found.append(caution("copied:unpinned", where, variant=name, reason=ALL_PLAIN))
    elif said["label"]:
        found.append(caution("copied", where, variant=name))
    elif (fallback := said["fallback_fraction"] or 0.0) > FALLBACK:
        found.append(caution("fallback", where, variant=name, percent=100 * fallback))
    lost, per_gb = variant["retransmitted_fraction"], variant["metrics"][SENDER_RETRANSMITS_PER_GB]["estimate"]
    if lost is not None and per_gb is not None and lost > RETRANSMITS:
        found.append(caution("retransmits", where, variant=name, percent=100 * lost, per_gb=per_gb))
    return found


def arrivals_missed(where: str, asked_per_s: float | None, variants: Iterable[VariantRecord]) -> list[Caution]:
    """Return a caution for each variant that served surely less than 98 % of the small files that the schedule had."""
    found = []
    for variant in variants:
        served = variant["metrics"][TRANSFERS_PER_S]
        if asked_per_s and served["high"] is not None and served["high"] < 0.98 * asked_per_s:
            found.append(caution("arrivals_missed", where, variant=variant["name"], served=served["estimate"], asked=asked_per_s))
    return found


def _cache_cautions(where: str, data: PointData) -> list[Caution]:
    """Count the windows whose cache state was not the one asked for."""
    found: list[Caution] = []
    for lane in data.workers:
        totals = [g.sums[lane] for g in data.all_blocks.values() if lane in g.sums]
        cold, not_cold, read, moved = (
            sum(t[name] for t in totals) for name in ("cold_windows", "not_cold_windows", "sender_read_bytes", "read_gb")
        )
        if not_cold:
            found.append(caution("cold_not_cold", where, lane=lane, warm=not_cold, windows=cold))
        if not cold and moved and read > WARM_READ * moved * 1e9:
            found.append(caution("warm_read", where, lane=lane, percent=100 * read / moved / 1e9))
    return found


def _width(comparison: Comparison) -> float:
    from zcload.analysis.stats import half_width_percent

    assert comparison.ratio.interval is not None
    return half_width_percent(comparison.ratio.interval)


def _comparison_cautions(where: str, c: Comparison) -> list[Caution]:
    interval, sums = c.ratio.interval, c.ratio.sums
    if interval is None or not c.headline:
        return []
    found = []
    if c.aa and not interval.low <= 1.0 <= interval.high:
        found.append(
            caution(
                "aa_differs",
                where,
                variant=c.variant,
                baseline=c.baseline,
                estimate=interval.estimate,
                low=interval.low,
                high=interval.high,
            )
        )
    far = [log for log in outlying(c.ratio.logs) if abs(log - math.log(interval.estimate)) > _FAR]
    if far:
        found.append(
            caution(
                "outlying",
                where,
                variant=c.variant,
                far=len(far),
                of=len(c.ratio.logs),
                values=", ".join(f"{math.exp(log):.2f}" for log in far[:4]),
                estimate=interval.estimate,
            )
        )
    if sums is not None and not (interval.low <= sums.estimate <= interval.high) and not (sums.low <= interval.estimate <= sums.high):
        found.append(caution("estimators_disagree", where, variant=c.variant, paired=interval.estimate, sums=sums.estimate))
    return found


def _clock_cautions(where: str, data: PointData) -> list[Caution]:
    """Hold psutil's CPU times against the exact clocks, per lane: each process and generation may be off by a tick."""
    found: list[Caution] = []
    used = data.used()
    for lane, (senders, receivers, relays) in data.workers.items():
        held = [g for g in used if lane in g.sums]
        groups = sum(g.groups_of(lane) for g in held)
        processes = max([senders, *(said["processes"] for said in data.servers.get(lane, ()))])
        for role, count in (("sender", processes), ("receiver", receivers), ("relay", relays)):
            exact = sum(g.sums[lane][f"{role}_clock_s"] for g in held)
            ticked = sum(g.sums[lane][f"{role}_psutil_s"] for g in held)
            # Two tick-quantised fields a process and generation; the baseline has processes in every group.
            allowed = 0.02 * exact + 0.02 * count * groups
            if abs(exact - ticked) > allowed:
                found.append(caution("clocks_disagree", where, lane=lane, role=role, ticked=ticked, exact=exact))
    return found
