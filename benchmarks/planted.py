"""Does zcload find an extra cost that is known, beside a quiet machine and beside one that works?

    python benchmarks/planted.py --into planted --runs 8 --seconds 20
    python benchmarks/planted.py --into planted --runs 8 --seconds 60 --extra 2 --margin 1 --hog cpu memory
    python benchmarks/planted.py --into planted --runs 0

`read_send` that burns a known amount on top of each call runs against plain `read_send`, with an A/A lane. The true extra cost of a run is
what is burnt per call, as a share of what the plain lane's calls cost both ends in that run. Prints how often the verdict was "costs", how
often the interval held the true ratio, and how often the A/A lane got a verdict; rates with their 95 % interval. The results stay in a
folder, so a series can be spread over hours; everything is computed anew from the stored windows. `--runs 0` only prints. `sendfile` runs
beside them, so `repeatability.py --into planted --runs 0` judges the same runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from planted_mechanism import BURNS_NS
from series import AA, HOGS, Kept, both_ends, half_width, holds, keep, kept, proportion, study

from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import ComparisonRecord, PointSummary


@dataclass(frozen=True, slots=True)
class Run:
    """What a kept run says: the planted lane against the plain one, the plain one against itself, and the ratio that is true."""

    planted: ComparisonRecord
    aa: ComparisonRecord
    true_ratio: float


Cell = tuple[float, float, float, str]  # seconds, margin and extra in percent, hog


def call_cost_ns(point: PointSummary) -> float:
    """Return what a call of the plain lane costs both ends, in ns."""
    plain = next(v for v in point["variants"] if v["name"] == "read_send")["metrics"]
    cost, calls = plain[TOTAL_CPU_S_PER_GB]["estimate"], plain["sender_syscalls_per_gb"]["estimate"]
    if not cost or not calls:
        sys.exit("a run is too short to tell what a call costs")
    return 1e9 * cost / (calls / 2)  # two system calls, read and send


def read(run: Kept) -> Run:
    """Compute the figures of a kept *run* anew."""
    point = run.point()
    return Run(both_ends(point, "planted"), both_ends(point, AA), 1 + run.facts["burnt_ns"] / call_cost_ns(point))


def measure(options: argparse.Namespace) -> None:
    """Run every cell in turn, as often as asked."""
    known = [call_cost_ns(run.point()) for run in kept(options.into)]
    with tempfile.TemporaryDirectory() as folder:
        # A replicate is a fresh interpreter: it imports the mechanism as it starts.
        (Path(folder) / "sitecustomize.py").write_text("import planted_mechanism\n")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
        if not known and options.runs:
            os.environ[BURNS_NS] = "0"
            first = keep(study("planted", "planted", "sendfile", seconds=5.0, margin=options.margin), Path(folder), "none", [])
            known = [call_cost_ns(first.point())]
        for number in range(options.runs):
            for hog in options.hog:
                for extra in options.extra:
                    burnt = round(statistics.median(known) * extra / 100)
                    os.environ[BURNS_NS] = str(burnt)
                    config = study("planted", "planted", "sendfile", seconds=options.seconds, margin=options.margin)
                    facts = {"burnt_ns": burnt, "extra": extra, "margin": options.margin, "limit_s": options.seconds}
                    keep(config, options.into, hog, [], **facts)
            print(f"round {number + 1} of {options.runs}", file=sys.stderr, flush=True)


def share(count: int, of: int) -> str:
    """Return *count* with the 95 % interval of its rate."""
    low, high = proportion(count, of)
    return f"{count} ({100 * low:.0f}..{100 * high:.0f} %)"


def row(cell: Cell, runs: list[Run]) -> str:
    """Return the line of a *cell*."""
    seconds, margin, extra, hog = cell
    verdicts = [run.planted["verdict"] for run in runs]
    held = sum(holds(run.planted, run.true_ratio) for run in runs)
    false = sum(run.aa["verdict"] in ("saves", "costs", "differs") for run in runs)
    counts = (share(verdicts.count("costs"), len(runs)), str(verdicts.count("saves")), share(held, len(runs)), share(false, len(runs)))
    width = statistics.median(half_width(run.planted) for run in runs)
    named = f"{seconds:6g} {margin:6g}% {extra:5g}% {hog:8} {len(runs):4}"
    return f"{named} {counts[0]:>18} {counts[1]:>6} {counts[2]:>18} {counts[3]:>18} {width:8.1f}"


def main() -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="keep the results here, and judge all that are here")
    parser.add_argument("--runs", type=int, default=8, help="of each cell; the cells take turns")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--extra", type=float, nargs="+", default=[2.0, 5.0, 10.0], metavar="PERCENT", help="of both ends' CPU")
    parser.add_argument("--margin", type=float, default=1.0, metavar="PERCENT")
    parser.add_argument("--hog", nargs="+", choices=HOGS, default=["none"])
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    measure(options)
    cells: dict[Cell, list[Run]] = defaultdict(list)
    for run in kept(options.into):
        cells[run.facts["limit_s"], run.facts["margin"], run.facts["extra"], run.hog].append(read(run))
    named = f"{'run, s':>6} {'margin':>7} {'extra':>6} {'beside':8} {'runs':>4}"
    print(f"{named} {'found':>18} {'wrong':>6} {'held':>18} {'A/A':>18} {'+- points':>9}")
    for cell in sorted(cells):
        print(row(cell, cells[cell]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
