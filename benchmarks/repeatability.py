"""Does a run's interval hold what the next runs say?

    python benchmarks/repeatability.py --into series --runs 10
    python benchmarks/repeatability.py --into series --runs 10 --hog cpu
    python benchmarks/repeatability.py --into series --runs 0

Each run is a `zcload run` of its own (read_send, sendfile and read_send again as A/A, 256 KiB, 1 sender), whose result stays in a folder;
so a series can be spread over hours. Prints how many intervals of both ends' CPU hold the median of the runs on the quiet machine, how wide
they are, and how far the runs lie apart. All of it is computed anew from the windows. `--runs 0` only prints.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from planted import HOGS, beside

from zcload.analysis.summary import summarise
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.store.reader import each_record

CONFIG = """
[study]
name = "repeatability"
baseline = "read_send"
variants = ["read_send", "sendfile"]
aa = true
best_chunk = false
[stop]
target = "0.1%"
max_time = "{seconds:g}s"
"""
LABEL = "repeatability.json"  # beside each result: what ran beside it


@dataclass(frozen=True, slots=True)
class Run:
    """What one run said of both ends' CPU: sendfile's ratio to read_send with interval and verdict, the same of A/A."""

    hog: str
    started: float
    seconds: float
    ratio: tuple[float, float, float]
    verdict: str
    aa: tuple[float, float, float]
    aa_verdict: str

    @property
    def half_width(self) -> float:
        """In percentage points of the baseline's cost."""
        return 50 * (self.ratio[2] - self.ratio[1])


def measure(into: Path, seconds: float, hog: str, more: list[str]) -> Path:
    """Run the study once with the *hog* beside it; return the folder of its result. Exits with the run's message when it fails."""
    result = into / f"{time.time():.0f}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "repeatability.toml"
        config.write_text(CONFIG.format(seconds=seconds))
        command = [
            sys.executable,
            "-m",
            "zcload",
            "run",
            str(config),
            "--no-progress",
            "--no-html",
            "--no-wait",
            "--out",
            str(result),
            *more,
        ]
        began = time.time()
        with beside(hog):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    (result / LABEL).write_text(json.dumps({"hog": hog, "started": began, "seconds": time.time() - began}))
    return result


def read(result: Path) -> Run:
    """Compute the figures of a stored *result* anew."""
    label = json.loads((result / LABEL).read_text())
    point = summarise(each_record(result / "windows.jsonl"))["points"][0]
    said: dict[bool, tuple[tuple[float, float, float], str]] = {}
    for comparison in point["comparisons"]:
        ratio = comparison["ratio"]
        if comparison["metric"] == TOTAL_CPU_S_PER_GB and ratio["estimate"] is not None:
            said[comparison["aa"]] = (ratio["estimate"], ratio["low"], ratio["high"]), comparison["verdict"] or ""
    return Run(label["hog"], label["started"], label["seconds"], *said[False], *said[True])


def table(runs: list[Run], median: float) -> str:
    """Return what the *runs* beside one hog show, held against the *median* of the quiet ones."""
    held = sum(run.ratio[1] <= median <= run.ratio[2] for run in runs)
    judged = [run for run in runs if run.verdict != "inconclusive"]
    wrong = sum(not run.ratio[1] <= median <= run.ratio[2] for run in judged)
    estimates, halves = [run.ratio[0] for run in runs], [run.half_width for run in runs]
    hours = (max(run.started for run in runs) - min(run.started for run in runs)) / 3600
    lines = [
        f"beside {runs[0].hog}: {len(runs)} runs within {hours:.1f} hours, {statistics.median(run.seconds for run in runs):.0f} s each",
        f"  both ends' CPU, sendfile to read_send: {min(estimates):.3f} to {max(estimates):.3f}, median {statistics.median(estimates):.3f}",
        f"  intervals that hold {median:.3f}: {held} of {len(runs)}; with a verdict and beside it: {wrong} of {len(judged)}",
        f"  half-width: median {statistics.median(halves):.2f} points, {min(halves):.2f} to {max(halves):.2f}; "
        f"at most 2: {sum(half <= 2 for half in halves)} of {len(runs)}",
        f"  A/A: {sum(run.aa[1] <= 1 <= run.aa[2] for run in runs)} intervals hold 1; "
        f"{sum(run.aa_verdict in ('saves', 'costs', 'differs') for run in runs)} verdicts of a difference",
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
        run = read(measure(options.into, options.seconds, options.hog, options.more))
        print(f"{number + 1}/{options.runs}: {run}", file=sys.stderr, flush=True)
    runs = [read(label.parent) for label in sorted(options.into.glob(f"*/{LABEL}"))]
    quiet = [run.ratio[0] for run in runs if run.hog == "none"] or [run.ratio[0] for run in runs]
    for hog in HOGS:
        if those := [run for run in runs if run.hog == hog]:
            print(table(those, statistics.median(quiet)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
