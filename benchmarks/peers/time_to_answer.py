"""How long until the ratio of sendfile to a copy is known to 2 points: with zcload, and with a loop around iperf3 and the same statistics?

    python benchmarks/peers/time_to_answer.py --into series --turns 2
    python benchmarks/peers/time_to_answer.py --into series --turns 0

The loop runs `iperf3 -Z` and `iperf3 -F FILE` in turn, in random order, for --seconds each; a pair is its replicate. A turn is a
`zcload run` and such a loop, one after the other in random order, so both meet the same noise; the loop has a fresh file in each turn.
Both go through the same interval code. A half-width is in points of the copy's cost, of both ends' CPU. Seconds are what passed on the
clock, set-ups included. Of a run of zcload the intervals on the way are those that its report would have had if it had ended there.
Beyond the end of a series the half-width is extrapolated with the root of the time, and marked so. --into keeps everything, so that a
series can be spread over several calls; pairs of other run lengths, chunks and files are kept apart.
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
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from answers import Series, half_at, loops, needed, pairs_in
from answers import loop as loop_series
from answers import run as series_of
from programs import Iperf3, Load, run
from side_by_side import made_file

sys.path.insert(0, str(Path(__file__).parents[1]))
from series import keep, kept, study

from zcload.linux import interrupt
from zcload.model.units import format_size, parse_size

LOOP = "loop around iperf3"
ZCLOAD = "zcload"  # the folder with its runs, one below for each chunk


def loop(options: argparse.Namespace, program: Iperf3, rng: random.Random, turn: int) -> None:
    """Run pairs for `--loop` seconds, and keep of each the log-ratio, what it took (seconds) and its *turn*."""
    began, fd = time.monotonic(), made_file(options.file_size, "auto")
    path, longest = f"/proc/{os.getpid()}/fd/{fd}", 0.0
    set_up = time.monotonic() - began
    try:
        with file_of(options).open("a") as file:
            while time.monotonic() - began + longest <= options.loop or not longest:
                interrupt.check()
                start, cost = time.monotonic() - set_up, dict[str, float]()
                set_up = 0.0  # it counts as part of the first pair
                for mode in rng.sample(("-Z", "-F FILE"), 2):
                    one = run(program, _load(mode, options, path))
                    cost[mode] = one.sender + one.receiver
                took = time.monotonic() - start
                longest = max(longest, took)
                file.write(json.dumps([math.log(cost["-Z"] / cost["-F FILE"]), took, turn]) + "\n")
                file.flush()
    finally:
        os.close(fd)


def measure(options: argparse.Namespace) -> None:
    """Do all turns."""
    rng, program = random.Random(options.seed), Iperf3(options.iperf3)
    if wrong := program.check(_load("-Z", options, "FILE")):
        sys.exit(wrong)
    config = study("time-to-answer", "sendfile", seconds=options.loop) + f'[workload]\nchunk = "{format_size(options.chunk)}"\n'
    runs = runs_of(options)
    runs.mkdir(parents=True, exist_ok=True)
    first = max((pair.turn for pair in pairs_in(file_of(options))), default=-1) + 1 if file_of(options).exists() else 0
    for turn in range(first, first + options.turns):
        for which in rng.sample(("zcload", "iperf3"), 2):
            if which == "zcload":
                keep(config, runs, "none", options.more)
            else:
                loop(options, program, rng, turn)
        print(f"turn {turn - first + 1} of {options.turns}", file=sys.stderr, flush=True)


def _load(mode: str, options: argparse.Namespace, path: str) -> Load:
    return Load(mode, options.chunk, 1, options.seconds, 1 << 20, path, options.file_size)


def file_of(options: argparse.Namespace) -> Path:
    """Return where the pairs of this chunk, run length and file size are kept."""
    sizes = "-".join(map(format_size, (options.chunk, options.file_size)))
    return Path(options.into) / f"iperf3-{sizes}-{options.seconds}s.jsonl"


def runs_of(options: argparse.Namespace) -> Path:
    """Return where the runs of zcload of this chunk are kept."""
    return Path(options.into) / ZCLOAD / format_size(options.chunk)


def table(programs: dict[str, Sequence[Series]], seconds: Sequence[float], margin: float) -> None:
    """Print the half-width of each program after so many *seconds*, the median of its series, and the saving that shows then."""
    print(f"| after | {' | '.join(f'{name}, points' for name in programs)} |")
    print(f"|---|{'---|' * len(programs)}")
    smallest: dict[str, list[str]] = defaultdict(list)
    for limit in seconds:
        cells = []
        for name, found in programs.items():
            halves = [half_at(series, limit) for series in found]
            half, extrapolated = statistics.median(half for half, _ in halves), any(beyond for _, beyond in halves)
            cells.append(f"{half:.1f}{' (extrapolated)' if extrapolated else ''}")
            smallest[name].append(f"{margin + half:.1f} % in {limit:g} s")
        print(f"| {limit:g} s | {' | '.join(cells)} |")
    for name, savings in smallest.items():
        print(f"{name}: the smallest saving that shows beyond a margin of {margin:g} %: {', '.join(savings)}")


def described(name: str, found: Sequence[Series], target: float) -> None:
    """Print what the series of a program have found, and why their intervals are as wide as they are."""
    replicates = sum(len(series.logs) for series in found)
    seconds = sum(series.seconds for series in found)
    spread = math.sqrt(statistics.fmean(series.spread**2 for series in found))
    print(f"{name}: {len(found)} series, ratio {', '.join(f'{series.ratio:.3f}' for series in found)}")
    print(f"  half-widths {', '.join(f'{series.steps[-1].half:.1f} points after {series.seconds:.0f} s' for series in found)}")
    print(f"  +-{target:g} points would take {statistics.median(needed(series, target) for series in found):.0f} s (median, extrapolated)")
    print(f"  a replicate takes {seconds / replicates:.1f} s; its ratio varies by {100 * spread:.1f} % (standard deviation)", end="")
    by_role = [series.spread_by_role for series in found if len(set(series.roles)) > 1]
    print(f", {100 * math.sqrt(statistics.fmean(s**2 for s in by_role)):.1f} % with the same CPU sending" if by_role else "")
    for share in found[0].shares:
        print(f"  {share}: {100 * statistics.fmean(series.shares[share] for series in found):.0f} % of the time")


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="keep the series here")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument(
        "--loop", type=float, default=20.0, metavar="SECONDS", help="how long the loop runs, and zcload measures, in a turn"
    )
    parser.add_argument("--seconds", type=int, default=1, help="how long one run of iperf3 sends")
    parser.add_argument("--chunk", type=parse_size, default=256 << 10, metavar="SIZE")
    parser.add_argument("--file-size", type=parse_size, default=4 << 30, metavar="SIZE", help="iperf3 -F ends with the file")
    parser.add_argument("--target", type=float, default=2.0, metavar="POINTS")
    parser.add_argument("--at", type=float, nargs="+", default=[10.0, 15.0, 20.0, 25.0, 60.0], metavar="SECONDS", help="times to show")
    parser.add_argument("--margin", type=float, default=3.0, metavar="PERCENT", help="a smaller saving counts as none")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write what the series say as JSON; interval_chart.py draws it")
    parser.add_argument("--iperf3", default="iperf3", metavar="PROGRAM")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("more", nargs="*", help="more options of zcload run, after --")
    options = parser.parse_args()
    interrupt.install()
    options.into.mkdir(parents=True, exist_ok=True)
    if options.turns:
        measure(options)
    programs: dict[str, Sequence[Series]] = {}
    if file_of(options).exists():
        programs[LOOP] = [*loops(pairs_in(file_of(options)))]
    programs["zcload"] = [series_of(each) for each in kept(runs_of(options)) if each.hog == "none"]
    programs = {name: found for name, found in programs.items() if found}
    if not programs:
        sys.exit(f"{options.into} has no series of chunk {format_size(options.chunk)}; measure some: --turns 2")
    for name, found in programs.items():
        described(name, found, options.target)
        if name == LOOP and len(found) > 1:
            together = loop_series(pairs_in(file_of(options)))
            print(
                f"  all {len(together.logs)} pairs together: ratio {together.ratio:.3f}, half-width {together.steps[-1].half:.1f} points",
                end="",
            )
            print(
                f" after {together.seconds:.0f} s; +-{options.target:g} would take {needed(together, options.target):.0f} s (extrapolated)"
            )
    table(programs, options.at, options.margin)
    if options.save:
        saved = {name: [asdict(series) for series in found] for name, found in programs.items()}
        options.save.write_text(json.dumps({"target": options.target, "programs": saved}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
