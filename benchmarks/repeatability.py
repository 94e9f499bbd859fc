"""Does a run's interval hold what the next runs say?

    python benchmarks/repeatability.py --into series --runs 10
    python benchmarks/repeatability.py --into series --runs 10 --hog cpu
    python benchmarks/repeatability.py --into series --runs 0

Each run is a `zcload run` in its own process (read_send, sendfile and read_send again as A/A, 256 KiB, 1 sender). Its result stays in a
folder, so a series can be spread over hours. Prints how many intervals of both ends' CPU hold the median of the runs on the quiet machine,
how wide they are, and how far the runs lie apart. Everything is computed anew from the stored windows. `--runs 0` only prints.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from series import AA, HOGS, Kept, both_ends, half_width, holds, keep, kept, study

from zcload.model.records.summary import ComparisonRecord


@dataclass(frozen=True, slots=True)
class Run:
    """What a kept run says of both ends' CPU: sendfile against read_send, and read_send against itself."""

    kept: Kept
    sendfile: ComparisonRecord
    aa: ComparisonRecord

    @property
    def ratio(self) -> float:
        """Return the ratio's estimate; NaN where there is none."""
        estimate = self.sendfile["ratio"]["estimate"]
        return math.nan if estimate is None else estimate


def read(run: Kept) -> Run:
    """Compute the figures of a kept *run* anew."""
    point = run.point()
    return Run(run, both_ends(point, "sendfile"), both_ends(point, AA))


def table(runs: list[Run], median: float) -> str:
    """Return what the *runs* beside one hog show, held against the *median* of the quiet ones."""
    judged = [run for run in runs if run.sendfile["verdict"] != "inconclusive"]
    wrong = sum(not holds(run.sendfile, median) for run in judged)
    estimates, halves = [run.ratio for run in runs], [half_width(run.sendfile) for run in runs]
    began = [run.kept.started for run in runs]
    lines = [
        f"beside {runs[0].kept.hog}: {len(runs)} runs within {(max(began) - min(began)) / 3600:.1f} hours, "
        f"{statistics.median(run.kept.seconds for run in runs):.0f} s each",
        f"  both ends' CPU, sendfile to read_send: {min(estimates):.3f} to {max(estimates):.3f}, median {statistics.median(estimates):.3f}",
        f"  intervals that hold {median:.3f}: {sum(holds(run.sendfile, median) for run in runs)} of {len(runs)}; "
        f"with a verdict and beside it: {wrong} of {len(judged)}",
        f"  half-width: median {statistics.median(halves):.2f} points, {min(halves):.2f} to {max(halves):.2f}; "
        f"at most 2: {sum(half <= 2 for half in halves)} of {len(runs)}",
        f"  A/A: {sum(holds(run.aa, 1.0) for run in runs)} intervals hold 1; "
        f"{sum(run.aa['verdict'] in ('saves', 'costs', 'differs') for run in runs)} verdicts of a difference",
    ]
    if len(runs) > 1:
        lines[1] += f", spread {statistics.stdev(map(math.log, estimates)):.4f} (sd of logs)"
    return "\n".join(lines)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="keep the results here, and judge all that are here")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--gap", type=float, default=0.0, metavar="SECONDS", help="between runs")
    parser.add_argument("--hog", choices=HOGS, default="none", help="work beside every run")
    parser.add_argument("more", nargs="*", help="more options of zcload run, after --")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    for number in range(options.runs):
        if number:
            time.sleep(options.gap)
        run = read(keep(study("repeatability", "sendfile", seconds=options.seconds), options.into, options.hog, options.more))
        print(f"{number + 1}/{options.runs}: {run.sendfile['ratio']} {run.sendfile['verdict']}", file=sys.stderr, flush=True)
    runs = [read(run) for run in kept(options.into)]
    quiet = [run.ratio for run in runs if run.kept.hog == "none"] or [run.ratio for run in runs]
    for hog in HOGS:
        if those := [run for run in runs if run.kept.hog == hog]:
            print(table(those, statistics.median(quiet)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
