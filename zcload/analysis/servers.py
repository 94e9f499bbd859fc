"""Facts and cautions about a server under test, from the reports of its generations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.model.cautions import Caution, caution

APART = 0.02  # by which two sources of the same CPU time may differ before neither is believed
LOOSE_SHARE = 0.05  # of the rests: where more are not strict, the timers of the server are a part of its figures


def server_facts(said: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what was *said* of one variant's server at the end of each generation; None if it has none.

    Counts are sums over the generations, *processes* is the most that there were at once when one ended.
    """
    if not said:
        return None
    sums = {name: sum(each[name] for each in said) for name in ("processes_ended", "rests", "rests_loose")}
    same = {name: said[-1][name] for name in ("cpu_from", "version", "keep_alive", "ranges", "request_bytes", "not_seen")}
    # Results of earlier versions do not say.
    later = {"tls": said[-1].get("tls"), "file_cut": said[-1].get("file_cut", False), **_readings(said)}
    return {**same, "processes": max(each["processes"] for each in said), **sums, **later}


def _readings(said: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the CPU time of the tree by either source, s, and how far the clocks are from the group, as a fraction of that.

    From when the server was ready to the last rest, in all generations in which both were read.
    """
    both = [each["cpu_ns"] for each in said if each.get("cpu_ns") and each["cpu_ns"]["cgroup"] is not None]
    clocks, group = (sum(each[source] for each in both) / 1e9 if both else None for source in ("clocks", "cgroup"))
    return {"cpu_clocks_s": clocks, "cpu_cgroup_s": group, "cpu_apart": clocks / group - 1 if clocks is not None and group else None}


def server_cautions(where: str, variants: Sequence[Mapping[str, Any]]) -> list[Caution]:
    """Return the cautions about servers that were never still, or whose CPU time depends on who is asked."""
    found = []
    for variant in variants:
        facts = variant.get("server")
        if facts is None:
            continue
        apart = facts["cpu_apart"]
        if apart is not None and abs(apart) > APART:
            clocks_s, group_s = facts["cpu_clocks_s"], facts["cpu_cgroup_s"]
            found.append(caution("server_ledger", where, variant=variant["name"], clocks_s=clocks_s, group_s=group_s))
        if facts["rests_loose"] > LOOSE_SHARE * facts["rests"]:
            found.append(caution("server_restless", where, variant=variant["name"], loose=facts["rests_loose"], rests=facts["rests"]))
    return found
