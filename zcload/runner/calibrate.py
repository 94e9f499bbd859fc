"""Calibrate a point before it is measured: window length, cost of the loop, idle machine, the baseline's best chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zcload.analysis.own_cost import LOOP
from zcload.analysis.stats import pseudo_median
from zcload.analysis.tally import window_tally
from zcload.host.machine import Machine
from zcload.lane.contract import PlacedLane
from zcload.lane.null_receive import turn_cost
from zcload.lane.small_files.transfer_plan import longest_window_s
from zcload.linux import interrupt
from zcload.mechanisms import mechanism_of
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.schedule import LEAST_BURSTS, LEAST_OF_EACH, LONGEST_WINDOW_S
from zcload.model.study import Contender, Point, Study, Variant
from zcload.model.timing import (
    SHORTEST_PACED_S,
    SHORTEST_S,
    chunk_window_s,
    lanes_measured,
    least_window_s,
    may_try,
    probe_window_s,
    shortest_s,
)
from zcload.model.units import format_size
from zcload.runner.context import BARE, PointContext, PointFailed
from zcload.runner.window import LaneFailed, measure

if TYPE_CHECKING:
    from zcload.model.records.lines import Calibrated
    from zcload.model.records.measurements import WindowReading

LONGEST_S = 1.0
_STEPS_PER_S = 200  # chosen lengths are multiples of 5 ms, the least that stop.window takes
CALLS_PER_WINDOW = 20  # of every sender: a window of few calls is mostly its edges
TAIL_SHARE = 0.5  # what is still on its way when the gate closes may take half as long as the gate was open
BEST_CHUNKS = tuple(1 << power for power in range(14, 21))  # 16 KiB .. 1 MiB
_IDLE_S = 0.08  # eight ticks of /proc/stat on each CPU; the generations add up
CALIBRATION_WINDOWS = 3
_CHUNK_GENERATIONS, _CHUNK_BLOCKS = 2, 4


def lanes_at_once(study: Study) -> int:
    """Return how many lanes of a point run at once, at most: in a generation, with the idle loop, or one for each chunk tried."""
    return max(lanes_measured(study), len(study.variants) + 1, len(BEST_CHUNKS) + 1 if study.best_chunk else 0)


def extra_s(study: Study, point: Point) -> float:
    """Return how much longer the calibration of *point* takes for its rate: windows of all lanes, of the loop, of the chunks tried."""
    lanes = CALIBRATION_WINDOWS * (len(study.variants) + 1) * probe_window_s(least_window_s(study, point), 0.0)
    if not study.best_chunk:
        return lanes
    tried = sum(probe_window_s(chunk_window_s(point, size), 0.0) for size in BEST_CHUNKS if may_try(study, point, size))
    return lanes + _CHUNK_GENERATIONS * (1 + _CHUNK_BLOCKS) * tried


def watch_idle(context: PointContext) -> list[list[int]] | None:
    """Read the machine before and after a moment in which every lane is parked; None where lanes run together: no machine ledger.

    It is read in every generation, close to the windows from which it is subtracted, because other work on a machine changes.
    """
    if context.together:
        return None
    before = context.machine.read().as_list()
    interrupt.pause(_IDLE_S)
    interrupt.check()
    return [before, context.machine.read().as_list()]


def window_length(context: PointContext, lanes: dict[str, PlacedLane]) -> tuple[float, float, dict[str, float]]:
    """Choose how long the gates of this point open, the same for all its lanes.

    Return it with the longest that they may and the time a window of each lane takes. With a cold cache no sender may reach the place where
    another sender or it itself began: what has been read once is warm from then on. A lane whose window ends with its pass takes as long as
    the pass, whatever is chosen here. At a rate a window contains so many chunks of every sender that one more or less does not matter.
    """
    fixed, paced = context.study.stop.window_s, least_window_s(context.study, context.point)
    # Only the lane knows that its server ignores ranges and sends the whole file at once.
    wanted = max([paced, *(chunk_window_s(context.point, lane.burst_bytes) for lane in lanes.values())])
    paced = max(paced, min(wanted, LONGEST_WINDOW_S))
    look = fixed or probe_window_s(paced, SHORTEST_S)
    needed, longest, takes = (
        max(fixed or shortest_s(context.study), paced, SHORTEST_PACED_S if paced else 0.0),
        longest_window_s(context.point),
        {},
    )
    if not isinstance(context.machine, Machine):
        needed = max(needed, context.machine.least_window_s)
    for name, lane in list(lanes.items()):
        try:
            records = [measure(lane, look, context.machine) for _ in range(CALIBRATION_WINDOWS)]
        except LaneFailed as error:
            context.drop([lanes], name, error)
            continue
        last = records[-1]
        if not isinstance(context.machine, Machine):
            needed = max(needed, context.machine.least_for_skew_s(records))
        takes[name] = (last["rest_ns"] - last["open_ns"] + last.get("cache_ns", 0)) / 1e9
        cls = mechanism_of(lane.variant)
        if cls.whole_pass or not cls.moves_payload:
            continue
        if context.cache.cold:
            longest = min(longest, _half_share_s(context, last))
        if fixed or lane.variant.server is not None:
            continue  # the answers that a server's receivers wait for are whole, however short the window was: it lasts as long as they do
        calls = min(after[2] - before[2] for before, after in last["senders"])
        open_s = (last["close_ns"] - last["open_ns"]) / 1e9
        tail_s = max(0, last["last_byte_ns"] - last["close_ns"]) / 1e9
        needed = max(needed, tail_s / TAIL_SHARE, open_s * CALLS_PER_WINDOW / max(calls, 1))
    if longest < math.inf:
        longest = max(math.floor(longest * _STEPS_PER_S), 1) / _STEPS_PER_S
    chosen = fixed or min(_in_steps(min(needed, max(LONGEST_S, paced))), longest)
    if chosen < 0.99 * wanted:
        context.caution("few_chunks", window_s=chosen, least=LEAST_BURSTS, each=LEAST_OF_EACH, needed_s=_in_steps(wanted))
    return chosen, longest, {name: max(seconds, seconds - look + chosen) for name, seconds in takes.items()}


def window_for(context: PointContext, chunk: int, chosen_s: float, longest_s: float) -> float:
    """Return how long windows must be when a lane of *chunk* takes part too; *chosen_s* is enough for the others."""
    if context.study.stop.window_s:
        return chosen_s
    return max(chosen_s, min(_in_steps(chunk_window_s(context.point, chunk)), longest_s))


def _in_steps(seconds: float) -> float:
    return math.ceil(round(seconds * _STEPS_PER_S, 6)) / _STEPS_PER_S


def _half_share_s(context: PointContext, record: WindowReading) -> float:
    """Return how long the fastest sender of a window takes for half of the file's part that is its own until the next begins."""
    span_s = (record["last_byte_ns"] - record["open_ns"]) / 1e9
    most = max(after[1] - before[1] for before, after in record["senders"])
    return float(span_s * context.source.size / context.point.senders / 2 / max(most, 1))


def bare_contenders(contenders: Sequence[Contender], point: Point) -> list[Contender]:
    """Return contenders that move nothing through the same code as *contenders*, without those that are among them.

    At a rate the null mechanism is one of them: it measures what keeping a rate costs, for servers too.
    """
    overheads = dict.fromkeys([*(mechanism_of(v).overhead for v in contenders), *([LOOP] if point.paced else [])])
    return [Variant(f"{BARE}{name}", name).at(point) for name in overheads if name and name not in {v.mechanism for v in contenders}]


def loop_cost(context: PointContext, lane: PlacedLane) -> float | None:
    """Measure what the senders' loop costs by itself with the null mechanism: CPU seconds a turn, or a small file that is opened
    and closed; None if it could not be had.
    """
    try:
        tallies = [window_tally(measure(lane, SHORTEST_S, context.machine), None) for _ in range(CALIBRATION_WINDOWS)]
    except LaneFailed as error:
        context.remove(lane.name, error)
        return None
    per = "transfers" if context.point.transfer == "per-file" else "sender_iterations"
    return min((t["sender_cpu_s"] / t[per] for t in tallies if t[per]), default=None)


def receive_loop_costs(context: PointContext, lanes: Iterable[PlacedLane]) -> dict[str, float]:
    """Measure what a turn of the receivers' loop costs by itself, in this process: CPU seconds by sink; the lanes must be at rest.

    Nothing where the receivers run on other hosts, whose CPUs may be others.
    """
    if not isinstance(context.machine, Machine):
        return {}
    connections = -(-context.point.senders // context.point.receiver_count)
    try:
        return {sink: turn_cost(sink, connections) for sink in dict.fromkeys(x.variant.sink for x in lanes if x.variant.server is None)}
    except OSError:
        return {}


def best_chunk(context: PointContext, told: Callable[[str, float], None]) -> tuple[int, dict[int, float]]:
    """Find the chunk at which the baseline's mechanism costs both ends the least CPU per GB; return it and the costs of all (s/GB).

    Measured in separate generations, so that choosing the lowest value does not bias the lane that is measured later.
    """
    baseline = context.study.variant(context.study.baseline).at(context.point)
    sizes = sorted(
        {*(size for size in BEST_CHUNKS if size <= context.source.size and may_try(context.study, context.point, size)), baseline.chunk}
    )
    variants = {f"{baseline.name}@{format_size(size)}": size for size in sizes}
    open_s = {size: probe_window_s(chunk_window_s(context.point, size), SHORTEST_S) for size in sizes}
    logs: dict[int, list[float]] = {size: [] for size in sizes}
    for generation in range(_CHUNK_GENERATIONS):
        with context.lanes([[_at(baseline, name, size) for name, size in variants.items()]]) as (lanes,):
            if len(lanes) < len(variants):
                raise PointFailed(f"the baseline's best chunk could not be found: {', '.join(context.out.values())}")
            seen: dict[int, list[float]] = {size: [] for size in sizes}
            for block in range(1 + _CHUNK_BLOCKS):
                for name in context.rng.sample(list(lanes), len(lanes)):
                    tally = window_tally(measure(lanes[name], open_s[variants[name]], context.machine), None)
                    if block and tally["gb"]:
                        seen[variants[name]].append(math.log(tally["total_cpu_s"] / tally["gb"]))
                    interrupt.check()
                told("finding the baseline's best chunk", (generation + (block + 1) / (1 + _CHUNK_BLOCKS)) / _CHUNK_GENERATIONS)
            for size in sizes:
                if seen[size]:
                    logs[size].append(pseudo_median(seen[size]))
    costs = {size: math.exp(sum(values) / len(values)) for size, values in logs.items() if values}
    return min(costs, key=costs.__getitem__), costs


def _at(baseline: Contender, name: str, chunk: int) -> Contender:
    return replace(baseline, name=name, chunk=chunk, burst_bytes=chunk)


def chosen_chunk(calibrated: Calibrated | None) -> tuple[int, dict[int, float]] | None:
    """Return the best chunk that the interrupted part of the run found, as `best_chunk` does; None without one."""
    found = calibrated["best_chunk"] if calibrated else None
    return (found["chunk_bytes"], {int(size): cost for size, cost in found[TOTAL_CPU_S_PER_GB].items()}) if found else None


def best_chunk_contender(context: PointContext, chunk: int) -> Contender | None:
    """Return the lane that the baseline gets at its best chunk; None where its own chunk is the best."""
    baseline = context.study.variant(context.study.baseline).at(context.point)
    if chunk == baseline.chunk:
        return None
    return _at(baseline, f"{baseline.name}@{format_size(chunk)}", chunk)


def as_record(costs: dict[int, float], chunk: int) -> dict[str, Any]:
    """Return the calibration of the chunk as data."""
    return {"chunk_bytes": chunk, TOTAL_CPU_S_PER_GB: {str(size): cost for size, cost in sorted(costs.items())}}
