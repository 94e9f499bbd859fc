"""One point on its way: prepared once (verified, calibrated), then measured generation by generation until it may stop."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from zcload.analysis.comparisons import saving
from zcload.analysis.estimates import generation_log_ratio
from zcload.analysis.point_data import sort_out
from zcload.analysis.stats import Interval, generations_interval, half_width_percent, narrow_enough
from zcload.analysis.tally import Generation, idle_cores
from zcload.errors import StudyError
from zcload.lane.mechanism_lane import Lane
from zcload.lane.sampler import Sampler
from zcload.linux import interrupt
from zcload.mechanisms import mechanism_of
from zcload.model.metrics import METRICS
from zcload.model.progress import Progress, Viewer
from zcload.model.study import Contender
from zcload.runner import calibrate, pacing_cost, perf_window
from zcload.runner.block import CONTENDERS_PER_GROUP, Tolerance, groups_of, run_block
from zcload.runner.context import PointContext, PointFailed, cpus_of
from zcload.runner.lane_facts import lane_facts
from zcload.runner.window import LaneFailed

GENERATION_S = 1.0  # long enough that setting up is a few percent, short enough for many: they are what the interval comes from
LEAST_BLOCKS, MOST_BLOCKS = 2, 12
CHECK_WINDOW_S, CHECK_GENERATIONS, CHECK_BLOCKS = 2.0, 4, 2

_FAILED = "failed: "


class PointRun:
    """A point being measured."""

    def __init__(self, context: PointContext, headline: str, view: Viewer, points: int) -> None:
        self.context = context
        self.headline = METRICS[headline]
        self.view, self.points = view, points
        self.stop = context.study.stop
        self.variants = [v for v in context.study.contenders(context.point) if v.name not in context.out]
        self.extra: Contender | None = None
        self.window_s = 0.0
        self.warm_up_s: float | None = None  # None: as long as the windows that count
        self.longest_s = math.inf  # a window may last no longer
        self.block_s = 0.0  # how long a block takes
        self._idle: list[dict[str, Any]] = []
        self.generation = 0
        self.spent_s = 0.0
        self.stopped: str | None = None
        self.failure: StudyError | None = None
        self._chosen: dict[str, Any] | None = None  # what an interrupted run had calibrated
        self.tolerance = Tolerance(context.interrupts_apart)
        self.logs: dict[str, list[float]] = {}
        self._widths: list[float] = []  # the widest headline half-width after each generation, from the least number on
        self._recent: list[dict[str, Any]] = []

    # Taking up an interrupted run.

    def restore(self, records: Sequence[dict[str, Any]]) -> None:
        """Go on from the *records* of this point that an interrupted run left; before `prepare`, which then chooses nothing anew."""
        events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            events[record["kind"]].append(record)
        for failed in events["failed"]:
            self.context.out[failed["variant"]] = failed["reason"]
        for stopped in events["stopped"]:
            self.stopped = stopped["reason"]
            if self.stopped.startswith(_FAILED):
                self.failure = PointFailed(self.stopped.removeprefix(_FAILED))
        if events["calibrated"]:
            self._chosen = events["calibrated"][-1]
            stop = replace(self.stop, window_s=self._chosen["window_s"])
            self.context.study = replace(self.context.study, stop=stop)
        self._idle = [record for record in events["idle"] if record["purpose"] == "measure"]
        self.tolerance.blocks = sum(block["purpose"] == "measure" for block in events["block"])
        self.tolerance.repeats = sum(block["fate"] == "repeated" for block in events["block"])
        self.generation = 1 + max((record["generation"] for record in events["generation"]), default=-1)
        spans: dict[int, list[int]] = defaultdict(list)
        for window in events["window"]:
            spans[window["generation"]] += [window["open_ns"], window["rest_ns"]]
        self.spent_s = sum(max(times) - min(times) for times in spans.values()) / 1e9
        for generation in sort_out(records, idle_cores(self._idle)).used():
            self._take_in(generation)
            if generation.number + 1 >= self.stop.min_generations:
                self._widths.append(self._widest())

    # Preparing.

    def prepare(self) -> None:
        """Verify every lane, choose the window, find the best chunk. Raises StudyError if the baseline fails, Interrupted."""
        context = self.context
        costs: dict[int, float] = {}
        best: int | None = None
        pacing = None
        own: dict[str, float | None] = {}
        least_s = pacing_cost.least_window_s(context.study, context.point)
        self.warm_up_s = pacing_cost.probe_window_s(least_s, calibrate.SHORTEST_S) if least_s else None
        bare = calibrate.bare_contenders(self.variants, context.point)
        with context.lanes([[*self.variants, *bare]], verify=True, started=lambda name: self._tell("verifying", name)) as (lanes,):
            idle = {v.mechanism: lanes.pop(v.name) for v in bare if v.name in lanes}
            try:
                self._tell("calibrating", "window length, loop")
                if context.point.paced and self.warm_up_s:
                    pacing = pacing_cost.pacing_cost(context, idle[calibrate.LOOP], self.warm_up_s) if calibrate.LOOP in idle else None
                else:
                    own = {name: calibrate.loop_cost(context, lane) for name, lane in idle.items()}
            finally:
                for lane in idle.values():
                    lane.tear_down()
            self.window_s, self.longest_s, takes = calibrate.window_length(context, lanes)
        baseline = context.study.variant(context.study.baseline).at(context.point)
        stream = context.point.transfer == "stream"
        if context.study.best_chunk and mechanism_of(baseline).uses_chunk and stream:
            best, costs = calibrate.chosen_chunk(self._chosen) or calibrate.best_chunk(context, self._tell)
            self.extra = calibrate.best_chunk_contender(context, best)
            if self.extra is not None:
                with context.lanes([[self.extra]], verify=True, started=lambda name: self._tell("verifying", name)):
                    pass
                if self.extra.name not in context.out:
                    takes[self.extra.name] = takes[baseline.name]
                    wider = calibrate.window_for(context, best, self.window_s, self.longest_s)
                    takes = {name: seconds + wider - self.window_s for name, seconds in takes.items()}
                    self.window_s = wider
        groups = -(-max(len(takes) - 1, 1) // CONTENDERS_PER_GROUP)
        self.block_s = sum(takes.values()) + (groups - 1) * takes[baseline.name]
        if context.together:
            self.block_s = max(takes.values()) * 2
        extra = self.extra if self.extra and self.extra.name not in context.out else None
        context.record(
            {
                "kind": "calibrated",
                "window_s": self.window_s,
                "block_s": round(self.block_s, 4),
                "loop_s_per_call": own.get(calibrate.LOOP) if stream else None,
                "loop_s_per_transfer": None if stream else own.get(calibrate.LOOP),
                "own_s_per_call": own if stream else {},
                "pacing": pacing,
                "best_chunk": calibrate.as_record(costs, best) if best else None,
                "best_chunk_lane": (extra.name if extra else baseline.name) if best else None,
                "extra_lane": lane_facts(extra, context.point) if extra else None,
                "check_window_s": self.check_window_s,
            }
        )

    def _tell(self, phase: str, detail: str | float = "", fraction: float | None = None) -> None:
        text = detail if isinstance(detail, str) else ""
        self.view(Progress(phase, text, fraction if isinstance(detail, str) else detail, point=self.context.index, points=self.points))
        interrupt.check()

    # Measuring.

    def contenders(self) -> list[Contender]:
        """Return the variants that still take part, the best-chunk lane among them."""
        return [v for v in (*self.variants, self.extra) if v is not None and v.name not in self.context.out]

    def run_generation(self) -> None:
        """Measure a generation, and see whether to stop."""
        self.measure_generation()
        self._decide()

    def measure_generation(self) -> None:
        """Set up all lanes anew, measure a warm-up block and then blocks for about a second, take them down, take the log-ratios in."""
        start = time.monotonic()
        share = min(GENERATION_S, 0.9 * self.stop.max_time_s / self.stop.min_generations)
        blocks = max(LEAST_BLOCKS, min(MOST_BLOCKS, round(share / self.block_s) - 1))
        self._measure("measure", self.window_s, blocks, deadline=start - self.spent_s + self.stop.max_time_s)
        self.spent_s += time.monotonic() - start
        for generation in sort_out(self._recent, idle_cores(self._idle)).used():
            self._take_in(generation)

    def run_check(self) -> None:
        """Measure generations of long windows, to be held against the short ones."""
        for _ in range(CHECK_GENERATIONS):
            self._measure("check", self.check_window_s, CHECK_BLOCKS, deadline=None)

    @property
    def check_window_s(self) -> float:
        """Return how long the windows of `run_check` are."""
        return min(max(CHECK_WINDOW_S, self.window_s), self.longest_s)

    def check_s(self) -> float:
        """Return about how long `run_check` takes."""
        windows = len(self.contenders()) + max(0, -(-(len(self.contenders()) - 1) // CONTENDERS_PER_GROUP) - 1)
        return CHECK_GENERATIONS * CHECK_BLOCKS * (self.check_window_s + 0.05) * (1 if self.context.together else windows)

    def _measure(self, purpose: str, open_s: float, blocks: int, deadline: float | None) -> None:
        context = self.context
        number, self.generation = self.generation, self.generation + 1
        self._recent = []
        with context.lanes(self._groups()) as groups:
            roles = [sorted(cpus) for cpus in next(iter(groups[0].values())).cpu_sets]
            context.record(
                {
                    "kind": "generation",
                    "generation": number,
                    "purpose": purpose,
                    "cached": context.cached,
                    "cpus": roles,
                    "groups": [list(g) for g in groups],
                }
            )
            sampler = Sampler(groups)
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
                        open_s=(self.warm_up_s or self.window_s) if warm_up else open_s,
                        together=context.together,
                        machine=context.machine,
                        rng=context.rng,
                        record=self._record,
                        tolerance=None if warm_up else self.tolerance,
                        between=partial(self._between, sampler, number, now),
                    )
                except LaneFailed as error:
                    context.drop(groups, error.lane, error)
                    sampler = Sampler(groups)
                if warm_up:
                    self._watch_idle(number, purpose)
                    self._sample(sampler, number, purpose)
            self._sample(sampler, number, purpose)
            self._report(groups, number, sampler)
            if number < self.stop.min_generations and not context.together:
                self._count_events(groups, number)

    def _count_events(self, groups: list[dict[str, Lane]], number: int) -> None:
        able = self.context.perf
        if able is None or not able.events:
            return
        for group in groups:
            for lane in list(group.values()):
                try:
                    counted = perf_window.count(lane, able, self.window_s, self.context.machine)
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
            self._idle.append(record)

    def _groups(self) -> list[list[Contender]]:
        """Deal this generation's contenders into groups, each with a baseline lane of its own."""
        baseline = self.context.study.variant(self.context.study.baseline).at(self.context.point)
        contenders = {v.name: v for v in self.contenders() if v.name != baseline.name}
        dealt = [list(contenders)] if self.context.together else groups_of(list(contenders), self.context.rng)
        return [[baseline, *(contenders[name] for name in group)] for group in dealt]

    def _record(self, record: dict[str, Any]) -> None:
        self.context.emit(record)
        self._recent.append(record)

    def _between(self, sampler: Sampler, generation: int, purpose: str) -> None:
        """Use the rest between two windows: a psutil sample if one is due, a look at the screen if it is somebody's."""
        if sampler.due():
            self._sample(sampler, generation, purpose)
        self.view(self.progress())

    def _sample(self, sampler: Sampler, generation: int, purpose: str) -> None:
        self.context.record({"kind": "sample", "generation": generation, "purpose": purpose, **sampler.sample()})

    def _report(self, groups: list[dict[str, Lane]], generation: int, sampler: Sampler) -> None:
        for lane in (lane for group in groups for lane in group.values()):
            if lane.late_unauthenticated():
                self.context.caution("strangers", count=lane.late_unauthenticated())
            self.context.record(
                {
                    "kind": "reports",
                    "generation": generation,
                    "lane": lane.name,
                    "workers": [len(lane.senders), len(lane.receivers)],
                    "cpus": cpus_of(lane.placement),
                    "senders": lane.report(),
                    **lane.facts(),
                }
            )
        self.context.record({"kind": "sampler", "generation": generation, "samples": sampler.taken, "cpu_ns": sampler.cost_ns})

    # Stopping.

    def end(self, reason: str) -> None:
        """Measure this point no more, for *reason*."""
        self.stopped = reason
        self.context.record({"kind": "stopped", "reason": reason, "generations": self.generation})

    def fail(self, error: StudyError) -> None:
        """Measure this point no more, because nothing can be said without what failed; the other points go on."""
        self.failure = error
        baseline = self.context.study.baseline
        if baseline not in self.context.out:
            self.context.out[baseline] = str(error)
            self.context.record({"kind": "failed", "variant": baseline, "reason": str(error)})
        self.end(f"{_FAILED}{error}")

    def _decide(self) -> None:
        """Stop if all headline intervals are narrow enough or the time is up."""
        lanes, target = self._headline_lanes(), 100 * self.stop.target
        if self.generation >= self.stop.min_generations:  # the looks begin here: an earlier one is narrow by luck more often
            self._widths.append(self._widest())
        if not lanes:
            self.end("nothing to compare")
        elif narrow_enough(self._widths, target):
            self.end("target reached")
        elif self.spent_s + self.spent_s / self.generation > self.stop.max_time_s:
            self.end("target reached" if narrow_enough(self._widths, target, looks=1) else "time limit")

    def _widest(self) -> float:
        """Return the widest half-width of the headline's ratios so far, in percent."""
        ratios = self.ratios()
        return max((half_width_percent(ratios[name]) if name in ratios else math.inf for name in self._headline_lanes()), default=math.inf)

    def _headline_lanes(self) -> list[str]:
        """Return the lanes whose intervals decide when to stop: not the baseline, its own second lanes, or what moves no payload."""
        return [
            v.name
            for v in self.contenders()
            if v.name != self.context.study.baseline and not v.aa and v != self.extra and mechanism_of(v).moves_payload
        ]

    def _take_in(self, generation: Generation) -> None:
        baseline = self.context.study.baseline
        for name in self._headline_lanes():
            log = generation_log_ratio(self.headline, name, baseline, generation, baseline)
            if log is not None:
                self.logs.setdefault(name, []).append(log)

    def ratios(self) -> dict[str, Interval]:
        """Return the headline ratios so far."""
        return {name: interval.map(math.exp) for name, logs in self.logs.items() if (interval := generations_interval(logs)) is not None}

    def progress(self) -> Progress:
        """Say how far this point is."""
        shown = tuple(
            (name, (s := saving(ratio)).low, s.estimate, s.high, half_width_percent(ratio)) for name, ratio in self.ratios().items()
        )
        return Progress(
            "measuring",
            f"windows of {1000 * self.window_s:.0f} ms",
            min(1.0, self.spent_s / self.stop.max_time_s),
            point=self.context.index,
            points=self.points,
            generations=self.generation,
            at_least=self.stop.min_generations,
            target_percent=100 * self.stop.target,
            intervals=shown,
            left_s=max(0.0, self.stop.max_time_s - self.spent_s),
        )
