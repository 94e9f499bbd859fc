"""How long until the ratio of sendfile to a copy is known to 2 points: with zcload, and with a loop around iperf3 and the same statistics?

    python benchmarks/peers/time_to_answer.py --into series --rounds 20
    python benchmarks/peers/time_to_answer.py --into series --rounds 0

The loop runs `iperf3 -Z` and `iperf3 -F FILE` in turn, in random order, for --seconds each; a pair is its replicate. zcload's replicates
are those of `zcload run` in a folder of benchmarks/repeatability.py (--zcload). Both go through the same interval code. A half-width is in
points of the copy's cost, of both ends' CPU. Where a series is longer or shorter than the target needs, the time is extrapolated with the
square of the half-width; it counts what passed on the clock, set-ups included. --into keeps the pairs, so that a series can be spread over
several calls.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from programs import Iperf3, Load, run
from side_by_side import made_file

sys.path.insert(0, str(Path(__file__).parents[1]))
from series import both_ends, half_width, kept

from zcload.analysis.stats import generations_interval
from zcload.linux import interrupt
from zcload.model.units import parse_size


def measure(options: argparse.Namespace) -> None:
    """Run all rounds and add a line for each to the file of this run length: the log-ratio, and what the pair took (seconds)."""
    rng, program, fd = random.Random(options.seed), Iperf3(options.iperf3), made_file(options.file_size, "auto")
    path = f"/proc/{os.getpid()}/fd/{fd}"
    if wrong := program.check(_load("-Z", options, path)):
        sys.exit(wrong)
    with file_of(options).open("a") as file:
        for _ in range(options.rounds):
            interrupt.check()
            began, cost = time.monotonic(), dict[str, float]()
            for mode in rng.sample(("-Z", "-F FILE"), 2):
                one = run(program, _load(mode, options, path))
                cost[mode] = one.sender + one.receiver
            file.write(json.dumps([math.log(cost["-Z"] / cost["-F FILE"]), time.monotonic() - began]) + "\n")
            file.flush()
    os.close(fd)


def _load(mode: str, options: argparse.Namespace, path: str) -> Load:
    return Load(mode, options.chunk, 1, options.seconds, 1 << 20, path, options.file_size)


def file_of(options: argparse.Namespace) -> Path:
    """Return where the pairs of runs of this length are kept."""
    return Path(options.into) / f"iperf3-{options.seconds}s.jsonl"


def points(logs: Sequence[float]) -> tuple[float, float]:
    """Return the ratio of *logs* and the half-width of its interval, in points."""
    interval = generations_interval(logs)
    if interval is None:
        sys.exit(f"{len(logs)} pairs have no interval; more --rounds")
    ratio = interval.map(math.exp)
    return ratio.estimate, 50 * (ratio.high - ratio.low)


def needed(seconds: float, half: float, target: float) -> float:
    """Return how long a series must be to reach *target*, if *seconds* gave the half-width *half*."""
    return seconds * (half / target) ** 2


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="keep the pairs of iperf3 here")
    parser.add_argument("--zcload", type=Path, metavar="FOLDER", help="kept runs of benchmarks/repeatability.py")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=1, help="how long one run of iperf3 sends")
    parser.add_argument("--chunk", type=parse_size, default=256 << 10, metavar="SIZE")
    parser.add_argument("--file-size", type=parse_size, default=4 << 30, metavar="SIZE", help="iperf3 -F ends with the file")
    parser.add_argument("--target", type=float, default=2.0, metavar="POINTS")
    parser.add_argument("--iperf3", default="iperf3", metavar="PROGRAM")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    interrupt.install()
    options.into.mkdir(parents=True, exist_ok=True)
    if options.rounds:
        measure(options)
    loops: list[float] = []
    for path in sorted(options.into.glob("iperf3-*.jsonl")):
        pairs = [json.loads(line) for line in path.read_text().splitlines()]
        ratio, half = points([log for log, _ in pairs])
        took = sum(seconds for _, seconds in pairs)
        loops.append(needed(took, half, options.target))
        print(f"{path.stem}: {len(pairs)} pairs in {took:.0f} s, ratio {ratio:.3f}, +-{half:.1f} points;", end=" ")
        print(f"+-{options.target:g} points would take {loops[-1]:.0f} s (extrapolated)")
    if options.zcload:
        runs = [(run.seconds, both_ends(run.point(), "sendfile")) for run in kept(options.zcload) if run.hog == "none"]
        if not runs:
            sys.exit(f"{options.zcload} has no run that was alone; make some: benchmarks/repeatability.py --into {options.zcload}")
        times = [needed(seconds, half_width(comparison), options.target) for seconds, comparison in runs]
        halves, took = [half_width(comparison) for _, comparison in runs], statistics.median(seconds for seconds, _ in runs)
        print(f"zcload: {len(runs)} runs of {took:.0f} s, +-{statistics.median(halves):.1f} points (median);", end=" ")
        print(f"+-{options.target:g} points would take {statistics.median(times):.0f} s (extrapolated)")
        if loops:
            print(f"the best loop takes {min(loops) / statistics.median(times):.1f} times as long")
    return 0


if __name__ == "__main__":
    sys.exit(main())
