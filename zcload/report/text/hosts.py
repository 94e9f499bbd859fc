"""Sentences about the hosts of a run on several, and about the edges of its windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zcload.model.units import counted

_SHOWN = 4  # links that a line has room for


def who(summary: Mapping[str, Any]) -> str | None:
    """Return which hosts send to which, such as "pairs a -> b, c -> d"; None for a run on one host."""
    cluster = summary.get("cluster")
    if not cluster:
        return None
    links = [f"{link['sender']} -> {link['receiver']}" for link in cluster["links"]]
    more = f" and {len(links) - _SHOWN} more" if len(links) > _SHOWN else ""
    return f"{cluster['pattern']} {', '.join(links[:_SHOWN])}{more}"


def edges(point: Mapping[str, Any]) -> str | None:
    """Say how far openings lay apart and what agents and engine used in windows; None for a run on one host."""
    found = point.get("edges")
    if not found:
        return None
    median, most = (1000 * found[key] for key in ("skew_median_s", "skew_most_s"))
    agents, engine = (100 * found[key] for key in ("agent_cores_most", "engine_cores_most"))
    return (
        f"Windows opened within {median:.2f} ms on all hosts (most {most:.2f} ms); in windows agents used {agents:.2f} % of a core and the "
        f"engine {engine:.2f} %, on the host where most."
    )


def method(summary: Mapping[str, Any], point: Mapping[str, Any]) -> list[str]:
    """Say on which hosts a point was measured, and how, a fact or two a line; nothing for a run on one host."""
    cluster = summary.get("cluster")
    if not cluster:
        return []
    engine, machines = cluster["engine"], len({host["machine"] for host in cluster["hosts"]})
    lines = [
        f"{counted(len(cluster['hosts']), 'host')} on {counted(machines, 'machine')}, {who(summary)}"
        f"{'; the ends of each link changed places from generation to generation' if cluster['swap'] else ''}",
        f"engine {engine['name']} {engine['version']} at {engine['scheduler']}, {'TLS' if engine['encrypted'] else 'not encrypted'}, "
        f"{'quiet' if engine['quiet'] else 'not quiet'}",
    ]
    if machines > 1:
        lines.append(
            "on a network device receive work is done in interrupts, which are charged to whichever process they interrupt: "
            "the verdicts are on the CPU of the machines"
        )
    for host in cluster["hosts"]:
        nic, trip = host["nic"] or {}, host["round_trip_ns"] / 1e6
        facts = [f"{nic.get('device', 'lo')} ({nic.get('driver') or 'virtual'})", f"round trip {trip:.2f} ms"]
        facts += [f"MTU {nic['mtu_bytes']} B"] if nic.get("mtu_bytes") else []
        facts += [f"{nic['speed_mbit_s'] / 1000:g} Gbit/s"] if nic.get("speed_mbit_s") else []
        lines.append(f"host {host['name']}: {host['address']}, {', '.join(facts)}")
    said = edges(point)
    return [*lines, *([said] if said else [])]
