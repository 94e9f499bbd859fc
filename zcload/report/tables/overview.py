"""The main tables of a report, as headers and rows of text. Terminal and Markdown only draw them differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from zcload.model.metrics import (
    GOODPUT_BPS,
    RECEIVER_CPU_CORES,
    RECEIVER_CPU_S_PER_GB,
    RELAY_CPU_CORES,
    RELAY_CPU_S_PER_GB,
    SENDER_CPU_CORES,
    SENDER_CPU_S_PER_GB,
    SYSTEM_CPU_S_PER_GB,
    TOTAL_CPU_S_PER_GB,
)
from zcload.model.records.summary import PointSummary
from zcload.model.records.values import RelayFacts
from zcload.model.units import counted, format_size, human_bytes
from zcload.report.imported.table import imported
from zcload.report.tables import crossover, hosts, servers
from zcload.report.tables.cost_breakdown import calls_by_kind, copies, costs_per_gb, measured, own_code, perf, truth_meter
from zcload.report.tables.small_files import across, facts, latencies, per_transfer
from zcload.report.tables.table import Table
from zcload.report.text import rate
from zcload.report.text.figures import NONE, change_text, saving_text, with_error
from zcload.report.text.hosts import method as across_hosts
from zcload.report.text.labels import in_a_cell, labels

Point = Mapping[str, Any]


def sections(summary: Mapping[str, Any]) -> list[tuple[str, list[Table]]]:
    """Return the tables of a report, under a title each where there are several points.

    A search has one table, along its axis: its many points are of interest by their place on it; csv and json hold all of each.
    """
    more = [("", imported(summary))] if summary.get("imported") else []
    if summary.get("crossing"):
        return [("", [crossover.along(summary)]), *more]
    several = len(summary["points"]) > 1
    whole = across(summary)
    first = [("", [whole])] if whole else []
    return [*first, *((point["name"] if several else "", tables(summary, point)) for point in summary["points"]), *more]


def explained(summary: Mapping[str, Any]) -> list[Point]:
    """Return the points of which a report tells how they were measured: those of a search were all measured alike."""
    measured = [point for point in summary["points"] if point["generations"]]
    return measured[:1] if summary.get("crossing") else list(summary["points"])


def tables(summary: Mapping[str, Any], point: Point) -> list[Table]:
    """Return the tables of one point, empty ones left out."""
    found = {
        "rate": rate.table(summary, point),
        "costs": costs(point),
        "transfers": per_transfer(point),
        "latency": latencies(point),
        "savings": comparisons(point, "comparisons"),
        "best-chunk": comparisons(point, "comparisons_best_chunk"),
        "server-cost": servers.added(point),
        "zero-copy": truth_meter(point),
        "breakdown": costs_per_gb(point),
        "calls": calls_by_kind(point),
        "copies": copies(point),
        "variants": state(point),
        "hosts": hosts.ledgers(cast(PointSummary, point)),
        "sending": hosts.sending(cast(PointSummary, point)),
        "links": hosts.links(cast(PointSummary, point)),
        "servers": servers.state(point),
        "windows": check(point),
    }
    return [replace(table, section=section) for section, table in found.items() if table is not None and table.rows]


def _metric(variant: Mapping[str, Any], key: str, scale: float = 1.0) -> str:
    return with_error(variant["metrics"][key], scale)


def costs(point: Point) -> Table:
    """CPU and throughput of each variant."""
    relay = "relay" in point
    columns = [
        ("Gbit/s", GOODPUT_BPS, 1e-9),
        *([("relay", RELAY_CPU_S_PER_GB, 1.0)] if relay else []),
        ("sender", SENDER_CPU_S_PER_GB, 1.0),
        ("receiver", RECEIVER_CPU_S_PER_GB, 1.0),
        ("all three" if relay else "both ends", TOTAL_CPU_S_PER_GB, 1.0),
        ("machine", SYSTEM_CPU_S_PER_GB, 1.0),
        *([("relay cores", RELAY_CPU_CORES, 1.0)] if relay else []),
        ("sender cores", SENDER_CPU_CORES, 1.0),
        ("receiver cores", RECEIVER_CPU_CORES, 1.0),
    ]
    said = labels(point)
    rows = [[in_a_cell(v["name"], said), *(_metric(v, key, scale) for _, key, scale in columns)] for v in measured(point)]
    headers = ["variant", *(title for title, _, _ in columns)]
    return Table("CPU seconds per GB, goodput and cores (± half-width of the 95 % interval)", headers, rows)


def comparisons(point: Point, key: str) -> Table | None:
    """Savings of each variant against one baseline."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for c in point[key]:
        found.setdefault(c["variant"], {})[c["metric"]] = c
    if not found:
        return None
    baseline = point[key][0]["baseline"]
    if key == "comparisons_best_chunk" and baseline == point["baseline"]:
        return None  # the same comparisons again
    rows, said = [], labels(point)
    relay = "relay" in point
    sides = [*([RELAY_CPU_S_PER_GB] if relay else []), SENDER_CPU_S_PER_GB, RECEIVER_CPU_S_PER_GB]
    for name, by_metric in found.items():
        if by_metric[TOTAL_CPU_S_PER_GB]["ratio"]["estimate"] is None:
            continue
        headline = next(c for c in by_metric.values() if c["headline"])
        rows.append(
            [
                f"{name} (A/A)" if headline["aa"] else in_a_cell(name, said),
                *(saving_text(by_metric[k]["saving_percent"]) for k in sides),
                saving_text(by_metric[TOTAL_CPU_S_PER_GB]["saving_percent"]),
                saving_text(by_metric[SYSTEM_CPU_S_PER_GB]["saving_percent"]),
                change_text(by_metric[GOODPUT_BPS]["saving_percent"]),
                _agreement(headline["ratio"]) if headline["aa"] else headline["verdict"] or NONE,
            ]
        )
    headers = ["variant", *(["relay", "sender", "receiver", "all three"] if relay else ["sender", "receiver", "both ends"])]
    headers += ["machine", "goodput", "verdict"]
    best = " (its best chunk)" if key == "comparisons_best_chunk" else ""
    return Table(f"Savings of CPU per GB against {baseline}{best}, with 95 % intervals", headers, rows)


def _agreement(ratio: Mapping[str, Any]) -> str:
    return "agrees" if ratio["low"] <= 1.0 <= ratio["high"] else "differs"


def state(point: Point) -> Table:
    """What became of each variant: verified, how much it moved, what held it back."""
    headers = ["variant", "mechanism", "chunk", "sink", "windows", "verified", "moved", "bottleneck", "status"]
    shares = [v.get("receiver_mapped_fraction") for v in point["variants"]]
    maps = any(share is not None for share in shares)
    if maps:
        headers.insert(-2, "mapped")
    rows, said = [], labels(point)
    for v, share in zip(point["variants"], shares, strict=True):
        mapped = [NONE if share is None else f"{100 * share:.1f} %"] if maps else []
        verified = {True: "SHA-256", False: "no", None: NONE}[v["verified"]]
        status = v["status"] if not v["reason"] else f"{v['status']}: {v['reason']}"
        whole = NONE if v.get("server") or v["mechanism"] == "server" else "whole file"  # of servers their own table says it
        chunk = format_size(v["chunk_bytes"]) if v["chunk_bytes"] else whole
        moved = human_bytes(v["bytes_received"]) if v["bytes_received"] else NONE
        limit = v["bottleneck"]["verdict"] if v["bottleneck"] and v["windows"] else NONE
        rows.append(
            [in_a_cell(v["name"], said), v["mechanism"], chunk, v["sink"], str(v["windows"]), verified, moved, *mapped, limit, status]
        )
    return Table("Variants", headers, rows)


def check(point: Point) -> Table | None:
    """Ratios of short windows beside those of long ones."""
    found = point["window_check"]
    if not found:
        return None

    def ratio(figure: Mapping[str, Any] | None) -> str:
        return f"{figure['estimate']:.3f} ({figure['low']:.3f}..{figure['high']:.3f})" if figure else NONE

    said = labels(point)
    rows = [
        [in_a_cell(r["variant"], said), r["metric"], ratio(r["short"]), ratio(r["long"]), "disagree" if r["disagree"] else "agree"]
        for r in found["rows"]
    ]
    return Table(
        f"Ratios of short windows and of windows of {found['window_s']:g} s", ["variant", "metric", "short", "long", "verdict"], rows
    )


def _device(p: Point) -> str:
    return f", MTU {p['mtu_bytes']} B, offloads {'on' if p['offloads'] else 'off'}" if p["network"] == "veth" else ""


def _largest_packets(point: Point) -> list[str]:
    """Say which largest packets the kernel took where others than its own were asked for."""
    asked, network = point["point"].get("gso_max_bytes"), point.get("network")
    if not asked or not network:
        return []
    device = network["sender"]
    shown = (format_size(size) if (size := device.get(key)) else "unknown" for key in ("gso_ipv4_max_bytes", "gso_max_bytes"))
    return ["gso_max_size {} asked for; the kernel took {} for IPv4 and {} for IPv6".format(format_size(asked), *shown)]


def _placement(summary: Mapping[str, Any], taken: str) -> str:
    """Return which placement was *taken*, and whether the config left the choice to zcload."""
    asked = summary["config"].get("workload", {}).get("placement")
    return f"{taken} (auto)" if asked == "auto" or (isinstance(asked, list) and "auto" in asked and taken not in asked) else taken


def _relay(found: RelayFacts) -> str:
    """Say what sends to the relays of a lane, and which CPUs they have."""
    own, cpus = found["own_cpus"], found["cpus"]
    shared = "" if own == cpus else ", all shared with senders and receivers" if not own else f", {cpus - own} shared with other workers"
    where = f"{counted(cpus, 'CPU')}{shared or ' that no other worker uses'}"
    return f"{counted(found['count'], 'relay')} between senders and receivers, on {where}; the senders use {found['origin']}"


def _huge_pages(point: Point) -> str:
    """Say how much of the file lay in huge pages; nothing where that is not known."""
    share = point.get("file_huge_share")
    return "" if share is None else f", {100 * share:.0f} % in huge pages" if share else ", none of it in huge pages"


def method(summary: Mapping[str, Any], point: Point) -> list[str]:
    """Say how a point was measured, a fact or two a line."""
    p, env = point["point"], summary["environment"]
    buffers = format_size(p["socket_buffer_bytes"]) if p["socket_buffer_bytes"] else "tuned by the kernel"
    lines = [
        f"{counted(p['senders'], 'sender')}, {counted(p['receivers'], 'receiver')}, "
        f"placement {_placement(summary, p['placement'])}, chunk {format_size(p['chunk_bytes'])}, "
        f"receive chunk {format_size(p['receive_chunk_bytes'])}, file {human_bytes(p['file_bytes'])} ({p['cache']}{_huge_pages(point)})",
        f"{p['network']} {p['address']}{_device(p)}, socket buffers {buffers}, congestion control {p['congestion']}",
    ]
    lines += _largest_packets(point)
    if "relay" in point:
        lines.append(_relay(point["relay"]))
    if point["generations"]:
        low, high = point["window_open_s"]
        lines.append(
            f"{counted(point['generations'], 'generation')}, {counted(point['blocks'], 'block')} ({point['blocks_repeated']} repeated, "
            f"{point['blocks_kept_contaminated']} kept contaminated), gates open {1000 * low:.0f}..{1000 * high:.0f} ms, "
            f"schedule {summary['schedule']}; stopped: {point['stopped'] or 'before its end'}"
        )
    if point["observer_share"] is not None:
        lines.append(f"the coordinator used {100 * point['observer_share']:.2f} % of the lanes' CPU time inside windows")
    lines += across_hosts(summary, point)
    lines += own_code(point)
    lines += facts(point)
    lines += perf(point)
    lines += rate.method(point)
    if point["idle_cores"] is not None:
        lines.append(f"the idle machine used {point['idle_cores']:.3f} cores, taken off the machine ledger")
    regime = {"yes": "kept apart from processes", "no": "charged to the interrupted process"}.get(env.get("irq_time_accounting"), "unknown")
    lines.append(
        f"kernel {env.get('kernel_release')}, {env.get('cpu_model')}, {len(env.get('cpus_allowed', []))} CPUs, interrupt time {regime}, "
        f"HZ {env.get('scheduler_hz')}, {env.get('virtualisation') or 'no virtualisation seen'}"
    )
    lines.append(f"zcload {summary['zcload_version']}, started {summary['started']}, seed {summary['seed']}")
    return lines
