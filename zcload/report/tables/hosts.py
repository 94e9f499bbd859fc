"""Tables of a run on several hosts: the ledger of each host, and of each link, the slowest first."""

from __future__ import annotations

from zcload.model.records.summary import PointSummary
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE


def ledgers(point: PointSummary) -> Table | None:
    """Return what each host moved and used in the windows of each variant; None for a run on one host."""
    rows = [
        [
            variant["name"],
            host["host"],
            f"{host['sent_gb']:.2f}",
            f"{host['received_gb']:.2f}",
            _figure(host["sender_cpu_s_per_gb"]),
            _figure(host["receiver_cpu_s_per_gb"]),
            f"{host['machine_cpu_s']:.2f}",
            f"{host['interrupt_cpu_s']:.2f}",
            f"{100 * host['agent_cores']:.2f} %",
            f"{100 * host['engine_cores']:.2f} %",
        ]
        for variant in point["variants"]
        for host in variant.get("hosts", ())
    ]
    headers = [
        "variant",
        "host",
        "sender GB",
        "receiver GB",
        "sender",
        "receiver",
        "machine CPU s",
        "machine interrupts s",
        "agent",
        "engine",
    ]
    title = "Each host in windows: CPU seconds per GB of its workers, its machine, and what agent and engine used of a core"
    return Table(title, headers, rows) if rows else None


def sending(point: PointSummary) -> Table | None:
    """Return what the kernel said of the sends of each host; None for a run on one host."""
    rows = [
        [
            variant["name"],
            host["host"],
            _percent(host["copied_fraction"]),
            NONE if host["retransmits"] is None else str(host["retransmits"]),
            NONE if host["round_trip_s"] is None else f"{1000 * host['round_trip_s']:.3g}",
            _percent(host["rwnd_limited"]),
            _percent(host["sndbuf_limited"]),
        ]
        for variant in point["variants"]
        for host in variant.get("hosts", ())
        if host["sent_gb"] and "retransmits" in host
    ]
    headers = ["variant", "host", "copied", "retransmits", "round trip ms", "receiver's window", "send buffer"]
    title = "Each host that sends: zero-copy sends that the kernel copied, and TCP_INFO: what held its senders back while data was queued"
    return Table(title, headers, rows) if rows else None


def links(point: PointSummary) -> Table | None:
    """Return what went over each link, the slowest of a variant first; None where there is only one."""
    found = [(variant["name"], link) for variant in point["variants"] for link in variant.get("links", ())]
    if len({(link["sender"], link["receiver"]) for _, link in found}) < 2:
        return None
    rows = [
        [
            name,
            f"{link['sender']} -> {link['receiver']}",
            f"{link['gb']:.2f}",
            NONE if link["goodput_bps"] is None else f"{link['goodput_bps'] / 1e9:.3g}",
            _figure(link["cpu_s_per_gb"]),
        ]
        for name, link in found
    ]
    return Table("Each link in windows, the slowest first", ["variant", "link", "moved GB", "Gbit/s", "both ends"], rows)


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"
