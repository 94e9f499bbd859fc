"""Types of the lines of windows.jsonl (schema zcload.windows/1): the header and the events.

Keys and kinds are only ever added: a key that the first release did not write is not required.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from zcload.model.records.measurements import (
    Block,
    Counters,
    GenerationLine,
    Idle,
    OfPoint,
    Reports,
    Sample,
    SamplerCost,
    Window,
)
from zcload.model.records.values import (
    Amount,
    BestChunk,
    CautionRecord,
    ClusterFacts,
    Count,
    Environment,
    Int,
    LaneFacts,
    NetworkFacts,
    Number,
    PacingCost,
    PerfFacts,
    PointFacts,
    Schedule,
    Stored,
    SweptKey,
    TraceFacts,
    Tree,
)

# History of the format (adding keys and kinds of lines keeps the number):
#   1  2026-11  the first: a header, then events, samples, windows and blocks.
SCHEMA = "zcload.windows/1"


class StopRule(Stored):
    """The stopping rule: *target* half-width and *margin* as fractions, *max_time_s* for each point, the least *replicates*."""

    target: Amount
    margin: Amount
    max_time_s: Amount
    replicates: NotRequired[Count]


class CrossoverFacts(Stored):
    """What a crossover study looks for; *values* are those of the swept key, one for each point, in its unit."""

    sweep: SweptKey
    contender: str
    precision: Amount
    max_time_s: Amount
    min_generations: Count
    values: list[Number]


class PlannedPoint(Stored):
    """A point as the study has it: its *name* (empty if it is the only one), its workload and its lanes."""

    name: str
    point: PointFacts
    lanes: list[LaneFacts]


class Header(Stored):
    """The first line: what is measured, how and where."""

    kind: Literal["header"]
    schema: str
    name: str
    zcload_version: str
    started: str  # UTC, ISO 8601
    seed: Int
    schedule: Schedule
    baseline: str
    stop: StopRule
    crossover: NotRequired[CrossoverFacts | None]
    config: Tree
    environment: Environment
    cautions: list[CautionRecord]
    cluster: NotRequired[ClusterFacts]
    points: list[PlannedPoint]


def first_time_limit(header: Header) -> float:
    """Return the time limit (s) that a run began with: for each point, or for a whole search."""
    crossover = header.get("crossover")
    return crossover["max_time_s"] if crossover else header["stop"]["max_time_s"]


class Skipped(OfPoint):
    """A variant that this host cannot run, and why."""

    kind: Literal["skipped"]
    variant: str
    reason: str


class Failed(OfPoint):
    """A variant that was taken out, and why."""

    kind: Literal["failed"]
    variant: str
    reason: str


class Verified(OfPoint):
    """A lane whose receivers' digests were right: the SHA-256 of the file, and the bytes that moved."""

    kind: Literal["verified"]
    variant: str
    digest: str
    bytes: Count


class TraceLine(OfPoint):
    """A server that was traced for one transfer before measuring."""

    kind: Literal["traced"]
    variant: str
    trace: TraceFacts


class CautionLine(CautionRecord):
    """Something that spoils a point, or, without *point*, the run."""

    kind: Literal["caution"]
    point: NotRequired[Count]


class Calibrated(OfPoint):
    """A point that is ready to be measured: window length (s), CPU of zcload's own loop (s), the baseline's best chunk."""

    kind: Literal["calibrated"]
    window_s: Amount
    block_s: Amount
    loop_s_per_call: Amount | None
    loop_s_per_transfer: NotRequired[Amount | None]
    own_s_per_call: NotRequired[dict[str, Amount | None]]  # by mechanism that moves nothing
    receive_loop_s: NotRequired[dict[str, Amount]]  # by sink: a turn of the receivers' loop
    pacing: NotRequired[PacingCost | None]
    best_chunk: BestChunk | None
    best_chunk_lane: str | None
    extra_lane: LaneFacts | None
    check_window_s: Amount


class NetworkLine(NetworkFacts):
    """The veth pair that was made for a point."""

    kind: Literal["network"]
    point: Count


class PerfLine(PerfFacts):
    """Which perf events a point may count."""

    kind: Literal["perf"]
    point: Count


class Stopped(OfPoint):
    """A point that is measured no more, and why."""

    kind: Literal["stopped"]
    reason: str
    generations: Count


class Extended(OfPoint):
    """A finished point that is measured further, until it has been measured for *max_time_s*."""

    kind: Literal["extended"]
    max_time_s: Amount


class Resumed(Stored):
    """A run that was resumed: when (UTC), why it had ended, and the time limit (s) from then on."""

    kind: Literal["resumed"]
    at: str
    after: NotRequired[str]
    max_time_s: NotRequired[Amount]
    environment: NotRequired[Environment]
    cautions: NotRequired[list[CautionRecord]]


class End(Stored):
    """The last line of each session."""

    kind: Literal["end"]
    complete: bool
    reason: str


Event = (
    Skipped | Failed | Verified | TraceLine | CautionLine | Calibrated | NetworkLine | PerfLine | Idle | Stopped | Extended | Resumed | End
)  # few: kept
Measurement = GenerationLine | Window | Block | Sample | SamplerCost | Counters | Reports  # many: summed up as they come
Line = Header | Event | Measurement
MEASUREMENT_KINDS = frozenset(("generation", "window", "block", "sample", "sampler", "counters", "reports"))
