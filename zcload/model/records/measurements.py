"""Types of the lines of windows.jsonl that hold measurements: windows, blocks, samples, reports.

Times named _ns are CLOCK_MONOTONIC, nanoseconds.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from annotated_types import Len

from zcload.model.records.values import Amount, Count, Int, Number, Stored

Purpose = Literal["warm-up", "measure", "check"]
Fate = Literal["counted", "repeated", "kept", "abandoned"]

# [t_ns, idle, steal, irq, cpus], in ticks over all CPUs.
MachineReading = Annotated[list[Int], Len(5, 5)]
MachinePair = Annotated[list[MachineReading], Len(2, 2)]
# A process: [cpu_ns, bytes, iterations, system calls by kind...].
Reading = Annotated[list[Int], Len(3)]
ReadingPair = Annotated[list[Reading], Len(2, 2)]
# A counter before and after.
Pair = Annotated[list[Int], Len(2, 2)]


class OfPoint(Stored):
    """The base of lines that belong to a point, counted from 0."""

    point: Count


class LinkWorkers(Stored):
    """A pair of hosts of which one sends to the other, and which of a lane's senders and receivers, counted from 0, work for it."""

    sender: str
    receiver: str
    senders: list[Count]
    receivers: list[Count]


class GenerationLine(OfPoint):
    """Lanes that were set up: how much of the file was cached before and in huge pages, the CPUs of each process, each group's lanes."""

    kind: Literal["generation"]
    generation: Count
    purpose: Purpose
    replicate: NotRequired[Count | None]  # the number of the fresh process that measures it; null: the run's own
    cached: NotRequired[Amount | None]
    file_huge_share: NotRequired[Amount]  # of a file in memory
    cpus: list[list[Count]]
    groups: list[list[str]]
    links: NotRequired[list[LinkWorkers]]  # between hosts; none of a run on one


class HostWindow(Stored):
    """One host's ledger of a window: its machine, its workers' CPU time and bytes, what agent and engine used while gates were open.

    *span_ns* is how long after its own opening a receiving host took its last byte; null on a host that only sends.
    """

    machine: MachinePair
    open_ns: Int
    senders_ns: Int
    receivers_ns: Int
    sent_bytes: Int
    received_bytes: Int
    span_ns: Int | None
    agent_ns: Int
    agent_switches: Int
    engine_ns: Int
    engine_switches: Int


class WindowTransfers(Stored):
    """The small files of a window: how many each sender sent and each receiver had, before and after; latencies, packed, in ns."""

    sent: list[Pair]
    received: list[Pair]
    until_ns: Int | None
    origin_ns: NotRequired[Int]
    latency_ns: NotRequired[str]
    late_ns: NotRequired[str]


class WindowPacing(Stored):
    """How a rate was kept in a window: *sleeps*, *bursts*, *bytes* of each; *late*: bursts by bucket of how late they began."""

    sleeps: list[Int]
    bursts: list[Int]
    bytes: list[Int]
    late_max_ns: Int
    late: dict[Annotated[str, Len(1, 4)], Count]


class WindowReading(Stored):
    """What one window of one lane measured, from rest to rest."""

    lane: str
    order: Int
    open_ns: Int
    close_ns: Int
    last_byte_ns: Int
    rest_ns: Int
    senders: list[ReadingPair]
    receivers: list[ReadingPair]
    relays: NotRequired[list[ReadingPair]]
    machine: MachinePair | None
    observer_cpu_ns: Int  # the coordinator's own CPU time in the window
    receiver_measures: NotRequired[dict[str, list[Pair]]]
    transfers: NotRequired[WindowTransfers]
    pacing: NotRequired[WindowPacing]
    # On several hosts: how far their openings lay apart, and the ledger of each.
    edge_skew_ns: NotRequired[Int]
    hosts: NotRequired[dict[str, HostWindow]]
    # With a cold cache: the share cached before and after, the time it took to empty it, what was sent from it.
    cached_before: NotRequired[Amount | None]
    cached_after: NotRequired[Amount | None]
    cache_ns: NotRequired[Int]
    from_cache_bytes: NotRequired[Count | None]
    was_cold: NotRequired[bool | None]


class Window(WindowReading):
    """A window that is over, and where it belongs: block -1 is the warm-up."""

    kind: Literal["window"]
    point: Count
    generation: Count
    block: Int
    purpose: Purpose
    attempt: Count
    group: Count


class Block(OfPoint):
    """A block that is over, after its windows: its *fate*, and the shares of foreign CPU time and steal that decided it."""

    kind: Literal["block"]
    generation: Count
    block: Int
    purpose: Purpose
    attempt: Count
    fate: Fate
    foreign_share: NotRequired[Number]
    steal_share: NotRequired[Number]
    limit: NotRequired[Number]


class Idle(OfPoint):
    """The machine while every lane was parked: two readings."""

    kind: Literal["idle"]
    generation: Count
    purpose: Purpose
    machine: MachinePair


class ProcessCounters(Stored):
    """psutil's sums over the processes of one role: CPU seconds, context switches, page faults; bytes read from the disk."""

    user_s: Number
    system_s: Number
    voluntary: Int
    involuntary: Int
    minor_faults: Int
    major_faults: Int
    cpu_ns: Int
    read_bytes: NotRequired[Int]


class SampledLane(Stored):
    """A lane in a sample: *orders* given so far, of them *silent* ones that move nothing, and *bytes* received."""

    orders: Int
    bytes: Count
    senders: ProcessCounters
    receivers: ProcessCounters
    relays: NotRequired[ProcessCounters]
    silent: NotRequired[Int]


class SampleReading(Stored):
    """What psutil says of all lanes, by name, and of the machine's CPU times (s)."""

    t_ns: Int
    lanes: dict[str, SampledLane]
    machine: dict[str, Number]


class Sample(SampleReading):
    """A sample taken between two windows."""

    kind: Literal["sample"]
    point: Count
    generation: Count
    purpose: Purpose


class SamplerCost(OfPoint):
    """What sampling cost in a generation."""

    kind: Literal["sampler"]
    generation: Count
    samples: Count
    cpu_ns: Int


class Counters(OfPoint):
    """What perf counted in a lane's window of its own, by event; null where another user's counters left no room."""

    kind: Literal["counters"]
    generation: Count
    lane: str
    bytes: Count
    senders: dict[str, Count | None]
    receivers: dict[str, Count | None]
    relays: NotRequired[dict[str, Count | None]]


class WorkerReport(Stored):
    """What only the worker itself can read at the end of a generation: its resource usage and the TCP_INFO of its connection."""

    tcp_info: dict[str, Count]
    cpu_ns: NotRequired[Int]
    voluntary: NotRequired[Int]
    involuntary: NotRequired[Int]
    minor_faults: NotRequired[Int]
    major_faults: NotRequired[Int]
    connections_made: NotRequired[Count]  # of an HTTP receiver


class SenderReport(WorkerReport):
    """The report of a sender: what the kernel said of its zero-copy sends, and the *bytes* that it sent in the generation."""

    completions: dict[str, Count]
    bytes: NotRequired[Count]
    transfers: NotRequired[Count | None]  # small files that went over the connection of *tcp_info*; null: none did
    buffer_page_offset: NotRequired[Count | None]  # where in a page its buffer or kept mapping begins; null: it has none


class ServerCpu(Stored):
    """CPU time of a server's processes by their own *clocks* and by their control group; null without one. In ns."""

    clocks: Count
    cgroup: Count | None


class ServerReport(Stored):
    """A server at the end of a generation: how its CPU time was read, how it answered, how still it was."""

    cpu_from: Literal["cgroup", "clocks"]
    processes: Count
    processes_ended: Count
    rests: Count
    rests_loose: Count
    version: str
    keep_alive: bool
    ranges: bool
    request_bytes: Count
    not_seen: list[str]
    cpu_ns: NotRequired[ServerCpu | None]
    tls: NotRequired[str | None]
    file_cut: NotRequired[bool]


class Reports(OfPoint):
    """What a lane's workers report at the end of a generation. *workers*: senders, receivers; *cpus*: of each role, and of all workers.

    *relays*: how many there are, the CPUs that they may use, and how many of these no other worker may use.
    """

    kind: Literal["reports"]
    generation: Count
    lane: str
    workers: Annotated[list[Count], Len(2, 2)]
    cpus: Annotated[list[Count], Len(3, 3)]
    senders: list[SenderReport]
    relays: NotRequired[Annotated[list[Count], Len(3, 3)]]
    server: NotRequired[ServerReport]
    receivers: NotRequired[list[WorkerReport]]
