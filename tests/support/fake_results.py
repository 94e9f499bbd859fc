"""Results that were never measured: records as a run writes them, with numbers that are known."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache

from zcload.analysis.summary import summarise
from zcload.model.packed import pack

TICK_S = 0.01
CPUS = 2
WINDOW_NS = 50_000_000
ENVIRONMENT = {
    "kernel_release": "6.1.0",
    "cpu_model": "Example CPU",
    "cpus_allowed": [0, 1],
    "scheduler_hz": 250,
    "virtualisation": None,
    "irq_time_accounting": "no",
}
PLACE = {
    "chunk_bytes": 262_144,
    "file_bytes": 268_435_456,
    "senders": 1,
    "receivers": 1,
    "rate_bps": None,
    "receive_chunk_bytes": 262_144,
    "sink": "recv",
    "placement": "spread",
    "cache": "warm",
    "transfer": "stream",
    "network": "loopback",
    "address": "127.0.0.1",
    "socket_buffer_bytes": 1_048_576,
    "congestion": "cubic",
    "file": "auto",
    "dir": "auto",
}


@dataclass(frozen=True)
class Cost:
    """What a window costs: CPU seconds per GB of each end, and its GB, system calls and time from gate to last byte.

    *machine* is the CPU that the whole machine used (s/GB), None for a window without a machine reading.
    """

    sender: float
    receiver: float = 0.2
    gb: float = 0.1
    sender_calls: int = 400
    receiver_calls: int = 500
    elapsed_s: float = 0.05
    machine: float | None = None
    observer_s: float = 0.00001
    latencies_ns: tuple[int, ...] = ()  # of the window's transfers, if it has any
    late_ns: tuple[int, ...] = ()


ONE_COPY = {"card": 1, "local": 1, "note": ""}
NO_COPY = {"card": 0, "local": 0, "note": ""}
TWO_COPIES = {"card": 2, "local": 2, "note": ""}
A_LATE_COPY = {"card": 0, "local": 1, "note": "late"}


def lane(name, mechanism=None, *, aa=False, moves_payload=True, chunk=262_144, sink="recv", calls=None, copies=None):
    """Return the facts of a lane, as the header and the calibration hold them; *calls* and *copies* are not in those of old results."""
    more = {"calls": {"sender": calls, "receiver": ["recv"]}} if calls else {}
    if copies:
        more["copies"] = {"sender": copies, "receiver": ONE_COPY}
    return {
        "name": name,
        "mechanism": mechanism or name,
        "sink": sink,
        "chunk_bytes": chunk,
        "options": {},
        "aa": aa,
        "moves_payload": moves_payload,
        **more,
    }


def header(lanes, points=("",), *, baseline="copy", cautions=(), irq="no", schedule="alternate", margin=0.03, target=0.03):
    """Return the first record of a result with these *lanes* in each of the *points* (their names)."""
    return {
        "kind": "header",
        "schema": "zcload.windows/1",
        "name": "example",
        "zcload_version": "0.0.0",
        "started": "2026-01-02T03:04:05Z",
        "seed": 7,
        "schedule": schedule,
        "baseline": baseline,
        "stop": {"target": target, "margin": margin, "max_time_s": 60.0},
        "config": {"study": {"name": "example"}},
        "environment": {**ENVIRONMENT, "irq_time_accounting": irq},
        "cautions": list(cautions),
        "points": [{"name": name, "point": dict(PLACE), "lanes": list(lanes)} for name in points],
    }


@dataclass
class Result:
    """A result in the making. A clock that only its windows move; counters that go up as they would."""

    head: dict
    point: int = 0
    records: list = field(default_factory=list)
    clock_ns: int = 10**12
    idle_ticks: int = 1_000_000
    counters: dict = field(default_factory=dict)  # lane -> [sender cpu, bytes, iterations, calls], the receiver's

    def __post_init__(self):
        self.records.append(self.head)

    def event(self, kind, **more):
        """Record an event of the present point."""
        self.records.append({"kind": kind, "point": self.point, **more})
        return self

    def calibrated(self, *, best=None, extra=None, loop=1e-6, chunk=65_536):
        """Record the calibration; *best* is the best chunk's lane, *extra* the facts of one that the study did not name."""
        costs = {"chunk_bytes": chunk, "total_cpu_s_per_gb": {str(chunk): 0.5}} if best else None
        return self.event(
            "calibrated",
            window_s=WINDOW_NS / 1e9,
            block_s=0.2,
            loop_s_per_call=loop,
            best_chunk=costs,
            best_chunk_lane=best,
            extra_lane=extra,
            check_window_s=2.0,
        )

    def verified(self, *names):
        """Record that lanes were verified."""
        for name in names:
            self.event("verified", variant=name, digest="ab" * 32, bytes=PLACE["file_bytes"])
        return self

    def idle(self, cores, *, generation, purpose="measure", span_s=1.0):
        """Record what the machine used in a second in which every lane was parked."""
        start = [self.clock_ns, self.idle_ticks, 0, 0, CPUS]
        self.clock_ns += round(span_s * 1e9)
        self.idle_ticks += round((CPUS - cores) * span_s / TICK_S)
        return self.event("idle", generation=generation, purpose=purpose, machine=[start, [self.clock_ns, self.idle_ticks, 0, 0, CPUS]])

    def window(self, name, cost, *, generation, block, group=0, attempt=0, purpose="measure"):
        """Record a window of lane *name*."""
        sender, receiver = self.counters.setdefault(name, ([0, 0, 0, 0], [0, 0, 0, 0]))
        moved = round(cost.gb * 1e9)
        before = list(sender), list(receiver)
        for counter, per_gb, calls in ((sender, cost.sender, cost.sender_calls), (receiver, cost.receiver, cost.receiver_calls)):
            counter[0] += round(per_gb * moved)
            counter[1] += moved
            counter[2] += calls
            counter[3] += calls
        opened, span_ns = self.clock_ns, round(cost.elapsed_s * 1e9) + 1_000_000
        self.clock_ns += span_ns
        machine = None
        if cost.machine is not None:
            start = [opened, self.idle_ticks, 0, 0, CPUS]
            self.idle_ticks += round((CPUS * span_ns / 1e9 - cost.machine * cost.gb) / TICK_S)
            machine = [start, [self.clock_ns, self.idle_ticks, 0, 0, CPUS]]
        self.event(
            "window",
            generation=generation,
            block=block,
            purpose=purpose,
            attempt=attempt,
            group=group,
            lane=name,
            order=1,
            open_ns=opened,
            close_ns=opened + WINDOW_NS,
            last_byte_ns=opened + round(cost.elapsed_s * 1e9),
            rest_ns=self.clock_ns,
            senders=[[before[0], list(sender)]],
            receivers=[[before[1], list(receiver)]],
            machine=machine,
            observer_cpu_ns=round(cost.observer_s * 1e9),
            **({"transfers": self._transfers(name, cost, opened)} if cost.latencies_ns else {}),
        )

    def _transfers(self, name, cost, opened):
        """Return what a window's record says of its transfers; with *late_ns* they are of a schedule."""
        before, count = self.counters.get((name, "transfers"), 0), len(cost.latencies_ns)
        self.counters[name, "transfers"] = before + count
        told = {"sent": [[before, before + count]], "received": [[before, before + count]], "until_ns": None}
        told["latency_ns"] = pack(cost.latencies_ns)
        return told | ({"until_ns": opened + WINDOW_NS, "late_ns": pack(cost.late_ns)} if cost.late_ns else {})

    def block(self, groups, *, generation, block, fate="counted", attempt=0, purpose="measure"):
        """Record a block: *groups* are dicts from lane to Cost."""
        label = {"generation": generation, "block": block, "attempt": attempt, "purpose": purpose}
        for number, lanes in enumerate(groups):
            for name, cost in lanes.items():
                self.window(name, cost, group=number, **label)
        judged = {} if fate == "abandoned" else {"foreign_share": 0.2 if fate in ("kept", "repeated") else 0.0, "limit": 0.07}
        return self.event("block", fate=fate, **judged, **label)

    def generation(self, number, groups, *, blocks=2, purpose="measure", idle=None, fate="counted", replicate=None):
        """Record a generation of *blocks* equal blocks, its warm-up, the *idle* cores, and what the lanes report at its end."""
        groups = [groups] if isinstance(groups, dict) else groups
        self.event(
            "generation", generation=number, purpose=purpose, replicate=replicate, cpus=[[0], [1]], groups=[list(group) for group in groups]
        )
        self.block(groups, generation=number, block=-1, purpose="warm-up")
        if idle is not None:
            self.idle(idle, generation=number, purpose=purpose)
        for block in range(blocks):
            self.block(groups, generation=number, block=block, purpose=purpose, fate=fate)
        return self.reports(number, *{name for group in groups for name in group})

    def reports(self, generation, *names, completions=None, moved=None, **tcp_info):
        """Record what the senders of lanes report at the end of a generation; *moved* bytes are not in old results."""
        for name in sorted(names):
            sender = {"tcp_info": {"total_retrans": 0, **tcp_info}, "completions": completions or {}}
            if moved is not None:
                sender["bytes"] = moved
            self.event("reports", generation=generation, lane=name, workers=[1, 1], cpus=[1, 1, 2], senders=[sender])
        return self

    def sample(self, generation, purpose="measure", **lanes):
        """Record a psutil sample; each of *lanes* gives (orders, bytes, sender's counters, receiver's counters)."""
        seen = {}
        for name, (orders, moved, sender, receiver) in lanes.items():
            seen[name] = {"orders": orders, "bytes": moved, "senders": _counters(sender), "receivers": _counters(receiver)}
        return self.event("sample", generation=generation, purpose=purpose, t_ns=self.clock_ns, lanes=seen, machine={})

    def end(self, complete=True, reason="done"):
        """Record the end of the run and return all records."""
        self.records.append({"kind": "end", "complete": complete, "reason": reason})
        return self.records


def _counters(given):
    names = ("user_s", "system_s", "voluntary", "involuntary", "minor_faults", "major_faults", "cpu_ns")
    return {**dict.fromkeys(names, 0), **given}


def example(*, everything=True):
    """Return a study of every kind of line: best-chunk and A/A lanes, a skipped one, repeated and kept blocks.

    With *everything* a second group, a lane that fails, and one that moves nothing too.
    """
    extra = lane("copy@64KiB", "read_send", chunk=65_536)
    lanes = [
        lane("copy", "read_send", calls=["send"], copies=TWO_COPIES),
        lane("copy#2", "read_send", aa=True, calls=["send"], copies=TWO_COPIES),
        lane("sendfile", calls=["sendfile"], copies=NO_COPY),
        lane("slurp_send", chunk=None),
    ]
    if everything:
        lanes += [lane("splice"), lane("mmap_send"), lane("null", moves_payload=False)]
    result = Result(header(lanes, cautions=[{"code": "small_file", "message": "a small *file*", "remedy": "a larger_one"}]))
    result.event("skipped", variant="slurp_send", reason="not | here")
    result.verified("copy", "copy#2", "sendfile", "copy@64KiB")
    result.calibrated(best="copy@64KiB", extra=extra)
    busy = {"user_s": 0.05, "system_s": 0.5, "voluntary": 40, "involuntary": 3, "minor_faults": 12, "cpu_ns": 550_000_000}
    for number, luck in enumerate((1.0, 1.04, 0.98, 1.02, 0.96, 1.0)):
        copy = Cost(0.4, 0.2, machine=0.8, sender_calls=800)
        groups = [
            {
                "copy": copy,
                "copy#2": Cost(0.4 * luck, 0.2, machine=0.8, sender_calls=800),
                "sendfile": Cost(0.2 * luck, 0.22, machine=0.5, elapsed_s=0.04 * luck),
                "copy@64KiB": Cost(0.3, 0.21 / luck, machine=0.6, sender_calls=3200),
            }
        ]
        if everything:
            second = {"copy": copy, "splice": Cost(0.38 * luck, 0.24, machine=0.7), "null": Cost(0.0, 0.0, gb=0.0, elapsed_s=-1.0)}
            groups.append(second | ({"mmap_send": Cost(0.5 * luck, 0.2, machine=0.9)} if number < 2 else {}))
        names = sorted({name for group in groups for name in group if name != "null"})
        result.sample(number, **dict.fromkeys(names, (4, 0, {}, {})))
        result.generation(number, groups, idle=0.02)
        result.sample(number, **dict.fromkeys(names, (8, 400_000_000, busy, busy)))
        if everything and number == 2:
            result.event("failed", variant="mmap_send", reason="lane mmap_send, sender 0 (pid 5): OSError: [Errno 5]")
        if number == 3:
            result.block(groups, generation=number, block=2, fate="repeated")
            result.block(groups, generation=number, block=2, fate="kept", attempt=1)
    result.event("stopped", reason="time limit" if everything else "target reached", generations=6)
    return result.end()


@cache
def _example_summary(everything):
    return summarise(example(everything=everything))


def example_summary(*, everything=True):
    """Return the summary of `example`, the caller's own to change: analysed once, for that takes a third of a second."""
    return copy.deepcopy(_example_summary(everything))
