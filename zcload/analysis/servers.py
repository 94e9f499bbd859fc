"""Facts and cautions about a server under test, from the reports of its generations."""

from __future__ import annotations

from collections.abc import Sequence

from zcload.model.cautions import Caution, caution
from zcload.model.records.measurements import ServerReport
from zcload.model.records.summary import ServerFacts, VariantRecord

APART = 0.02  # by which two sources of the same CPU time may differ before neither is believed
LOOSE_SHARE = 0.05  # of the rests: where more are not strict, the timers of the server are a part of its figures


def server_facts(said: Sequence[ServerReport]) -> ServerFacts | None:
    """Return what was *said* of one variant's server at the end of each generation; None if it has none.

    Counts are sums over the generations, *processes* is the most that there were at once when one ended.
    """
    if not said:
        return None
    last, (clocks_s, cgroup_s) = said[-1], _readings(said)
    return {
        "cpu_from": last["cpu_from"],
        "version": last["version"],
        "keep_alive": last["keep_alive"],
        "ranges": last["ranges"],
        "request_bytes": last["request_bytes"],
        "not_seen": last["not_seen"],
        "processes": max(each["processes"] for each in said),
        "processes_ended": sum(each["processes_ended"] for each in said),
        "rests": sum(each["rests"] for each in said),
        "rests_loose": sum(each["rests_loose"] for each in said),
        # Results of earlier versions do not say.
        "tls": last.get("tls"),
        "file_cut": last.get("file_cut", False),
        "cpu_clocks_s": clocks_s,
        "cpu_cgroup_s": cgroup_s,
        "cpu_apart": clocks_s / cgroup_s - 1 if clocks_s is not None and cgroup_s else None,
    }


def _readings(said: Sequence[ServerReport]) -> tuple[float | None, float | None]:
    """Return the CPU time of the tree by its processes' clocks and by its control group, s.

    From when the server was ready to the last rest, in all generations in which both were read.
    """
    both = [(cpu["clocks"], cpu["cgroup"]) for each in said if (cpu := each.get("cpu_ns")) and cpu["cgroup"] is not None]
    if not both:
        return None, None
    return sum(clocks for clocks, _ in both) / 1e9, sum(group or 0 for _, group in both) / 1e9


def server_cautions(where: str, variants: Sequence[VariantRecord]) -> list[Caution]:
    """Return the cautions about servers that were never still, or whose CPU time depends on who is asked."""
    found = []
    for variant in variants:
        facts = variant.get("server")
        if facts is None:
            continue
        apart = facts.get("cpu_apart")
        if apart is not None and abs(apart) > APART:
            clocks_s, group_s = facts.get("cpu_clocks_s"), facts.get("cpu_cgroup_s")
            found.append(caution("server_ledger", where, variant=variant["name"], clocks_s=clocks_s, group_s=group_s))
        if facts["rests_loose"] > LOOSE_SHARE * facts["rests"]:
            found.append(caution("server_restless", where, variant=variant["name"], loose=facts["rests_loose"], rests=facts["rests"]))
    return found
