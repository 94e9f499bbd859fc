"""The state of a point: what was measured so far, kept across the processes that measure it, and when it is enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from zcload.analysis.comparisons import saving
from zcload.analysis.estimates import generation_log_ratio
from zcload.analysis.stats import Interval, generations_interval, half_width_percent, narrow_enough
from zcload.analysis.tally import Generation, IdleUse
from zcload.lane.contract import Identity
from zcload.mechanisms import mechanism_of
from zcload.model.metrics import METRICS, headline
from zcload.model.progress import Progress
from zcload.model.study import Contender, Study
from zcload.runner.block import Tolerance

if TYPE_CHECKING:
    from zcload.model.records.lines import Calibrated

FAILED = "failed: "  # how the reason of a point that failed begins
TARGET_REACHED, TIME_LIMIT = "target reached", "time limit"  # why a point stopped that was measured to its end
TELLING_CLUSTERS = 8  # of fewer an interval's width says little
CLEARLY = 1.5  # times its time limit: a point that needs less may still meet its target by luck


@dataclass(slots=True)
class PointState:
    """A point of *study* by its *index*: what was calibrated, measured and decided. Holds no descriptor and no process.

    The headline's log-ratios in *logs* are one for each cluster: for each replicate where the run has several, else for each
    generation. *out* holds the variants that no longer take part, with the reason. Times are in seconds.
    """

    study: Study
    index: int
    headline: str
    interrupts_apart: bool = False
    out: dict[str, str] = field(default_factory=dict)
    cautioned: set[str] = field(default_factory=set)  # codes that have been recorded for this point
    strangers: dict[str, int] = field(default_factory=dict)  # connections of others that were refused so far, by lane
    identities: dict[str, Identity] = field(default_factory=dict)  # of the file that servers which ran before serve, by variant
    half_measured: list[int] = field(default_factory=list)  # a draw of CPU roles that was measured one way round only, if any
    digest: str | None = None  # SHA-256 of the file that was sent so far
    prepared: bool = False
    chosen: Calibrated | None = None  # the record of calibration, of this run or of an interrupted one
    extra: Contender | None = None  # the baseline at its best chunk
    window_s: float = 0.0
    warm_up_s: float | None = None  # None: as long as the windows that count
    longest_s: float = math.inf  # a window may last no longer
    block_s: float = 0.0  # how long a block takes
    idle: IdleUse = field(default_factory=IdleUse)
    generation: int = 0  # how many have been begun
    clusters: int = 0  # how many have been taken in
    spent_s: float = 0.0
    set_up_s: float = 0.0  # what the last replicate took beside measuring, this point's share of it
    stopped: str | None = None  # why the point is measured no more
    failed: str | None = None  # what failed, if that is why
    extended: bool = False  # measured further after its end: then until the time limit, also within the target
    tolerance: Tolerance = field(init=False)
    logs: dict[str, list[float]] = field(default_factory=dict)
    _widths: list[float] = field(default_factory=list)  # the widest headline half-width after each cluster, from the least number on

    def __post_init__(self) -> None:
        self.tolerance = Tolerance(self.interrupts_apart)

    def update(self, other: PointState) -> None:
        """Take over everything that *other*, the same point in another process, knows."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    @property
    def going(self) -> bool:
        """Whether the point is to be measured further."""
        return self.stopped is None

    def contenders(self) -> list[Contender]:
        """Return the variants that still take part, the best-chunk lane among them."""
        return [v for v in (*self.study.contenders(self.study.points[self.index]), self.extra) if v is not None and v.name not in self.out]

    def headline_lanes(self) -> list[str]:
        """Return the lanes whose intervals decide when to stop: not the baseline, its own second lanes, or what moves no payload."""
        return [
            v.name
            for v in self.contenders()
            if v.name != self.study.baseline and not v.aa and v != self.extra and mechanism_of(v).moves_payload
        ]

    def take_in(self, clusters: Sequence[Generation], least: int) -> None:
        """Take in the log-ratios of *clusters*; the stopping rule looks at the intervals from cluster number *least* on."""
        baseline, metric = self.study.baseline, METRICS[self.headline]
        for cluster in clusters:
            for name in self.headline_lanes():
                log = generation_log_ratio(metric, name, baseline, cluster, baseline)
                if log is not None:
                    self.logs.setdefault(name, []).append(log)
            self.clusters += 1
            # An earlier look is narrow by luck more often.
            if self.clusters >= least and self.generation >= self.study.stop.min_generations:
                self._widths.append(self.widest())

    def ratios(self) -> Mapping[str, Interval]:
        """Return the headline ratios so far."""
        return {name: interval.map(math.exp) for name, logs in self.logs.items() if (interval := generations_interval(logs)) is not None}

    def widest(self) -> float:
        """Return the widest half-width of the headline's ratios so far, in percent; infinite while one has no interval."""
        ratios = self.ratios()
        return max((half_width_percent(ratios[name]) if name in ratios else math.inf for name in self.headline_lanes()), default=math.inf)

    def reason_to_stop(self) -> str | None:
        """Return why the point may stop: its intervals are narrow enough, or one more cluster would exceed its time; None if it may not."""
        next_s = self.spent_s / max(self.clusters, 1)
        target = 100 * self.study.stop.target
        if not self.headline_lanes() and (self.out or self._figures_have_intervals()):
            return "nothing to compare"
        if narrow_enough(self._widths, target) and not self.extended:
            return TARGET_REACHED
        if self.clusters > 2 and self.spent_s + next_s > self.study.stop.max_time_s:  # fewer have hardly a spread to judge by
            return TARGET_REACHED if narrow_enough(self._widths, target, looks=1) else TIME_LIMIT
        return None

    def needed_s(self) -> float | None:
        """Return how long the point would have to be measured to meet its target (seconds), if its time is clearly too short for that.

        An interval narrows with the root of the number of clusters. None while there are too few clusters to estimate it, or if the target
        is within reach.
        """
        if self.clusters < TELLING_CLUSTERS or self.extended:
            return None
        needed_s = self.spent_s * (self.widest() / (100 * self.study.stop.target)) ** 2
        return needed_s if CLEARLY * self.study.stop.max_time_s < needed_s < math.inf else None

    def _figures_have_intervals(self) -> bool:
        """Whether as much was measured as a study asks for at least: what a study of a single variant shows is its figures."""
        stop = self.study.stop
        return self.generation >= stop.min_generations and self.clusters >= max(2, stop.replicates)

    def progress(self, points: int) -> Progress:
        """Say how far this point, one of *points*, is."""
        shown = tuple(
            (name, (s := saving(ratio)).low, s.estimate, s.high, half_width_percent(ratio)) for name, ratio in self.ratios().items()
        )
        stop = self.study.stop
        return Progress(
            "measuring",
            f"windows of {1000 * self.window_s:.0f} ms",
            min(1.0, self.spent_s / stop.max_time_s),
            point=self.index,
            points=points,
            generations=self.generation,
            at_least=stop.min_generations,
            target_percent=100 * stop.target,
            intervals=shown,
            left_s=max(0.0, stop.max_time_s - self.spent_s),
            needed_s=self.needed_s(),
        )


def initial_states(
    study: Study, environment: Mapping[str, Any], out: Sequence[Mapping[str, Any]], devices: bool = False
) -> list[PointState]:
    """Return the states of the points of *study* before anything is done; *out* has the variants that cannot run here, by point.

    *devices* says whether the payload goes from one machine to another.
    """
    irq_time = environment.get("irq_time_accounting")
    key = headline(irq_time, study.schedule, study.serves, study.relays, devices)
    reasons = [{name: str(why) for name, why in each.items()} for each in out]
    return [PointState(study, index, key, irq_time == "yes", reasons[index]) for index in range(len(study.points))]
