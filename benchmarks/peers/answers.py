"""Kept series of both programs for the same question: how wide is the interval of sendfile's cost over a copy's after so many seconds?"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from series import Kept, both_ends, half_width

from zcload.analysis.stats import generations_interval
from zcload.analysis.summary import summarise
from zcload.analysis.tally import window_tally
from zcload.store.reader import each_record

FEWEST = 3  # replicates or pairs that an interval is shown of
COPY, SENDFILE = "read_send", "sendfile"


@dataclass(frozen=True)
class Step:
    """After *seconds* on the clock the ratio is known to *half* points of the copy's cost."""

    seconds: float
    half: float


@dataclass(frozen=True)
class Pair:
    """A run of `iperf3 -Z` and one of `iperf3 -F`: the *log* of their costs' ratio, what both took (s), and the *turn* they belong to."""

    log: float
    seconds: float
    turn: int = 0


@dataclass(frozen=True)
class Series:
    """One uninterrupted series of a program: the logs of the ratios of its replicates (or pairs), and the interval step by step.

    *shares* say what its seconds went to. *roles* names for each replicate the CPU that sent.
    """

    seconds: float
    ratio: float
    steps: tuple[Step, ...]
    logs: tuple[float, ...]
    roles: tuple[str, ...]
    shares: dict[str, float]

    @property
    def spread(self) -> float:
        """The standard deviation of a replicate's log."""
        return statistics.stdev(self.logs)

    @property
    def spread_by_role(self) -> float:
        """The same with the difference between CPU roles removed."""
        means = {
            role: statistics.fmean(log for log, of in zip(self.logs, self.roles, strict=True) if of == role) for role in set(self.roles)
        }
        squares = sum((log - means[role]) ** 2 for log, role in zip(self.logs, self.roles, strict=True))
        return math.sqrt(squares / (len(self.logs) - len(means))) if len(self.logs) > len(means) else math.nan


def pairs_in(path: Path) -> list[Pair]:
    """Return the pairs kept at *path*, a line of JSON for each."""
    return [Pair(*json.loads(line)) for line in path.read_text().splitlines()]


def loops(pairs: Sequence[Pair]) -> Iterator[Series]:
    """Return a series for each turn of the loop around iperf3 that has enough pairs for an interval."""
    turns: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        turns[pair.turn].append(pair)
    for found in turns.values():
        if len(found) >= 2:
            yield loop(found)


def loop(pairs: Sequence[Pair]) -> Series:
    """Return what *pairs*, one after another, say."""
    logs = [pair.log for pair in pairs]
    steps, seconds = [], 0.0
    for count, pair in enumerate(pairs, 1):
        seconds += pair.seconds
        if count >= FEWEST or count == len(pairs):
            steps.append(Step(seconds, points(logs[:count])[1]))
    return Series(seconds, points(logs)[0], tuple(steps), tuple(logs), ("",) * len(logs), {})


def points(logs: Sequence[float]) -> tuple[float, float]:
    """Return the ratio of *logs* and the half-width of its interval, in points."""
    interval = generations_interval(logs)
    if interval is None:
        sys.exit(f"{len(logs)} pairs have no interval; more --rounds")
    ratio = interval.map(math.exp)
    return ratio.estimate, 50 * (ratio.high - ratio.low)


def run(kept: Kept) -> Series:
    """Return what a kept run of zcload says: its intervals are those that its report would have had if it had ended earlier."""
    path = kept.result / "windows.jsonl"
    records = list(each_record(path))
    windows = [record for record in records if record["kind"] == "window"]
    measured = [record for record in windows if record["purpose"] == "measure"]
    first, last = min(each["open_ns"] for each in windows), max(each["rest_ns"] for each in windows)
    around = kept.seconds - (last - first) / 1e9  # set-up before the first window and evaluation after the last
    costs: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    ends: dict[int, int] = defaultdict(int)
    spans: dict[str, float] = defaultdict(float)
    for window in windows:
        aside = "other windows" if window["purpose"] != "measure" else window["lane"] if window["lane"] in (COPY, SENDFILE) else "A/A"
        spans[aside] += (window["rest_ns"] - window["open_ns"]) / 1e9
    for window in measured:
        tally, generation = window_tally(window, None), window["generation"]
        cost = costs[generation][window["lane"]]
        cost[0] += tally["total_cpu_s"]
        cost[1] += tally["gb"]
        ends[generation] = max(ends[generation], window["rest_ns"])
    order = sorted(costs)
    logs = [math.log(_ratio(costs[generation])) for generation in order]
    cpus = {record["generation"]: str(record["cpus"][0]) for record in records if record["kind"] == "generation"}
    steps = []
    for count in range(FEWEST, len(order) + 1):
        kept_records = [record for record in records if record.get("generation", -1) < order[count - 1] + 1]
        comparison = both_ends(summarise(kept_records)["points"][0], SENDFILE)
        steps.append(Step(around + (ends[order[count - 1]] - first) / 1e9, half_width(comparison)))
    estimate = both_ends(summarise(records)["points"][0], SENDFILE)["ratio"]["estimate"]
    spans["set-up and evaluation of the run"] = around
    spans["set-up of replicates, and rest between windows"] = kept.seconds - sum(spans.values())
    return Series(
        kept.seconds,
        math.nan if estimate is None else estimate,
        tuple(steps),
        tuple(logs),
        tuple(cpus[generation] for generation in order),
        {name: seconds / kept.seconds for name, seconds in spans.items()},
    )


def _ratio(cost: dict[str, list[float]]) -> float:
    (above, above_gb), (below, below_gb) = cost[SENDFILE], cost[COPY]
    return (above / above_gb) / (below / below_gb)


def half_at(series: Series, seconds: float) -> tuple[float, bool]:
    """Return the half-width of *series* after *seconds*, and whether it is extrapolated from its end, with the root of the time."""
    done = [step for step in series.steps if step.seconds <= seconds]
    last = series.steps[-1]
    if done and seconds <= last.seconds:
        return done[-1].half, False
    near = last if seconds > last.seconds else series.steps[0]
    return near.half * math.sqrt(near.seconds / seconds), True


def needed(series: Series, target: float) -> float:
    """Return how long *series* must be for a half-width of *target*, by its length and the square of its last half-width."""
    return series.seconds * (series.steps[-1].half / target) ** 2
