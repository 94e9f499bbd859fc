"""How often would zcload find a planted extra cost? Simulated studies with the noise of real ones.

    python benchmarks/planted_simulation.py series --studies 5000

*series* is a folder of benchmarks/repeatability.py. Its A/A lanes show what chance alone does to a replicate on that machine: the log-ratio
of read_send to itself. A simulated study draws as many replicates as a real one of its length has, with replacement, adds the extra cost
to each, and gets its interval and verdict from the code that makes the report. Luck that lasts for a run is left out; the first line says
whether there is any. Nor is a burn in it that is not exact: benchmarks/planted.py measures real ones.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from series import kept, proportion

from zcload.analysis.estimates import generation_log_ratio
from zcload.analysis.point_data import Sorting
from zcload.analysis.stats import CONFIDENCE, decision_p, generations_interval
from zcload.model.metrics import METRICS, TOTAL_CPU_S_PER_GB
from zcload.model.records.lines import MEASUREMENT_KINDS
from zcload.store.reader import each_record

PLAIN, AGAIN = "read_send", "read_send#2"
RUN_S = 20  # what a kept run measured


@dataclass
class Cell:
    """What the simulated studies of one extra cost and length gave."""

    found: int = 0
    wrong: int = 0
    held: int = 0


def replicates(result: Path) -> list[float]:
    """Return the A/A log-ratio of both ends' CPU in each replicate of a stored *result*."""
    sorting = Sorting()
    for record in each_record(result / "windows.jsonl"):
        if record["kind"] in MEASUREMENT_KINDS:
            sorting.take(record)
    metric = METRICS[TOTAL_CPU_S_PER_GB]
    logs = [generation_log_ratio(metric, AGAIN, PLAIN, cluster, PLAIN) for cluster in sorting.finish(None).used()]
    return [log for log in logs if log is not None]


def study(noise: list[float], count: int, rng: random.Random) -> list[float]:
    """Return the log-ratios of *count* replicates of a simulated study of two equal lanes."""
    # Which of two equal lanes is the plain one is chance too, so no ratio is likelier than its inverse.
    return [rng.choice((1, -1)) * log for log in rng.choices(noise, k=count)]


def simulate(noise: list[float], count: int, extra: float, margin: float, studies: int, rng: random.Random) -> Cell:
    """Return how often *studies* of *count* replicates say of an *extra* cost (a fraction) that it costs or saves, and hold it."""
    cell, truth = Cell(), math.log1p(extra)
    for _ in range(studies):
        logs = [log + truth for log in study(noise, count, rng)]
        interval, p = generations_interval(logs), decision_p(logs, margin)
        assert interval is not None
        assert p is not None
        decided = p <= 1 - CONFIDENCE
        cell.found += decided and interval.low > math.log1p(margin)
        cell.wrong += decided and interval.high < math.log1p(-margin)
        cell.held += interval.low <= truth <= interval.high
    return cell


def main() -> int:
    """Simulate and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", type=Path, nargs="+", metavar="FOLDER", help="kept runs of benchmarks/repeatability.py")
    parser.add_argument("--studies", type=int, default=5000, help="of each cell")
    parser.add_argument("--extra", type=float, nargs="+", default=[0.0, 2.0, 5.0], metavar="PERCENT", help="of both ends' CPU")
    parser.add_argument("--margin", type=float, default=1.0, metavar="PERCENT")
    parser.add_argument("--seconds", type=int, nargs="+", default=[20, 60], help="multiples of 20")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    runs = [logs for folder in options.series for run in kept(folder) if run.hog == "none" and len(logs := replicates(run.result)) > 1]
    if not runs:
        sys.exit("no run of a quiet machine in " + ", ".join(map(str, options.series)))
    noise, usual = [log for run in runs for log in run], statistics.median(map(len, runs))
    within, between = statistics.fmean(map(statistics.variance, runs)), statistics.pvariance(list(map(statistics.fmean, runs)), 0.0)
    print(f"noise of {len(runs)} runs with {usual:g} replicates each")
    print(f"variance of a run's mean over that of independent replicates: {between / within * usual:.2f}")
    print(f"% of {options.studies} simulated studies, margin {options.margin:g} %")
    print(f"{'extra':>6} {'seconds':>8} {'costs':>8} {'saves':>8} {'held':>8}")
    rng = random.Random(options.seed)
    for extra in options.extra:
        for seconds in options.seconds:
            cell = simulate(noise, round(usual * seconds / RUN_S), extra / 100, options.margin / 100, options.studies, rng)
            shares = " ".join(f"{100 * count / options.studies:8.1f}" for count in (cell.found, cell.wrong, cell.held))
            print(f"{extra:5g}% {seconds:8} {shares}")
    low, high = proportion(round(0.95 * options.studies), options.studies)
    print(f"a share of 95 % has the interval {100 * low:.1f}..{100 * high:.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
