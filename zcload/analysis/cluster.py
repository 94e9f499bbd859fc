"""Add up the ledgers of hosts and links over the windows that count, for a run on several hosts."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zcload.analysis.bottleneck import window_limits
from zcload.analysis.zerocopy_check import zerocopy_check
from zcload.host.machine import busy_s, irq_s
from zcload.model.cautions import Caution, caution

if TYPE_CHECKING:
    from zcload.model.records.ledgers import EdgePart, EdgesRecord, HostLedger, LinkLedger, SendingPart
    from zcload.model.records.measurements import HostWindow, LinkWorkers, SenderReport, Window

LOUD_CORES = 0.01  # of a core, used by agent or engine on a measured host while gates are open: more is seen in the figures


@dataclass(slots=True)
class HostTallies:
    """The sums of one variant's windows by host and by link, and how the edges of all its windows were."""

    hosts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    links: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    busy_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    irq_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    skews_ns: list[int] = field(default_factory=list)
    reports: dict[str, list[SenderReport]] = field(default_factory=lambda: defaultdict(list))  # of its senders, by host

    def add(self, window: Window, links: Sequence[LinkWorkers]) -> None:
        """Add *window*; one of a run on one host adds nothing."""
        hosts = window.get("hosts")
        if not hosts:
            return
        self.skews_ns.append(window.get("edge_skew_ns", 0))
        for name, host in hosts.items():
            self.hosts[name].update({key: value for key, value in host.items() if isinstance(value, int)})
            before, after = host["machine"]
            self.busy_s[name] += busy_s(before, after)
            self.irq_s[name] += irq_s(before, after)
        for link in links:
            received = sum(window["receivers"][i][1][1] - window["receivers"][i][0][1] for i in link["receivers"])
            cpu_ns = sum(b[0] - a[0] for i in link["senders"] for a, b in [window["senders"][i]])
            cpu_ns += sum(b[0] - a[0] for i in link["receivers"] for a, b in [window["receivers"][i]])
            span_ns = _span(hosts[link["receiver"]])
            self.links[link["sender"], link["receiver"]].update({"bytes": received, "cpu_ns": cpu_ns, "span_ns": span_ns})

    def add_reports(self, reports: Sequence[SenderReport], links: Sequence[LinkWorkers]) -> None:
        """Add what the senders of a generation reported at its end, in the order in which *links* count them."""
        for link in links:
            self.reports[link["sender"]] += [reports[i] for i in link["senders"]]

    def host_records(self) -> list[HostLedger]:
        """Return the ledger of each host, in the order of the run's."""
        return [
            {
                "host": name,
                "sent_gb": total["sent_bytes"] / 1e9,
                "received_gb": total["received_bytes"] / 1e9,
                "sender_cpu_s_per_gb": _per_gb(total["senders_ns"], total["sent_bytes"]),
                "receiver_cpu_s_per_gb": _per_gb(total["receivers_ns"], total["received_bytes"]),
                "receive_goodput_bps": 8e9 * total["received_bytes"] / total["span_ns"] if total["span_ns"] else None,
                "machine_cpu_s": self.busy_s[name],
                "interrupt_cpu_s": self.irq_s[name],
                "agent_cores": _cores(total, "agent_ns"),
                "engine_cores": _cores(total, "engine_ns"),
                "agent_switches_per_s": _cores(total, "agent_switches") * 1e9,
                "engine_switches_per_s": _cores(total, "engine_switches") * 1e9,
                **_sending(self.reports.get(name, ())),
            }
            for name, total in self.hosts.items()
        ]

    def link_records(self) -> list[LinkLedger]:
        """Return the ledger of each link, the slowest first."""
        records: list[LinkLedger] = [
            {
                "sender": sender,
                "receiver": receiver,
                "gb": total["bytes"] / 1e9,
                "cpu_s_per_gb": _per_gb(total["cpu_ns"], total["bytes"]),
                "goodput_bps": 8e9 * total["bytes"] / total["span_ns"] if total["span_ns"] else None,
            }
            for (sender, receiver), total in self.links.items()
        ]
        return sorted(records, key=lambda record: record["goodput_bps"] or 0.0)


def edges(tallies: Sequence[HostTallies]) -> EdgesRecord | None:
    """Return how far openings lay apart, and what agents and engine used in windows on the host where that was most; None on one host."""
    skews = sorted(skew for tally in tallies for skew in tally.skews_ns)
    if not skews:
        return None
    hosts: dict[str, Counter[str]] = defaultdict(Counter)
    for tally in tallies:
        for name, total in tally.hosts.items():
            hosts[name].update(total)
    return {
        "windows": len(skews),
        "skew_median_s": skews[len(skews) // 2] / 1e9,
        "skew_most_s": skews[-1] / 1e9,
        "agent_cores_most": max(_cores(total, "agent_ns") for total in hosts.values()),
        "engine_cores_most": max(_cores(total, "engine_ns") for total in hosts.values()),
    }


def edge_part(record: EdgesRecord | None) -> EdgePart:
    """Return what the summary of a point says of its edges: nothing on one host."""
    return {"edges": record} if record else {}


def edge_cautions(where: str, record: EdgesRecord | None) -> list[Caution]:
    """Return the caution about agents or an engine that were not still in windows, by what they used on the worst host."""
    if record is None:
        return []
    found = []
    for who, cores in (("zcload's agent", record["agent_cores_most"]), ("the engine", record["engine_cores_most"])):
        if cores > LOUD_CORES:
            found.append(caution("not_quiet", where, who=who, percent=100 * cores))
    return found


def _sending(reports: Sequence[SenderReport]) -> SendingPart:
    """Return what the kernel said of the connections over which a host sent, and of its zero-copy sends."""
    trips = [trip for report in reports if (trip := report["tcp_info"].get("rtt_us"))]
    limits = window_limits(reports)
    return {
        "copied_fraction": zerocopy_check(reports)["copied_fraction"],
        "retransmits": sum(report["tcp_info"].get("total_retrans", 0) for report in reports) if reports else None,
        "round_trip_s": statistics.median(trips) / 1e6 if trips else None,
        "rwnd_limited": limits["rwnd_limited"],
        "sndbuf_limited": limits["sndbuf_limited"],
    }


def _span(host: HostWindow) -> int:
    return host["span_ns"] or 0


def _cores(total: Counter[str], key: str) -> float:
    """Return what *key* comes to per nanosecond of open gates: cores, for a CPU time."""
    return total[key] / total["open_ns"] if total["open_ns"] else 0.0


def _per_gb(cpu_ns: int, moved: int) -> float | None:
    return cpu_ns / moved if moved else None
