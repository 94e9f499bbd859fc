"""Add up the counters of windows and generations. The metrics are ratios of these sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import sub
from typing import TYPE_CHECKING

from zcload.analysis.lane_windows import LaneWindows
from zcload.analysis.packed_sums import PackedSums
from zcload.host.machine import busy_s, capacity_s

if TYPE_CHECKING:
    from zcload.model.records.lines import Line
    from zcload.model.records.measurements import (
        Counters,
        MachinePair,
        ProcessCounters,
        ReadingPair,
        SampleReading,
        SenderReport,
        Window,
        WindowReading,
    )
    from zcload.model.records.values import Role

PAGE_BYTES = 4096.0  # the unit in which pages are counted, whatever the machine's own are

Tally = dict[str, float]  # name of a sum (see Metric.numerator, denominator) -> value

_CALLS_AT = 3  # where the system calls of a process begin in its reading


@cache
def call_sum(role: str, at: int) -> str:
    """Return the name of the sum of a role's system calls of the kind that its lane declares at position *at*."""
    return f"{role}_call_{at}"


def window_tally(record: WindowReading, idle_cores: float | None) -> Tally:
    """Return the sums of one window record; *idle_cores* is what the machine uses when idle, None if it is not known."""
    senders, receivers, relays = record["senders"], record["receivers"], record.get("relays")
    sent, received = _deltas(senders), _deltas(receivers)
    open_ns, gb = record["open_ns"], received[1] / 1e9
    elapsed_s = max(record["last_byte_ns"] - open_ns, 0) / 1e9
    tally = {
        "windows": 1.0,
        "elapsed_s": elapsed_s,
        "open_s": (record["close_ns"] - open_ns) / 1e9,
        "span_s": (record["rest_ns"] - open_ns) / 1e9,
        "bytes": float(received[1]),
        "bytes_sent": float(sent[1]),
        "bits": 8.0 * received[1],
        "gb": gb,
        "sender_cpu_s": sent[0] / 1e9,
        "receiver_cpu_s": received[0] / 1e9,
        "total_cpu_s": (sent[0] + received[0]) / 1e9,
        "receiver_busiest_s": _busiest_ns(receivers, received) / 1e9,
        "sender_iterations": float(sent[2]),
        "receiver_iterations": float(received[2]),
        "observer_cpu_s": record["observer_cpu_ns"] / 1e9,
    }
    if len(received) > _CALLS_AT:  # over TLS they are the library's
        tally["receiver_syscalls"] = float(sum(received[_CALLS_AT:]))
    if (
        len(sent) > _CALLS_AT
    ):  # a server's tree is one ledger: which of its processes did the work, and with which calls, nobody has counted
        tally["sender_busiest_s"] = _busiest_ns(senders, sent) / 1e9
        tally["sender_syscalls"] = float(sum(sent[_CALLS_AT:]))
    for at, calls in enumerate(sent[_CALLS_AT:]):
        tally[call_sum("sender", at)] = float(calls)
    for at, calls in enumerate(received[_CALLS_AT:]):
        tally[call_sum("receiver", at)] = float(calls)
    if relays:
        relayed = _deltas(relays)
        tally |= {"relay_gb": gb, "relay_elapsed_s": elapsed_s, "relay_cpu_s": relayed[0] / 1e9}
        tally["total_cpu_s"] = (sent[0] + received[0] + relayed[0]) / 1e9
        tally["relay_busiest_s"] = _busiest_ns(relays, relayed) / 1e9
        tally["relay_syscalls"] = float(sum(relayed[_CALLS_AT:]))
        for at, calls in enumerate(relayed[_CALLS_AT:]):
            tally[call_sum("relay", at)] = float(calls)
    for name, measured in record.get("receiver_measures", {}).items():
        tally[f"receiver_{name}"] = float(sum(after - before for before, after in measured))
    if "transfers" in record:
        tally |= _transfer_sums(record, elapsed_s)
    if record.get("was_cold") is not None:
        tally["cold_windows"] = 1.0
        tally["not_cold_windows"] = float(not record["was_cold"])
    if record["machine"] is not None and idle_cores is not None:
        before, after = record["machine"]
        tally["machine_cpu_s"] = busy_s(before, after) - idle_cores * (after[0] - before[0]) / 1e9
        tally["machine_wall_s"] = (after[0] - before[0]) / 1e9
        tally["machine_gb"], tally["machine_elapsed_s"] = gb, elapsed_s
        if "transfers" in tally:
            tally["machine_transfers"] = tally["transfers"]
    return tally


def _deltas(pairs: Sequence[ReadingPair]) -> list[int]:
    """Return by how much each counter of a role has grown, over all its processes; all have the same counters."""
    if len(pairs) == 1:
        before, after = pairs[0]
        return list(map(sub, after, before))
    if not pairs:
        return [0] * _CALLS_AT
    return [sum(counter) for counter in zip(*(map(sub, after, before) for before, after in pairs), strict=True)]


def _busiest_ns(pairs: Sequence[ReadingPair], deltas: Sequence[int]) -> int:
    """Return the CPU time of the process of a role that used most, given the *deltas* of all of them together."""
    return deltas[0] if len(pairs) == 1 else max((after[0] - before[0] for before, after in pairs), default=0)


def _transfer_sums(record: WindowReading, elapsed_s: float) -> Tally:
    """Return what a window of transfers adds: how many, and the time they stand for.

    Arrivals that are served before the window's end leave it idle to its end: their rate is that of all of it.
    """
    told = record["transfers"]
    planned_s = (until_ns - record["open_ns"]) / 1e9 if (until_ns := told["until_ns"]) else 0.0
    lead_s = (told["origin_ns"] - record["open_ns"]) / 1e9 if "origin_ns" in told else 0.0
    count = float(sum(after - before for before, after in told["sent"]))
    return {"transfers": count, "transfer_span_s": max(elapsed_s, planned_s) - lead_s}


@dataclass(slots=True)
class Pacing:
    """How a variant kept its rate: its sleeps, its bursts, and of these how many were begun how late, by bucket (zcload.schedule)."""

    sleeps: int = 0
    bursts: int = 0
    latest_ns: int = 0
    late: dict[int, int] = field(default_factory=dict)

    def take_in(self, other: Pacing) -> None:
        """Add the figures of more windows."""
        self.sleeps += other.sleeps
        self.bursts += other.bursts
        self.latest_ns = max(self.latest_ns, other.latest_ns)
        for number, count in other.late.items():
            self.late[number] = self.late.get(number, 0) + count


_BLOCKS_APART = 1_000_000  # more than a generation has blocks: keeps those of several apart in one cluster


@dataclass(slots=True)
class Generation:
    """What one generation of a point gave, or all of one replicate: windows and sums by variant."""

    number: int
    windows: dict[str, LaneWindows] = field(default_factory=lambda: defaultdict(LaneWindows))
    sums: dict[str, PackedSums] = field(default_factory=lambda: defaultdict(PackedSums))
    latencies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # by variant: the windows' values, packed
    lateness: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    pacing: dict[str, Pacing] = field(default_factory=lambda: defaultdict(Pacing))

    def groups_of(self, lane: str) -> int:
        """Return in how many groups the variant called *lane* had a lane."""
        return len({group for _, group in self.windows[lane].rows}) if lane in self.windows else 0

    def add(self, record: Window, tally: Tally, block: float | None = None) -> None:
        """Take in a window that counts, as one of *block* or of its own. The baseline has one window in each group of a block."""
        self.windows[record["lane"]].add((record["block"] if block is None else block, record["group"]), tally)
        self.sums[record["lane"]].add(tally)
        if "pacing" in record:
            told = record["pacing"]
            late = {int(number): count for number, count in told["late"].items()}
            self.pacing[record["lane"]].take_in(Pacing(sum(told["sleeps"]), sum(told["bursts"]), told["late_max_ns"], late))
        if "transfers" in record:
            transfers = record["transfers"]
            for values, text in ((self.latencies, transfers.get("latency_ns")), (self.lateness, transfers.get("late_ns"))):
                if text:
                    values[record["lane"]].append(text)

    def pack(self) -> None:
        """Keep what there is in little memory; no window may be added after that."""
        for total in self.sums.values():
            total.pack()
        for windows in self.windows.values():
            windows.share_rows()

    def merge(self, other: Generation, *, apart: bool = False) -> None:
        """Take in the windows and sums of another part of the same generation; *apart*: of another generation, whose blocks are others."""
        offset = other.number * _BLOCKS_APART if apart else 0
        for lane, windows in other.windows.items():
            self.windows[lane].merge(windows, offset)
        for lane, total in other.sums.items():
            self.sums[lane].add(total)
        for lane, paced in other.pacing.items():
            self.pacing[lane].take_in(paced)
        for texts, theirs in ((self.latencies, other.latencies), (self.lateness, other.lateness)):
            for lane, more in theirs.items():
                texts[lane].extend(more)


def add_samples(generation: Generation, samples: Sequence[SampleReading], workers: Mapping[str, tuple[int, int, int]]) -> None:
    """Add to each variant's sums what psutil saw between the generation's first and last sample.

    *workers* gives each lane's (senders, receivers, relays). Every order given in between cost each sender one switch at the gate and
    each receiver and relay one wait for the next: those are the gate's own and are taken off. A lane is parked between its windows, so
    all the rest belongs to them.
    """
    if len(samples) < 2:
        return
    first, last = samples[0]["lanes"], samples[-1]["lanes"]
    for lane in first.keys() & last.keys():
        if lane not in workers:
            continue  # killed before its first report: how many workers it had is not known
        a, b = first[lane], last[lane]
        orders = b["orders"] - a["orders"]
        silent = b.get("silent", 0) - a.get("silent", 0)
        total: Tally = defaultdict(float)
        total["sampled_gb"] += (b["bytes"] - a["bytes"]) / 1e9
        # A receiver does not wake for an order that moves nothing.
        _add_counters(total, "sender", a["senders"], b["senders"], workers[lane][0] * orders)
        _add_counters(total, "receiver", a["receivers"], b["receivers"], workers[lane][1] * (orders - silent))
        if "relays" in a and "relays" in b:
            total["relay_sampled_gb"] += (b["bytes"] - a["bytes"]) / 1e9
            _add_counters(total, "relay", a["relays"], b["relays"], workers[lane][2] * (orders - silent))
        if "read_bytes" in a["senders"] and "read_bytes" in b["senders"]:
            total["sender_read_bytes"] += b["senders"]["read_bytes"] - a["senders"]["read_bytes"]
            total["read_gb"] += (b["bytes"] - a["bytes"]) / 1e9
        generation.sums[lane].add(total)


def _add_counters(total: Tally, role: Role, first: ProcessCounters, last: ProcessCounters, waits: int) -> None:
    """Add what psutil counted of a role from the *first* sample to the *last*, less the *waits* at the gate."""
    user_s, system_s = last["user_s"] - first["user_s"], last["system_s"] - first["system_s"]
    total[f"{role}_user_s"] += user_s
    total[f"{role}_system_s"] += system_s
    total[f"{role}_psutil_s"] += user_s + system_s
    total[f"{role}_clock_s"] += (last["cpu_ns"] - first["cpu_ns"]) / 1e9
    total[f"{role}_voluntary"] += last["voluntary"] - first["voluntary"] - waits
    total[f"{role}_involuntary"] += last["involuntary"] - first["involuntary"]
    total[f"{role}_minor_faults"] += last["minor_faults"] - first["minor_faults"]
    total[f"{role}_major_faults"] += last["major_faults"] - first["major_faults"]


def add_reports(generation: Generation, reports: Mapping[str, list[SenderReport]]) -> None:
    """Add to each variant's sums what its senders reported at the end of the generation, of all that they did in it."""
    for lane, senders in reports.items():
        moved = sum(report.get("bytes", 0) for report in senders) / 1e9
        if lane not in generation.sums or not moved:
            continue  # no window of it counts, or the result is older than the senders' bytes
        total: Tally = defaultdict(float)
        total["reported_gb"] += moved
        total["retransmits"] += sum(report["tcp_info"].get("total_retrans", 0) for report in senders)
        for report in senders:
            if transfers := report.get("transfers"):
                total["reported_transfers"] += transfers
                total["segments"] += report["tcp_info"].get("data_segs_out", 0)
        counters = [report["completions"] for report in senders if "completions" in report["completions"]]
        if counters:
            total["completed_gb"] += moved
            total["completions"] += sum(each["completions"] for each in counters)
            # Registered buffers are pinned once for all; else what goes with a zero-copy send is pinned for it.
            registered = sum(each.get("registered_bytes", 0) for each in counters)
            sent = moved * 1e9 - sum(each.get("fallback_bytes", 0) for each in counters)
            total["pinned_pages"] += (registered or sent) / PAGE_BYTES
        generation.sums[lane].add(total)


def add_counters(generation: Generation, counters: Iterable[Counters]) -> None:
    """Add to each variant's sums what perf counted, and over how many bytes, by event: one that was not counted has no bytes."""
    for record in counters:
        if record["lane"] not in generation.sums:
            continue
        total: Tally = defaultdict(float)
        for role, counted in (("sender", record["senders"]), ("receiver", record["receivers"]), ("relay", record.get("relays", {}))):
            for event, value in counted.items():
                if value is not None:
                    total[f"{role}_{event}"] += value
                    total[f"{role}_{event}_bytes"] += record["bytes"]
                    total[f"{role}_{event}_gb"] += record["bytes"] / 1e9
        generation.sums[record["lane"]].add(total)


@dataclass(slots=True)
class IdleUse:
    """What the machine used while every lane was parked: CPU seconds, and the seconds of wall time in which it did."""

    busy_s: float = 0.0
    wall_s: float = 0.0

    def take(self, readings: MachinePair) -> None:
        """Take in a moment, by its two readings."""
        before, after = readings
        self.wall_s += capacity_s(before, after) / after[-1]
        self.busy_s += busy_s(before, after)

    @property
    def cores(self) -> float | None:
        """How many cores were used; None if the machine was never watched."""
        return max(0.0, self.busy_s) / self.wall_s if self.wall_s else None


def idle_cores(records: Iterable[Line]) -> float | None:
    """Return how many cores the machine used while every lane was parked, over all records of kind "idle"; None without any."""
    use = IdleUse()
    for record in records:
        if record["kind"] == "idle":
            use.take(record["machine"])
    return use.cores
