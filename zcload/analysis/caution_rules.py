"""The cautions that the records themselves give rise to. CODES says what they mean; those of the host's are the doctor's checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zcload.analysis.comparisons import Comparison
from zcload.analysis.own_cost import distortion
from zcload.analysis.point_data import PointData
from zcload.analysis.rate import cautions as rate_cautions
from zcload.analysis.zerocopy_check import ALL_PLAIN, all_plain
from zcload.model.cautions import Caution
from zcload.model.metrics import MACHINE, TOTAL
from zcload.model.units import counted

CODES: dict[str, str] = {
    "aa_differs": "the baseline's two lanes differ from each other",
    "congestion": "the congestion control is one that costs CPU of its own and could not be changed",
    "contaminated": "blocks with foreign CPU time or steal were kept because too many had to be repeated",
    "arrivals_missed": "fewer small files were served in a second than were asked for",
    "cache_unverified": "the kernel does not say whether the file is in the page cache",
    "clocks_disagree": "psutil's CPU times and the exact CPU clocks differ by more than ticks explain",
    "cold_not_cold": "windows that were to begin with a cold cache found more than 5 % of what they sent in it",
    "copied": "the kernel reports that every zero-copy send was copied after all",
    "estimators_disagree": "the robust estimate and the ratio of sums lie outside each other's intervals",
    "fallback": "a part of the zero-copy sends went as plain copies, for want of memory that may be pinned",
    "few_chunks": "windows hold fewer chunks of a sender than a rate needs to be kept to half a percent",
    "few_generations": "too few generations for an interval that can be trusted",
    "machine_ledger": "the machine's CPU came out below that of the lanes: its idle baseline was disturbed",
    "host_cache": "in a virtual machine a cold file may be warm in the hypervisor's cache",
    "not_resident": "the file does not stay in the page cache: the warm case is not warm",
    "own_cost": "zcload's own code, its io_uring binding above all, shifts a comparison by more than the margin",
    "observer_cost": "the coordinator used more than 1 % of the lanes' CPU time inside windows",
    "partial": "the run was interrupted or failed before its end",
    "point_failed": "a point could not be measured, or not to its end",
    "rate_missed": "a lane did not reach the rate that was asked for",
    "rate_unequal": "lanes were more than 2 % off the rate or apart, and it is not that they could not reach it",
    "receiver_bound": "the figure describes the receiver, which was the bottleneck",
    "retransmits": "more than 1 % of the segments were sent again",
    "server_ledger": "two sources of a server's CPU time differ by more than 2 %",
    "server_restless": "a server was still at work at more than 5 % of its lanes' rests",
    "server_end": "a server did not end when asked, and was killed",
    "resumed": "the run was interrupted and resumed: it was measured in several sittings",
    "small_file": "the file is under four times the last-level cache: part of it is sent from there",
    "smt_siblings": "senders and receivers share a physical core",
    "strangers": "connections without the run's secret were refused",
    "target_missed": "the time limit came before the target half-width",
    "veth_settings": "settings of the veth pair's namespaces differ from the host's",
    "warm_read": "the disk was read in windows that were to find the file in the page cache",
    "windows_disagree": "windows of 2 s give another ratio than the short ones",
}

_FEW = 6
FALLBACK = 0.01  # of the bytes: from there on the figures describe a mixture
RETRANSMITS = 0.01  # of the segments: each costs as much again as it did the first time, so a third of the usual margin
WARM_READ = 0.001  # of the bytes sent: more than a stray page was not in the cache


def point_cautions(
    where: str,
    data: PointData,
    comparisons: Iterable[Comparison],
    variants: Iterable[Mapping[str, Any]],
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
        found.append(
            Caution("few_generations", f"{where}only {counted(generations, 'generation')} measured", "give it more time (--max-time)")
        )
    if missed:
        widest = max(
            (c for c in comparisons if c.headline and not c.aa and c.variant not in others and c.ratio.interval), key=_width, default=None
        )
        if widest is not None:
            text = f"{where}the interval of {widest.variant} is still +-{_width(widest):.1f} points wide at the time limit"
            found.append(Caution("target_missed", text, "more time (--max-time) or a quieter machine (zcload doctor)"))
    if data.kept_contaminated:
        share = 100 * data.kept_contaminated / max(data.blocks - data.repeated, 1)
        found.append(
            Caution(
                "contaminated",
                f"{where}{counted(data.kept_contaminated, 'block')} ({share:.0f} %) had "
                "foreign CPU time or steal above 5 % and had to be kept",
                "end what else runs on this machine; the estimates with and without them are both in summary.json",
            )
        )
    for c in comparisons:
        found += _comparison_cautions(where, c)
    for variant in variants:
        machine, ends = (variant["metrics"][key] for key in (MACHINE, TOTAL))
        if machine["estimate"] is not None and ends["estimate"] is not None and machine["high"] < ends["low"]:
            found.append(
                Caution(
                    "machine_ledger",
                    f"{where}{variant['name']}: the machine's CPU ({machine['estimate']:.3f} s/GB) came out below "
                    f"both ends' ({ends['estimate']:.3f})",
                    "something else ran while the lanes were parked; take no figure of the machine from this run",
                )
            )
        found += _truth_cautions(where, variant)
        verdict = (variant.get("bottleneck") or {}).get("verdict")
        if verdict == "receiver CPU":
            found.append(
                Caution(
                    "receiver_bound",
                    f"{where}{variant['name']}: the receiver's CPU is the bottleneck, so its goodput describes the receiver",
                    'compare CPU per GB, or take the receiver out of the picture with sink = "discard"',
                )
            )
    found += rate_cautions(where, {v["name"]: v["rate"] for v in variants if v.get("rate") and v["moves_payload"]})
    if observer_share is not None and observer_share > 0.01:
        found.append(
            Caution(
                "observer_cost",
                f"{where}the coordinator used {100 * observer_share:.1f} % of the lanes' CPU time",
                "longer windows (stop.window)",
            )
        )
    found += _own_cost_cautions(where, comparisons, variants, margin)
    found += _clock_cautions(where, data)
    return found + _cache_cautions(where, data)


def _own_cost_cautions(
    where: str, comparisons: Sequence[Comparison], variants: Sequence[Mapping[str, Any]], margin: float
) -> list[Caution]:
    """Say where zcload's own code, which one variant runs and the other does not, moves their ratio by more than the margin."""
    found, by_name = [], {v["name"]: v for v in variants}
    for c in comparisons:
        ours = by_name[c.variant]
        shift = distortion(ours, by_name[c.baseline]) if c.headline else None
        if shift is not None and abs(shift) > margin:
            own = ours["own_cost"]
            text = (
                f"{where}{c.variant}: zcload's own code takes {own['s_per_gb']:.3f} s/GB of it, which shifts it by "
                f"{100 * shift:.1f} points against {c.baseline}: {1e9 * own['s_per_call']:.0f} ns a call"
            )
            found.append(Caution("own_cost", text, "compare it at larger chunks, where calls are few"))
    return found


def _truth_cautions(where: str, variant: Mapping[str, Any]) -> list[Caution]:
    """Say that a variant was no zero-copy, that it lost packets, or that a part of it went as plain copies."""
    found, name, said = [], variant["name"], variant["truth"]
    if all_plain(said):
        remedy = "a higher RLIMIT_MEMLOCK (ulimit -l) and net.core.optmem_max"
        found.append(Caution("copied", f"{where}{name}: {ALL_PLAIN}: not a zero-copy result", remedy))
    elif said["label"]:
        remedy = "a network path that allows it: loopback and veth do not (docs/mechanisms.md)"
        found.append(Caution("copied", f"{where}{name}: the kernel copied 100 % after all: not a zero-copy result", remedy))
    elif (said["fallback_fraction"] or 0.0) > FALLBACK:
        share = 100 * said["fallback_fraction"]
        text = f"{where}{name}: {share:.1f} % of the bytes went as plain copies: there was no room to pin their pages"
        found.append(Caution("fallback", text, "a higher RLIMIT_MEMLOCK (ulimit -l) and net.core.optmem_max"))
    lost, per_gb = variant["retransmitted_fraction"], variant["metrics"]["sender_retransmits_per_gb"]["estimate"]
    if lost is not None and per_gb is not None and lost > RETRANSMITS:
        text = f"{where}{name}: {100 * lost:.1f} % of the segments were sent again, {per_gb:.0f} per GB: receive buffers overflowed"
        found.append(Caution("retransmits", text, 'larger buffers (socket_buffer = "4MiB") or a smaller chunk'))
    return found


def arrivals_missed(where: str, asked_per_s: float | None, variants: Iterable[Mapping[str, Any]]) -> list[Caution]:
    """Return a caution for each variant that served surely less than 98 % of the small files that the schedule had."""
    found = []
    for variant in variants:
        served = variant["metrics"]["transfers_per_s"]
        if asked_per_s and served["high"] is not None and served["high"] < 0.98 * asked_per_s:
            text = f"{where}{variant['name']}: {served['estimate']:.0f} small files a second were served, {asked_per_s:g} were asked for"
            found.append(
                Caution("arrivals_missed", text, "its latencies are those of a queue that grows as long as the window lasts: a lower rate")
            )
    return found


def _cache_cautions(where: str, data: PointData) -> list[Caution]:
    """Count the windows whose cache state was not the one asked for."""
    found: list[Caution] = []
    for lane in data.workers:
        totals = [g.sums[lane] for g in data.all_blocks.values() if lane in g.sums]
        cold, not_cold, read, moved = (
            sum(t.get(name, 0.0) for t in totals) for name in ("cold_windows", "not_cold_windows", "sender_read_bytes", "read_gb")
        )
        if not_cold:
            found.append(
                Caution(
                    "cold_not_cold",
                    f"{where}{lane}: {not_cold:.0f} of {cold:.0f} windows were not cold",
                    "a larger file or shorter windows (stop.window); see that nobody else reads the file or keeps it mapped",
                )
            )
        if not cold and moved and read > WARM_READ * moved * 1e9:
            text = f"{where}{lane}: the disk was read for {100 * read / moved / 1e9:.1f} % of the bytes sent: not warm throughout"
            found.append(Caution("warm_read", text, 'a file in memory (dir = "auto"), a smaller one, or more free memory'))
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
        text = f"{where}A/A: {c.variant} against {c.baseline} gives {interval.estimate:.3f} ({interval.low:.3f}..{interval.high:.3f})"
        found.append(Caution("aa_differs", text, "1 in 20 such intervals misses 1.0 by chance; if it comes again, run zcload doctor"))
    if sums is not None and not (interval.low <= sums.estimate <= interval.high) and not (sums.low <= interval.estimate <= sums.high):
        text = f"{where}{c.variant}: the paired estimate is {interval.estimate:.3f}, the ratio of sums {sums.estimate:.3f}"
        found.append(Caution("estimators_disagree", text, "a few windows cost far more than the rest; look at them in windows.jsonl"))
    return found


def _clock_cautions(where: str, data: PointData) -> list[Caution]:
    """Hold psutil's CPU times against the exact clocks, per lane: each process and generation may be off by a tick."""
    found: list[Caution] = []
    for lane, (senders, receivers) in data.workers.items():
        processes = max([senders, *(said["processes"] for said in data.servers.get(lane, ()))])
        for role, count in (("sender", processes), ("receiver", receivers)):
            held = [g for g in data.used() if lane in g.sums]
            exact = sum(g.sums[lane].get(f"{role}_clock_s", 0.0) for g in held)
            ticked = sum(g.sums[lane].get(f"{role}_psutil_s", 0.0) for g in held)
            # Two tick-quantised fields a process and generation; the baseline has processes in every group.
            allowed = 0.02 * exact + 0.02 * count * sum(g.groups_of(lane) for g in held)
            if abs(exact - ticked) > allowed:
                text = f"{where}{lane}: psutil gives the {role}s {ticked:.2f} s of CPU, the exact clocks {exact:.2f} s"
                found.append(Caution("clocks_disagree", text, "trust neither before the cause is known"))
    return found
