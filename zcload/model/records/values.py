"""Types that windows.jsonl and summary.json share: bounded numbers, figures, cautions, facts of the host."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from annotated_types import Ge, Le, Len
from typing_extensions import TypedDict


class Stored(TypedDict):
    """The base of every stored object. Keys may be added in later versions, so a reader accepts those that it does not know."""


# Bounds that no measurement reaches, and within which sums, squares and products of stored numbers stay finite.
LARGEST_INT, LARGEST_FLOAT = 2**63 - 1, 1e60

Int = Annotated[int, Ge(-LARGEST_INT), Le(LARGEST_INT)]
Count = Annotated[int, Ge(0), Le(LARGEST_INT)]
Number = Annotated[float, Ge(-LARGEST_FLOAT), Le(LARGEST_FLOAT)]
Amount = Annotated[float, Ge(0.0), Le(LARGEST_FLOAT)]  # a number that is never negative
Positive = Annotated[float, Ge(1e-12), Le(LARGEST_FLOAT)]

Role = Literal["sender", "receiver", "relay"]
Schedule = Literal["alternate", "together"]

SweptKey = Literal["chunk", "file_size", "transfer_size", "senders", "rate"]  # what a crossover may be looked for along

# One object of settings that zcload itself checks elsewhere: the config, a mechanism's options.
Tree = dict[str, object]


class CautionRecord(Stored):
    """What spoils or limits a result: *code* for programs, *message* and *remedy* for people."""

    code: str
    message: str
    remedy: str


class IntervalRecord(Stored):
    """A figure with its 95 % interval; all three null where there is none."""

    estimate: Number | None
    low: Number | None
    high: Number | None


class KnownInterval(Stored):
    """A figure with its 95 % interval, of something that exists."""

    estimate: Number
    low: Number
    high: Number


class DocumentedCopies(Stored):
    """How often the CPU copies the payload on one side, as documented: with a network *card* that gathers, and if packets stay *local*."""

    card: Count
    local: Count
    note: str


class DocumentedSides(Stored):
    """The documented copies on each side; null where nobody has documented them."""

    sender: DocumentedCopies | None
    receiver: DocumentedCopies | None
    relay: NotRequired[DocumentedCopies | None]


class CallNames(Stored):
    """The kinds of system calls that each side makes, in the order in which readings count them."""

    sender: list[str]
    receiver: list[str]
    relay: NotRequired[list[str]]


class LaneFacts(Stored):
    """What a lane is, before anything is measured: its mechanism, sink, chunk (bytes; null where it has none) and options."""

    name: str
    mechanism: str
    sink: str
    chunk_bytes: Count | None
    options: Tree
    aa: bool
    moves_payload: bool
    over: NotRequired[str | None]  # of a server: the variant whose work it does
    overhead: NotRequired[str | None]  # the mechanism that shows what zcload's own code costs in it
    header: NotRequired[str | None]  # how it sends a header before a small file, where there is one
    unencrypted: NotRequired[str | None]  # of one that encrypts: the mechanism that does the same without encryption
    calls: NotRequired[CallNames]
    copies: NotRequired[DocumentedSides]


class PointFacts(Stored):
    """The workload of a point, units in the keys; null: automatic or unlimited."""

    chunk_bytes: Count
    file_bytes: Count
    # Of a made file in memory. "auto", of older results: small. Missing where it is none, and in results of before.
    file_pages: NotRequired[Literal["huge", "small", "auto"]]
    senders: Count
    rate_bps: Amount | None
    receivers: Count
    receive_chunk_bytes: Count
    receive_buffer_offset_bytes: NotRequired[Count]  # where in a page the receivers' buffers begin
    sink: str
    origin: NotRequired[str]  # the mechanism that sends to the relays; missing where there are none
    placement: str
    cache: Literal["warm", "cold"]
    transfer: str
    transfer_size: NotRequired[str | None]
    transfer_bytes: NotRequired[Amount | None]  # on average
    transfer_sizes: NotRequired[Count | None]  # how many
    connection: NotRequired[str | None]
    header_bytes: NotRequired[Count | None]  # before each small file; null: none
    arrivals: NotRequired[str | None]
    transfers_per_s: NotRequired[Amount | None]
    network: Literal["loopback", "veth", "hosts"]  # hosts: the data network between several
    mtu_bytes: NotRequired[Count | None]  # of a veth pair
    offloads: NotRequired[bool | None]
    gso_max_bytes: NotRequired[Count | None]  # asked for of a veth pair; null: the kernel's default
    address: str
    socket_buffer_bytes: Count | None
    congestion: str | None
    file: str
    dir: str


class RelayFacts(Stored):
    """The relays of a point's lanes: what sends to them, how many a lane has, their CPUs, and how many of these no other worker may use."""

    origin: str
    count: Count
    cpus: Count
    own_cpus: Count


class DeviceFacts(Stored):
    """One end of a veth pair, read back from the kernel: its MTU, which offloads are on, the largest packets of IPv6 and of IPv4."""

    mtu_bytes: Count
    offloads: dict[str, bool]
    gso_max_bytes: NotRequired[Count | None]
    gso_ipv4_max_bytes: NotRequired[Count | None]


class NetworkFacts(Stored):
    """The veth pair of a point, and which TCP settings of its namespaces were copied from the host's or differ from them."""

    user_namespace: bool
    sender: DeviceFacts
    receiver: DeviceFacts
    settings_copied: list[str]
    settings_differ: list[str]


class PerfFacts(Stored):
    """Which perf events may be counted, why not the others, and whether only outside the kernel."""

    events: list[str]
    reasons: dict[str, str]
    user_only: bool


class TracedCall(Stored):
    """One kind of system call: the payload *bytes* that it moved, and how often it was made."""

    name: str
    bytes: Count
    count: Count


class TraceFacts(Stored):
    """Which system calls of a server moved the payload of one short transfer; *moved* is null with a *reason* where that is not known."""

    moved: str | None
    reason: str | None
    payload_bytes: Count
    calls: list[TracedCall]


class PacingCost(Stored):
    """What keeping a rate costs by itself, measured with the `null` mechanism: CPU seconds and cores."""

    cpu_s_per_sleep: Number
    cpu_s_per_gb: Number
    sleeps_per_gb: Number
    cpu_cores: Number


class BestChunk(Stored):
    """The calibration of the baseline's chunk: the best (bytes), and both ends' CPU s/GB by chunk."""

    chunk_bytes: Count
    total_cpu_s_per_gb: dict[Annotated[str, Len(1, 20)], Amount]


class ImportedRecord(Stored):
    """What another *tool* measured, beside a report: never paired with anything. Goodput in bit/s, CPU seconds per GB."""

    name: str
    tool: str
    what: str
    goodput_bps: Number | None
    sender_cpu_s_per_gb: Number | None
    receiver_cpu_s_per_gb: Number | None
    system_cpu_s_per_gb: Number | None
    total_cpu_s_per_gb: Number | None
    notes: list[str]


class Environment(TypedDict, total=False):
    """The facts of the host that bear on a result; null: unknown. Sizes in bytes."""

    zcload_version: str
    python_version: str
    kernel_release: str | None
    kernel_version: str | None
    architecture: str
    cpu_model: str | None
    cpus_online: Count | None
    cpus_allowed: list[Count]
    cpus_isolated: list[Count]
    cpus_nohz_full: list[Count]
    physical_cores: Count | None
    smt: bool
    l2_bytes: Count | None
    last_level_cache_bytes: Count | None
    numa_nodes: Count | None
    memory_bytes: Count | None
    virtualisation: str | None
    container: str | None
    scheduler_hz: Count | None
    cpu_accounting: str
    irq_time_accounting: str | None
    paravirt_time_accounting: str
    clock_tick_hz: Count
    clocksource: str | None
    clocksource_is_syscall: bool | None
    cpufreq_governor: str | None
    cpufreq_driver: str | None
    turbo: bool | None
    cgroup_cpu_quota_cpus: Amount | None
    cgroup_memory_limit_bytes: Count | None
    loopback_mtu_bytes: Count | None
    tcp_wmem_max_bytes: Count | None
    tcp_rmem_max_bytes: Count | None
    wmem_max_bytes: Count | None
    rmem_max_bytes: Count | None
    optmem_max_bytes: Count | None
    congestion_available: list[str] | None
    congestion_allowed: list[str] | None
    congestion_default: str | None
    qdisc_default: str | None
    ktls_available: bool | None
    transparent_hugepages: str | None
    transparent_hugepages_shmem: str | None
    free_page_reporting_bytes: NotRequired[Count | None]
    memlock_limit_bytes: Count | None
    pipe_max_size_bytes: Count | None
    io_uring_disabled: Count | None
    host_name: str | None


class EngineRecord(Stored):
    """What placed and started the agents of a run; *quiet* says whether it leaves the measured hosts alone, *noisy* why it does not."""

    name: str
    version: str
    scheduler: str
    encrypted: bool
    quiet: bool
    noisy: list[str]


class LinkRecord(Stored):
    """A pair of hosts of which one sends to the other."""

    sender: str
    receiver: str


class ClusterHost(Stored):
    """A host of a run: hosts with the same number of *machine* share a kernel. *nic* is null for the loopback device."""

    name: str
    roles: list[Literal["sender", "receiver"]]
    address: str
    machine: Count
    cpus: list[Count]
    round_trip_ns: Count
    nic: Tree | None
    environment: Environment


class ClusterFacts(Stored):
    """The hosts of a run on several. *swap*: each generation draws which end of each link sends."""

    engine: EngineRecord
    pattern: Literal["pairs", "fan-in", "fan-out", "mesh"]
    swap: bool
    links: list[LinkRecord]
    hosts: list[ClusterHost]
