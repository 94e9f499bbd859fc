"""Tables of servers: what each adds to the mechanism that it uses, and how it was read and asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.model.metrics import GOODPUT_BPS, RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.units import format_size
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, change_text, unproven

Point = Mapping[str, Any]


def added(point: Point) -> Table | None:
    """Return what each server costs over the variant it names, as changes of that variant's figures; None without one."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for c in point.get("comparisons_over") or ():
        found.setdefault(c["variant"], {})[c["metric"]] = c
    keys = (SENDER_CPU_S_PER_GB, RECEIVER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB)
    rows = []
    for name, by_metric in found.items():
        headline = next(c for c in by_metric.values() if c["headline"])
        cells = [change_text(by_metric[key]["saving_percent"]) for key in keys]
        goodput = change_text(by_metric[GOODPUT_BPS]["saving_percent"])
        rows.append([name, headline["baseline"], *cells, goodput, headline["verdict"] or NONE])
    headers = ["variant", "over", "sender", "receiver", "both ends", "machine", "goodput", "verdict"]
    return (
        Table("What each server adds to the CPU per GB of the variant whose work it does, with 95 % intervals", headers, rows)
        if rows
        else None
    )


def sentences(point: Point, whose: str, metric: str) -> list[str]:
    """Say of each server what it adds, as far as its interval carries that: in one sentence of all that add the same to the same."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for c in point.get("comparisons_over") or ():
        if c["metric"] == metric and c["verdict"] is not None:
            found.setdefault((c["baseline"], _what_adds(point, c) if c["verdict"] == "costs" else unproven(c)), []).append(c)
    lines = []
    for (baseline, what), same in found.items():
        parts = [
            f"{c['variant']} does the work of {baseline} for {change_text(c['saving_percent'])} of {whose} CPU per GB"
            if c is same[0]
            else f"{c['variant']} for {change_text(c['saving_percent'])}"
            for c in same
        ]
        lines.append(f"{', '.join(parts)}: {what}.")
    return lines


def traced(point: Point) -> list[str]:
    """Say what the servers moved the payload with, or why nobody knows: a sentence for all of which the same is true."""
    moved: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    for v in point["variants"]:
        found = v.get("traced")
        if found and v["status"] == "ok":
            group, key = (moved, found["moved"]) if found["moved"] is not None else (unknown, found["reason"])
            group.setdefault(key, []).append(v["name"])
    lines = [f"{_listed(names)} moved the payload with {calls}." for calls, names in moved.items()]
    return lines + [f"What {_listed(names)} moved the payload with is not known: {reason}." for reason, names in unknown.items()]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])


def _what_adds(point: Point, comparison: Mapping[str, Any]) -> str:
    """Name what one variant has that the other, whose work it does, has not."""
    servers = {v["name"]: v.get("server") for v in point["variants"]}
    server, other = servers.get(comparison["variant"]), servers.get(comparison["baseline"])
    if other is None:
        return "what HTTP, TLS and the server add" if server and server.get("tls") else "what HTTP and the server add"
    if server and server.get("tls") and not other.get("tls"):
        return "what TLS adds, and whatever else the two servers differ in"
    return "what it adds"


def state(point: Point) -> Table | None:
    """Return how each server's CPU was read, what it was asked for, and how still it was; None without one."""
    rows = []
    for v in point["variants"]:
        s = v.get("server")
        if s is None:
            continue
        asked = f"ranges of {format_size(s['request_bytes'])}" if s["ranges"] else f"whole files of {format_size(s['request_bytes'])}"
        if s.get("file_cut"):
            asked += f", cut from {format_size(point['point']['file_bytes'])}"
        spoken = s["version"] + (f" over {s['tls'].replace('TLSv', 'TLS ')}" if s.get("tls") else "")
        kept = "keep-alive" if s["keep_alive"] else "a connection each"
        source = {"cgroup": "control group", "clocks": "process clocks"}[s["cpu_from"]]
        if s.get("cpu_apart") is not None:
            source += f" (clocks {100 * s['cpu_apart']:+.2f} %)"
        still = f"{s['rests'] - s['rests_loose']} of {s['rests']}"
        hidden = ", ".join(s["not_seen"]) or NONE
        calls = (v.get("traced") or {}).get("moved") or NONE
        rows.append([v["name"], calls, source, str(s["processes"]), str(s["processes_ended"]), f"{spoken}, {kept}", asked, still, hidden])
    headers = [
        "variant",
        "payload moved by",
        "CPU from",
        "processes",
        "ended",
        "protocol",
        "asked for",
        "at rest strictly",
        "processes not seen",
    ]
    return Table("Servers", headers, rows) if rows else None
