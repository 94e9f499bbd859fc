"""Types of the objects of summary.json (schema zcload.summary/1): what programs that read results may rely on.

The JSON Schema that `zcload schema --result` prints is generated from these types. Keys are only ever added: a key that the
first release did not write is not required. Units are suffixes of keys; a figure is null where it does not exist.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from annotated_types import Len

from zcload.model.records.ledgers import ClusterPart, EdgePart, HostLedgers
from zcload.model.records.values import (
    Amount,
    BestChunk,
    CautionRecord,
    Count,
    DocumentedCopies,
    Environment,
    ImportedRecord,
    Int,
    IntervalRecord,
    KnownInterval,
    NetworkFacts,
    Number,
    PacingCost,
    PerfFacts,
    PointFacts,
    RelayFacts,
    Role,
    Schedule,
    Stored,
    SweptKey,
    TraceFacts,
    Tree,
)

# History of the schema (a reader refuses a number it does not know; adding keys keeps the number):
#   1  2026-11  the first.
SCHEMA = "zcload.summary/1"

Verdict = Literal["saves", "costs", "gains", "loses", "no difference", "inconclusive"]
CrossoverVerdict = Literal["crosses", "several", "always", "never", "no difference", "open"]
Status = Literal["ok", "skipped", "failed"]


class FigureRecord(IntervalRecord):
    """A figure that may be missing, and the *reason* if a part of it is."""

    reason: NotRequired[str | None]


class MetricRecord(FigureRecord):
    """A metric of a variant, in *unit*."""

    unit: str


class ComparisonRecord(Stored):
    """A variant against a baseline in one metric: *ratio* is variant / baseline, *saving_percent* 100 x (1 - ratio)."""

    variant: str
    baseline: str
    metric: str
    headline: bool
    aa: bool
    ratio: IntervalRecord
    saving_percent: IntervalRecord
    half_width_percent: Number | None
    verdict: Verdict | None
    reason: str | None
    ratio_of_sums: IntervalRecord
    with_contaminated: IntervalRecord  # with the repeated blocks
    without_contaminated: IntervalRecord
    difference: NotRequired[IntervalRecord | None]  # in the metric's unit, at equal throughput
    generation_sd: Number | None  # of the generations' log-ratios
    label: NotRequired[str | None]


class ZeroCopyCheck(Stored):
    """What the kernel said of a variant's zero-copy sends: counters of all its senders, null where there is nothing to count."""

    completions: Count | None
    copied: Count | None
    enobufs: Count | None
    enomem: Count | None
    eagain: Count | None
    waits: Count | None
    short: Count | None
    broken_links: Count | None
    fallback_sends: Count | None
    fallback_bytes: Count | None
    pinned_bytes_max: Count | None
    copied_fraction: Number | None
    fallback_fraction: Number | None
    label: str | None


class CopiesRecord(DocumentedCopies):
    """The documented copies of one side: *here* those that this network asks for; *observed*, per byte, and on what *basis*."""

    here: Count
    observed: Number | None
    basis: str | None


class CallsPerGb(Stored):
    """How many system calls each side made per GB, by kind."""

    sender: dict[str, MetricRecord]
    receiver: dict[str, MetricRecord]
    relay: NotRequired[dict[str, MetricRecord]]


class CopiesOfSides(Stored):
    """The copies of the payload on each side; null where nothing is documented."""

    sender: CopiesRecord | None
    receiver: CopiesRecord | None
    relay: NotRequired[CopiesRecord | None]


class CostBreakdown(Stored):
    """What a variant costs beyond its metrics: system calls by kind, and copies of the payload."""

    calls_per_gb: CallsPerGb
    copies: CopiesOfSides


class OwnCost(Stored):
    """What zcload's own code costs in a variant, as *mechanism* shows it: CPU s a call, s/GB, and its share of both ends' CPU."""

    mechanism: str
    s_per_call: Number
    s_per_gb: Number
    share: Number | None


class ReceiverOwnCost(Stored):
    """What the receivers' loop costs in a variant, as a sink that receives nothing shows it: CPU s a receive, s/GB, share of both ends."""

    s_per_receive: Number
    s_per_gb: Number
    share: Number | None


class Bottleneck(Stored):
    """What held a variant back: *busy* shares of the CPUs, and TCP_INFO's shares of time limited by window and buffer."""

    verdict: str
    sender_busy: Number | None
    receiver_busy: Number | None
    relay_busy: NotRequired[Number | None]
    cpu_busy: Number | None
    rwnd_limited: Number | None
    sndbuf_limited: Number | None


class Percentiles(Stored):
    """Percentiles of latency, in seconds."""

    p50: FigureRecord
    p90: FigureRecord
    p99: FigureRecord
    p99_9: FigureRecord
    max: FigureRecord


class TransferLateness(Stored):
    """How late transfers were begun, in seconds: a check of the load."""

    p50: Number
    p99: Number
    max: Number


class Latency(Stored):
    """Latencies of a variant's transfers, in seconds. *curve*: pairs of level (0..1) and seconds."""

    kind: Literal["response_time", "service_time"]
    count: Count
    unit: Literal["s"]
    percentiles: Percentiles
    mean: Number
    curve: list[Annotated[list[Number], Len(2, 2)]]
    lateness: TransferLateness | None


class BurstLateness(Stored):
    """How late the bursts of a rate were begun, in seconds."""

    p50: Number | None
    p99: Number | None
    max: Number | None
    unit: str


class Rate(Stored):
    """What a variant made of the rate that was asked for. *reached* is null where the interval leaves it open."""

    asked_bps: Amount
    achieved_bps: IntervalRecord
    reached: bool | None
    sleeps_per_gb: Number | None
    bursts: Count
    lateness: BurstLateness


class ServerFacts(Stored):
    """A server under test: how its CPU time was read, how it answered, how still it was; counts over all generations."""

    cpu_from: Literal["cgroup", "clocks"]
    version: str
    keep_alive: bool
    ranges: bool
    request_bytes: Count
    not_seen: list[str]
    processes: Count  # the most at once
    processes_ended: Count
    rests: Count
    rests_loose: Count
    tls: NotRequired[str | None]
    file_cut: NotRequired[bool]
    cpu_clocks_s: NotRequired[Number | None]
    cpu_cgroup_s: NotRequired[Number | None]
    cpu_apart: NotRequired[Number | None]  # clocks / group - 1


class VariantRecord(HostLedgers):
    """One contender at one point."""

    name: str
    mechanism: str
    sink: str
    chunk_bytes: Count | None
    options: Tree
    aa: bool
    moves_payload: bool
    best_chunk: bool
    header: NotRequired[str]  # how it sends the header before a small file
    unencrypted: NotRequired[str]  # of one that encrypts: the mechanism that does the same without encryption
    windows: Count
    status: Status
    reason: str | None
    verified: bool | None
    digest: str | None
    traced: NotRequired[TraceFacts]
    bytes_sent: Count
    bytes_received: Count
    copied_fraction: Number | None
    truth: NotRequired[ZeroCopyCheck]
    receiver_mapped_fraction: Number | None
    retransmits: Count | None
    retransmitted_fraction: NotRequired[Number | None]
    loop_s_per_call: Number | None
    buffer_page_offsets: NotRequired[list[Count]]  # where in a page the senders' buffers began
    own_cost: NotRequired[OwnCost | None]
    receiver_own_cost: NotRequired[ReceiverOwnCost | None]
    bottleneck: Bottleneck | None
    latency: NotRequired[Latency | None]
    rate: NotRequired[Rate | None]
    server: NotRequired[ServerFacts | None]
    metrics: dict[str, MetricRecord]
    bill: NotRequired[CostBreakdown]


class Cause(Stored):
    """One figure that moved with a side's CPU, of the variant and of the baseline; *metric* where it is one."""

    code: str
    metric: NotRequired[str]
    variant: KnownInterval | Number | None
    baseline: KnownInterval | Number | None


class Side(Stored):
    """The effect on one side's CPU, and its causes."""

    role: Role
    effect: Literal["saves", "costs"]
    saving_percent: IntervalRecord
    causes: list[Cause]


class Explanation(Stored):
    """Why a contender won or lost against the baseline."""

    variant: str
    baseline: str
    verdict: str
    sides: list[Side]


class WindowCheckRow(Stored):
    """The ratio of one variant and metric in short and in long windows, and whether the intervals *disagree*."""

    variant: str
    metric: str
    short: IntervalRecord | None
    long: IntervalRecord | None
    disagree: bool


class WindowCheck(Stored):
    """Short windows against long ones, of *window_s*: what --check-windows measures."""

    window_s: Amount | None
    generations: Count
    rows: list[WindowCheckRow]
    disagree: list[str]


class PointSummary(EdgePart):
    """One point of a study: its workload, variants and comparisons."""

    point: PointFacts
    name: str
    baseline: str
    generations: Count
    replicates: NotRequired[Count | None]  # fresh processes that measured them; null: one process, intervals over generations
    file_huge_share: NotRequired[Number | None]  # of the file in memory, on average over generations; null: unknown, or not in memory
    blocks: Count
    blocks_repeated: Count
    blocks_kept_contaminated: Count
    window_s: Amount | None
    window_open_s: Annotated[list[Number], Len(2, 2)] | None  # shortest and longest
    observer_share: Number | None
    foreign_share: NotRequired[Number | None]  # of the machine's CPUs: what others used in the blocks that count
    loaded: NotRequired[bool]  # whether that is so much that the point's figures are not to be quoted
    idle_cores: Number | None
    loop_s_per_call: Number | None
    own_s_per_call: NotRequired[dict[str, Number]]
    receive_loop_s: NotRequired[dict[str, Number]]  # by sink: CPU s of a turn of the receivers' loop
    pacing: NotRequired[PacingCost | None]
    loop_s_per_transfer: NotRequired[Number | None]
    best_chunk: BestChunk | None
    smallest_saving_percent: Number | None
    stopped: str | None
    relay: NotRequired[RelayFacts]
    variants: list[VariantRecord]
    comparisons: list[ComparisonRecord]
    comparisons_best_chunk: list[ComparisonRecord]
    comparisons_over: NotRequired[list[ComparisonRecord]]
    why: NotRequired[list[Explanation]]
    window_check: WindowCheck | None
    network: NetworkFacts | None
    perf: NotRequired[PerfFacts | None]


class CrossingRecord(KnownInterval):
    """One crossing on the swept axis, *between* two decided values, and on which side of it the contender wins."""

    between: Annotated[list[Number], Len(2, 2)]
    wins: Literal["above", "below"]


class CrossoverRecord(Stored):
    """What a crossover study found; values in *unit*."""

    sweep: SweptKey
    unit: str
    contender: str
    baseline: str
    metric: str
    confidence: Number
    range: Annotated[list[Number], Len(2, 2)]
    verdict: CrossoverVerdict
    crossings: list[CrossingRecord]
    wins: list[Number]
    loses: list[Number]
    level: list[Number]
    undecided: list[Number]
    precision_percent: Number
    stopped: str | None


class Summary(ClusterPart):
    """A summary.json."""

    schema: str
    name: str
    zcload_version: str
    complete: bool
    started: str  # UTC, ISO 8601
    resumed: NotRequired[list[str]]
    max_time_s: NotRequired[Amount]
    seed: Int
    schedule: Schedule
    headline: str
    margin_percent: Number
    target_percent: Number
    family: Count
    config: Tree
    environment: Environment
    cautions: list[CautionRecord]
    points: list[PointSummary]
    crossing: NotRequired[CrossoverRecord | None]
    imported: NotRequired[list[ImportedRecord]]  # in a report only
