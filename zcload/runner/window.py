"""Measure one window: a lane from rest to rest, with a reading at each end.

Between the readings the coordinator writes to the gate, sleeps once, and checks for rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.contract import Lane, PlacedLane, Reading
from zcload.lane.rest import clocks, wait_for_rest
from zcload.lane.small_files.arrivals import LEAD_NS
from zcload.linux import interrupt
from zcload.mechanisms import mechanism_of
from zcload.model.packed import pack

if TYPE_CHECKING:
    from zcload.cluster.bench import Bench
    from zcload.cluster.lane import ClusterLane
    from zcload.model.records.measurements import WindowReading


class LaneFailed(StudyError):
    """A lane failed in a window; the others may continue."""

    def __init__(self, lane: str, cause: StudyError) -> None:
        super().__init__(str(cause))
        self.lane = lane


def measure(lane: PlacedLane, open_s: float, machine: Machine | Bench) -> WindowReading:
    """Open the lane's gate for *open_s*, wait for rest, and return the raw record of the window (see docs/metrics.md).

    Raises LaneFailed if the lane does, Interrupted on a signal.
    """
    return measure_together([lane], open_s, machine)[0]


def measure_together(lanes: Sequence[PlacedLane], open_s: float, machine: Machine | Bench) -> list[WindowReading]:
    """Open the gates of all *lanes* for one common interval; each lane is read at its own rest. Return their records."""
    if isinstance(machine, Machine):
        return _here(cast("Sequence[Lane]", lanes), open_s, machine)
    return _across(cast("Sequence[ClusterLane]", lanes), open_s, machine)


def _across(lanes: Sequence[ClusterLane], open_s: float, bench: Bench) -> list[WindowReading]:
    """Measure a window on several hosts."""
    from zcload.cluster.session import PartFailed

    try:
        return bench.measure(lanes, open_s)
    except PartFailed as error:
        raise LaneFailed(next(lane.name for lane in lanes if lane.number == error.lane), error) from None


def _here(lanes: Sequence[Lane], open_s: float, machine: Machine) -> list[WindowReading]:
    """Measure a window on this host."""
    # Config lets no other lane run beside one that must begin with a cold cache.
    cache = lanes[0].cache if lanes[0].cache and lanes[0].cache.cold else None
    emptied = cache.empty() if cache else {}
    before = [_Reading(lane, _of(lane, clocks)) for lane in lanes]
    machine_before = machine.read().as_list()
    observer = time.thread_time_ns()
    opened = [lane.gate.open(open_s) for lane in lanes]
    interrupt.pause(open_s)
    closed = [lane.gate.close() for lane in lanes]
    at_rest = [(_of(lane, wait_for_rest), time.monotonic_ns()) for lane in lanes]
    observer = time.thread_time_ns() - observer
    after = [_Reading(lane, cpu_ns) for lane, (cpu_ns, _) in zip(lanes, at_rest, strict=True)]
    machine_after = machine.read().as_list()
    records: list[dict[str, Any]] = [
        {
            "lane": lane.name,
            "order": lane.gate.number,
            "open_ns": opened[i],
            "close_ns": closed[i],
            "last_byte_ns": after[i].board.last_byte_ns,
            "rest_ns": at_rest[i][1],
            "senders": _pair(before[i].senders, after[i].senders),
            "receivers": _pair(before[i].receivers, after[i].receivers),
            **({"relays": _pair(before[i].relays, after[i].relays)} if after[i].relays else {}),
            "machine": [machine_before, machine_after] if len(lanes) == 1 else None,
            "observer_cpu_ns": observer // len(lanes),
            **_measures(lane.measures, before[i].board, after[i].board),
            **lane.load.record(before[i].board.areas, after[i].board.areas),
            **_transfers(lane, before[i].board, after[i].board, opened[i], open_s),
        }
        for i, lane in enumerate(lanes)
    ]
    for lane in lanes:
        _check(lane)
    if cache:
        sent = sum(b[1] - a[1] for a, b in records[0]["senders"])
        records[0] |= emptied | cache.look_back(emptied, sent)
        drop_mappings(lanes[0])
    return cast("list[WindowReading]", records)


def drop_mappings(lane: Lane) -> None:
    """Drop the file from the lane's mappings, so that no lane's next window finds it in the cache; raises LaneFailed."""
    if lane.forget():
        _of(lane, wait_for_rest)


def _of(lane: Lane, reading: Callable[[Lane], list[int]]) -> list[int]:
    try:
        return reading(lane)
    except StudyError as error:
        raise LaneFailed(lane.name, error) from None


def _check(lane: Lane) -> None:
    """Raise LaneFailed if one of the lane's processes has ended: what it would have done, others did, or nobody."""
    error = lane.failure()
    if error is not None:
        raise LaneFailed(lane.name, error)


class _Reading:
    """What the *board* and the CPU clocks of a lane's processes say at a rest."""

    __slots__ = ("board", "receivers", "relays", "senders")

    def __init__(self, lane: Lane, cpu_ns: Sequence[int]) -> None:
        self.board = board = lane.read()
        clocks = iter(cpu_ns)  # in the order of `observed`
        self.senders, self.receivers, self.relays = (
            [[next(clocks), *tally] for tally in tallies] for tallies in (board.senders, board.receivers, board.relays)
        )


def _pair(before: list[list[int]], after: list[list[int]]) -> list[list[list[int]]]:
    """Return for each process its two readings: [cpu_ns, bytes, iterations, system calls by kind...] before and after."""
    return [[a, b] for a, b in zip(before, after, strict=True)]


def _measures(names: Sequence[str], before: Reading, after: Reading) -> dict[str, Any]:
    """Return {"receiver_measures": {name: [[before, after] for each receiver]}}, or nothing where the sink measures nothing."""
    if not names:
        return {}
    pairs = list(zip(before.measured, after.measured, strict=True))
    return {"receiver_measures": {name: [[a[kind], b[kind]] for a, b in pairs] for kind, name in enumerate(names)}}


def _transfers(lane: Lane, before: Reading, after: Reading, opened_ns: int, open_s: float) -> dict[str, Any]:
    """Return {"transfers": how many small files went and came, and the raw latency of each}, or nothing for a stream."""
    transfer_plan = lane.transfer_plan
    if transfer_plan is None:
        return {}
    (sent, received), (sent_after, received_after) = before.transfers, after.transfers
    told: dict[str, Any] = {
        "sent": _both(sent, sent_after),
        "received": _both(received, received_after),
        "until_ns": None if transfer_plan.closed else opened_ns + round(open_s * 1e9),
    }
    if mechanism_of(lane.variant).moves_payload:
        told["latency_ns"] = pack(transfer_plan.log.latencies(sent, sent_after))
    if not transfer_plan.closed:
        told["origin_ns"] = opened_ns + LEAD_NS
        told["late_ns"] = pack(transfer_plan.log.lateness(sent, sent_after))
    return {"transfers": told}


def _both(before: Sequence[int], after: Sequence[int]) -> list[list[int]]:
    return [[a, b] for a, b in zip(before, after, strict=True)]
