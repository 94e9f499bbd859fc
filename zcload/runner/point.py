"""Measure one point: prepare it once (verify, calibrate), then measure generation by generation. Its state has what is known of it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from zcload.analysis.own_cost import LOOP
from zcload.analysis.point_data import sort_out
from zcload.errors import StudyError, ZcloadError
from zcload.lane.contract import PlacedLane
from zcload.lane.sampler import Samples
from zcload.linux import interrupt
from zcload.mechanisms import mechanism_of
from zcload.model.progress import Progress, Viewer
from zcload.model.study import Contender
from zcload.model.timing import CONTENDERS_PER_GROUP, LEAST_BLOCKS, SHORTEST_S, least_window_s, probe_window_s
from zcload.runner import calibrate, pacing_cost, perf_window
from zcload.runner.block import Tolerance, groups_of, run_block
from zcload.runner.context import PointContext, PointFailed
from zcload.runner.lane_facts import lane_facts
from zcload.runner.point_state import FAILED, PointState
from zcload.runner.window import LaneFailed

if TYPE_CHECKING:
    from zcload.model.records.lines import Line

GENERATION_S = 1.0  # long enough that setting up is a few percent, short enough for many: they are what the interval comes from
MOST_BLOCKS = 12
CHECK_WINDOW_S, CHECK_GENERATIONS, CHECK_BLOCKS = 2.0, 4, 2


class PointRun:
    """A point being measured in this process: *state* is what is known of it, *context* what its lanes run on."""

    def __init__(self, context: PointContext, state: PointState, view: Viewer) -> None:
        self.context, self.state, self.view = context, state, view
        self.points = len(context.study.points)
        self.stop = context.study.stop
        self.doing = ""  # for messages
        self._recent: list[Line] = []  # the records of this process's generations that no cluster holds yet

    @property
    def failure(self) -> StudyError | None:
        return PointFailed(self.state.failed) if self.state.failed is not None else None

    # Preparing.

    def prepare(self) -> None:
        """Verify every lane, choose the window, find the best chunk. Raises StudyError if the baseline fails, Interrupted."""
        context = self.context
        costs: dict[int, float] = {}
        best: int | None = None
        pacing = None
        own: dict[str, float | None] = {}
        least_s = least_window_s(context.study, context.point)
        state, variants = self.state, self.state.contenders()
        state.warm_up_s = probe_window_s(least_s, SHORTEST_S) if least_s else None
        bare = calibrate.bare_contenders(variants, context.point)
        with context.lanes([[*variants, *bare]], verify=True, started=lambda name: self._tell("verifying", name)) as (lanes,):
            idle = {v.mechanism: lanes.pop(v.name) for v in bare if v.name in lanes}
            try:
                self._tell("calibrating", "window length, loop")
                if context.point.paced and state.warm_up_s:
                    pacing = pacing_cost.pacing_cost(context, idle[LOOP], state.warm_up_s) if LOOP in idle else None
                else:
                    own = {name: calibrate.loop_cost(context, lane) for name, lane in idle.items()}
            finally:
                gone = {lane.name: error for lane in idle.values() if (error := context.retire(lane)) is not None}
            for name, error in gone.items():
                context.remove(name, error)
            state.window_s, state.longest_s, takes = calibrate.window_length(context, lanes)
        baseline = context.study.variant(context.study.baseline).at(context.point)
        stream = context.point.transfer == "stream"
        if context.study.best_chunk and mechanism_of(baseline).uses_chunk and stream:
            best, costs = calibrate.chosen_chunk(state.chosen) or calibrate.best_chunk(context, self._tell)
            state.extra = calibrate.best_chunk_contender(context, best)
            if state.extra is not None:
                with context.lanes([[state.extra]], verify=True, started=lambda name: self._tell("verifying", name)):
                    pass
                if state.extra.name not in context.out:
                    takes[state.extra.name] = takes[baseline.name]
                    wider = calibrate.window_for(context, best, state.window_s, state.longest_s)
                    takes = {name: seconds + wider - state.window_s for name, seconds in takes.items()}
                    state.window_s = wider
        groups = -(-max(len(takes) - 1, 1) // CONTENDERS_PER_GROUP)
        state.block_s = sum(takes.values()) + (groups - 1) * takes[baseline.name]
        if context.together:
            state.block_s = max(takes.values()) * 2
        extra = state.extra if state.extra and state.extra.name not in context.out else None
        context.half_measured.clear()  # no figure comes from these lanes: their CPU roles need no counterpart
        state.prepared = True
        context.record(
            {
                "kind": "calibrated",
                "window_s": state.window_s,
                "block_s": round(state.block_s, 4),
                "loop_s_per_call": own.get(LOOP) if stream else None,
                "loop_s_per_transfer": None if stream else own.get(LOOP),
                "own_s_per_call": own if stream else {},
                "receive_loop_s": calibrate.receive_loop_costs(context, lanes.values()) if stream else {},
                "pacing": pacing,
                "best_chunk": calibrate.as_record(costs, best) if best else None,
                "best_chunk_lane": (extra.name if extra else baseline.name) if best else None,
                "extra_lane": lane_facts(extra, context.point) if extra else None,
                "check_window_s": self.check_window_s,
            }
        )

    def _tell(self, phase: str, detail: str | float = "", fraction: float | None = None) -> None:
        text = detail if isinstance(detail, str) else ""
        self.doing = f"{phase} {text}".rstrip()
        self.view(Progress(phase, text, fraction if isinstance(detail, str) else detail, point=self.context.index, points=self.points))
        interrupt.check()

    # Measuring.

    def measure_generation(self) -> None:
        """Set up all lanes anew, measure a warm-up block and then blocks for about a second, tear them down."""
        state, start = self.state, time.monotonic()
        least = self.stop.min_generations if self.context.replicate is None else max(self.stop.min_generations, self.stop.replicates)
        share = min(GENERATION_S, 0.9 * self.stop.max_time_s / least - state.set_up_s)
        blocks = max(LEAST_BLOCKS, min(MOST_BLOCKS, round(share / state.block_s) - 1))
        self._measure("measure", state.window_s, blocks, state.tolerance, deadline=start - state.spent_s + self.stop.max_time_s)
        state.spent_s += time.monotonic() - start

    def close_cluster(self) -> None:
        """Take in the log-ratios of what was measured since the last call: one cluster of a replicate, else one of each generation."""
        recent, self._recent = self._recent, []
        least = self.stop.min_generations if self.context.replicate is None else self.stop.replicates
        self.state.take_in(sort_out(recent, self.state.idle.cores).used(), least)

    def run_check(self) -> None:
        """Measure generations of long windows, to compare them with the short ones."""
        tolerance = Tolerance(self.state.interrupts_apart)  # of its own: as many long blocks as short ones would take hours
        for _ in range(CHECK_GENERATIONS):
            self._measure("check", self.check_window_s, CHECK_BLOCKS, tolerance, deadline=None)

    @property
    def check_window_s(self) -> float:
        """Return how long the windows of `run_check` are."""
        return min(max(CHECK_WINDOW_S, self.state.window_s), self.state.longest_s)

    def check_s(self) -> float:
        """Return about how long `run_check` takes."""
        windows = len(self.state.contenders()) + max(0, -(-(len(self.state.contenders()) - 1) // CONTENDERS_PER_GROUP) - 1)
        return CHECK_GENERATIONS * CHECK_BLOCKS * (self.check_window_s + 0.05) * (1 if self.context.together else windows)

    def _measure(self, purpose: str, open_s: float, blocks: int, tolerance: Tolerance, deadline: float | None) -> None:
        context = self.context
        number, self.state.generation = self.state.generation, self.state.generation + 1
        self.doing = f"measuring generation {number}"
        self._recent = self._recent if purpose == "measure" else []
        with context.lanes(self._groups()) as groups:
            roles = [sorted(cpus) for cpus in next(iter(groups[0].values())).placement.workers]
            context.record(
                {
                    "kind": "generation",
                    "generation": number,
                    "purpose": purpose,
                    "replicate": context.replicate,
                    "cached": context.cached,
                    "cpus": roles,
                    "groups": [list(g) for g in groups],
                    **context.facts(),
                }
            )
            sampler = context.sampler(groups)
            for block in range(-1, blocks):
                warm_up = block < 0
                if not warm_up and block >= LEAST_BLOCKS and deadline is not None and time.monotonic() > deadline:
                    break
                now = "warm-up" if warm_up else purpose
                label = {"point": context.index, "generation": number, "block": block, "purpose": now}
                try:
                    run_block(
                        groups,
                        label=label,
                        open_s=(self.state.warm_up_s or self.state.window_s) if warm_up else open_s,
                        together=context.together,
                        machine=context.machine,
                        rng=context.rng,
                        record=self._record,
                        tolerance=None if warm_up else tolerance,
                        between=partial(self._between, sampler, number, now),
                    )
                except LaneFailed as error:
                    context.drop(groups, error.lane, error)
                    sampler = context.sampler(groups)
                if warm_up:
                    self._watch_idle(number, purpose)
                    self._sample(sampler, number, purpose)
            self._sample(sampler, number, purpose)
            self._report(groups, number, sampler)
            if number < self.stop.min_generations and not context.together:
                self._count_events(groups, number)

    def _count_events(self, groups: list[dict[str, PlacedLane]], number: int) -> None:
        able = self.context.perf
        if able is None or not able.events:
            return
        for group in groups:
            for lane in list(group.values()):
                try:
                    counted = perf_window.count(lane, able, self.state.window_s, self.context.machine)
                except LaneFailed as error:
                    self.context.drop(groups, error.lane, error)
                    continue
                if counted is not None:
                    self.context.record({**counted, "generation": number})
                interrupt.check()

    def _watch_idle(self, generation: int, purpose: str) -> None:
        readings = calibrate.watch_idle(self.context)
        if readings is not None:
            record = {"kind": "idle", "generation": generation, "purpose": purpose, "machine": readings}
            self.context.record(record)
            self.state.idle.take(readings)

    def _groups(self) -> list[list[Contender]]:
        """Deal this generation's contenders into groups, each with a baseline lane of its own."""
        baseline = self.context.study.variant(self.context.study.baseline).at(self.context.point)
        contenders = {v.name: v for v in self.state.contenders() if v.name != baseline.name}
        dealt = [list(contenders)] if self.context.together else groups_of(list(contenders), self.context.rng)
        return [[baseline, *(contenders[name] for name in group)] for group in dealt]

    def _record(self, record: dict[str, Any]) -> None:
        self.context.emit(record)
        self._recent.append(cast("Line", record))

    def _between(self, sampler: Samples, generation: int, purpose: str) -> None:
        """Use the rest between two windows: a psutil sample if one is due, a look at the screen if it is somebody's."""
        if sampler.due():
            self._sample(sampler, generation, purpose)
        self.view(self.state.progress(self.points))

    def _sample(self, sampler: Samples, generation: int, purpose: str) -> None:
        self.context.record({"kind": "sample", "generation": generation, "purpose": purpose, **sampler.sample()})

    def _report(self, groups: list[dict[str, PlacedLane]], generation: int, sampler: Samples) -> None:
        for lane in [lane for group in groups for lane in group.values()]:
            try:
                self.context.record({"kind": "reports", "generation": generation, **self.context.report(lane)})
            except StudyError as error:  # a worker that has ended since the last window, or does not answer
                self.context.drop(groups, lane.name, error)
        self.context.record({"kind": "sampler", "generation": generation, "samples": sampler.taken, "cpu_ns": sampler.cost_ns})

    # Stopping.

    def end(self, reason: str) -> None:
        """Stop measuring this point, for *reason*."""
        self.state.stopped = reason
        self.context.record({"kind": "stopped", "reason": reason, "generations": self.state.generation})

    def fail(self, error: ZcloadError) -> None:
        """Stop measuring this point, because nothing can be compared without what failed; the other points continue."""
        self.state.failed = str(error)
        baseline = self.context.study.baseline
        if baseline not in self.context.out:
            self.context.out[baseline] = str(error)
            self.context.record({"kind": "failed", "variant": baseline, "reason": str(error)})
        self.end(f"{FAILED}{error}")
