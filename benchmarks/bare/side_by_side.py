"""Does zcload measure what a bare C program needs? Windows of zcload's lanes in turn with runs of pair.c, same file, same set-up.

    make bench-bare
    python benchmarks/bare/side_by_side.py --mechanisms read_send sendfile --chunks 256KiB --rounds 12

Prints CPU seconds per GB and goodput of both, the ratio of zcload to C, and the saving that each finds. Intervals are over the rounds,
in pairs.
Both run one sender on CPU 0 and one receiver on CPU 1, over loopback with cubic. pair.c is compiled with `cc` when it has changed.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zcload.analysis.stats import Interval, mean_interval
from zcload.analysis.tally import window_tally
from zcload.host.machine import Machine
from zcload.lane.file_pages import arrange_pages
from zcload.lane.placement import Placement
from zcload.lane.set_up import set_up
from zcload.linux import interrupt
from zcload.model.study import Point, Variant
from zcload.model.units import format_size, parse_size
from zcload.runner.window import measure

HERE = Path(__file__).parent
MECHANISMS = ("read_send", "mmap_send", "sendfile", "splice")
SINKS = ("recv", "discard")
SENDER_CPU, RECEIVER_CPU = 0, 1
PLACEMENT = Placement((frozenset({SENDER_CPU}),), (frozenset({RECEIVER_CPU}),), frozenset({SENDER_CPU, RECEIVER_CPU}))
FIGURES = ("sender", "receiver", "total")


@dataclass(frozen=True)
class Cost:
    """What moving a GB took: CPU seconds of each end, how many bytes a receive brought, and how often the receiver slept.

    *goodput* is in Gbit/s.
    """

    sender: float
    receiver: float
    receive_bytes: float
    sleeps: float
    goodput: float

    @property
    def total(self) -> float:
        return self.sender + self.receiver


Results = dict[tuple[int, str], list[tuple[Cost, Cost]]]  # by chunk and mechanism: of each round, zcload's and C's


def compiled() -> Path:
    """Return the program made from pair.c, compiling it if it is older; exits with a message where that fails."""
    source, program = HERE / "pair.c", HERE / "pair"
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    name = os.environ.get("CC", "cc")
    compiler = shutil.which(name)
    if compiler is None:
        sys.exit(f"no C compiler: {name!r} is not on PATH; install one (Debian, Ubuntu: apt install gcc) or name it: CC=clang")
    done = subprocess.run([compiler, "-O2", "-Wall", "-o", program, source], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{compiler} could not compile {source}:\n{done.stderr}")
    return program


def bare(program: Path, fd: int, mechanism: str, chunk: int, window_s: float, windows: int, options: argparse.Namespace) -> Cost:
    """Run the C pair once and return what it took."""
    words = [program, f"/proc/self/fd/{fd}", mechanism, options.sink, chunk, options.receive_chunk, options.socket_buffer]
    words += [round(window_s * 1000), windows, options.buffer_offset, SENDER_CPU, RECEIVER_CPU, options.bare_work_ns]
    done = subprocess.run([str(word) for word in words], pass_fds=[fd], capture_output=True, text=True, check=True)
    sent, sender_ns, receiver_ns, receives, sleeps, open_ns = map(float, done.stdout.split())
    return Cost(sender_ns / sent, receiver_ns / sent, sent / receives, 1e9 * (sleeps + 1) / sent, 8 * sent / open_ns)


def zcload(fd: int, mechanism: str, chunk: int, window_s: float, windows: int, machine: Machine, options: argparse.Namespace) -> Cost:
    """Set up a lane, let it warm up for a window, measure *windows* more and return what they took."""
    size = os.fstat(fd).st_size
    point = Point(file_size=size, chunk=chunk, receive_chunk=options.receive_chunk, sink=options.sink, socket_buffer=options.socket_buffer)
    placed = {"buffer_offset": options.buffer_offset} if mechanism == "read_send" and options.buffer_offset else {}
    lane = set_up(
        Variant(mechanism, mechanism, options=placed).at(point),
        point,
        fd=fd,
        size=size,
        placement=PLACEMENT,
        congestion="cubic",
        verify=False,
    )
    try:
        lane.ready()
        measure(lane, window_s, machine)
        sleeps = -_sleeps(lane.workers.receivers[0].pid)
        records = [measure(lane, window_s, machine) for _ in range(windows)]
        sleeps += _sleeps(lane.workers.receivers[0].pid)
    finally:
        lane.tear_down()
    tallies = [window_tally(record, None) for record in records]
    keys = ("gb", "sender_cpu_s", "receiver_cpu_s", "receiver_syscalls", "elapsed_s")
    sums = {key: sum(tally[key] for tally in tallies) for key in keys}
    gb = sums["gb"]
    received = 1e9 * gb / sums["receiver_syscalls"]
    return Cost(sums["sender_cpu_s"] / gb, sums["receiver_cpu_s"] / gb, received, sleeps / gb, 8 * gb / sums["elapsed_s"])


def _sleeps(pid: int) -> int:
    """Return how often the process has slept: its voluntary context switches."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def run(options: argparse.Namespace) -> Results:
    """Measure all rounds, each with its cells and its instruments in random order."""
    program, machine, rng = compiled(), Machine(), random.Random(options.seed)
    cells = [(chunk, mechanism) for chunk in options.chunks for mechanism in options.mechanisms]
    results: Results = {cell: [] for cell in cells}
    windows = max(1, round(options.seconds / options.window))
    bare_windows = max(1, round(options.seconds / options.bare_window))
    fd = os.memfd_create("bare")
    try:
        arrange_pages(fd, options.file_size, options.file_pages)
        for at in range(0, options.file_size, 1 << 20):
            os.pwrite(fd, os.urandom(1 << 20), at)
        for number in range(options.rounds):
            for chunk, mechanism in rng.sample(cells, len(cells)):
                interrupt.check()
                measured: dict[str, Cost] = {}
                for instrument in rng.sample(["zcload", "C"], 2):
                    if instrument == "C":
                        measured["C"] = bare(program, fd, mechanism, chunk, options.bare_window, bare_windows, options)
                    else:
                        measured["zcload"] = zcload(fd, mechanism, chunk, options.window, windows, machine, options)
                results[chunk, mechanism].append((measured["zcload"], measured["C"]))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    finally:
        os.close(fd)
        machine.close()
    return results


def _mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def _shown(interval: Interval | None, digits: int = 3) -> str:
    if interval is None:
        return "one round"
    return f"{interval.estimate:.{digits}f} ({interval.low:.{digits}f}..{interval.high:.{digits}f})"


def table(results: Results, options: argparse.Namespace) -> Iterator[str]:
    """Return the lines of the report."""
    yield f"CPU s/GB, {options.sink}, windows of {options.window:g} s (C {options.bare_window:g} s), {options.rounds} rounds"
    yield f"{'chunk':>7} {'mechanism':10} {'end':9} {'C':>7} {'zcload':>7}  ratio, 95 % interval"
    for (chunk, mechanism), rounds in results.items():
        for figure in FIGURES:
            ours, theirs = ([float(getattr(pair[at], figure)) for pair in rounds] for at in (0, 1))
            ratio = mean_interval([math.log(a / b) for a, b in zip(ours, theirs, strict=True)])
            shown = _shown(ratio.map(math.exp) if ratio else None)
            yield f"{format_size(chunk):>7} {mechanism:10} {figure:9} {_mean(theirs):7.4f} {_mean(ours):7.4f}  {shown}"
        goodputs = [[pair[at].goodput for pair in rounds] for at in (0, 1)]
        ratio = mean_interval([math.log(a / b) for a, b in zip(*goodputs, strict=True)])
        ours, theirs = map(_mean, goodputs)
        yield f"{'':18} {'goodput':9} {theirs:7.2f} {ours:7.2f}  {_shown(ratio.map(math.exp) if ratio else None)}, Gbit/s"
        received = [_mean([pair[at].receive_bytes for pair in rounds]) for at in (1, 0)]
        slept = [_mean([pair[at].sleeps for pair in rounds]) for at in (1, 0)]
        yield f"{'':18} {'receive':9} {received[0] / 1024:6.0f}K {received[1] / 1024:6.0f}K  bytes"
        yield f"{'':18} {'slept':9} {slept[0]:7.0f} {slept[1]:7.0f}  times a GB"
    if "read_send" not in options.mechanisms or len(options.mechanisms) < 2:
        return
    yield "saving of both ends over read_send, %"
    for (chunk, mechanism), rounds in results.items():
        if mechanism == "read_send":
            continue
        base = results[chunk, "read_send"]
        savings = [[100 * (1 - a[at].total / b[at].total) for a, b in zip(rounds, base, strict=True)] for at in (1, 0)]
        apart = mean_interval([ours - theirs for theirs, ours in zip(*savings, strict=True)])
        theirs, ours = (sum(values) / len(values) for values in savings)
        yield f"{format_size(chunk):>7} {mechanism:10} {'':9} {theirs:7.1f} {ours:7.1f}  {_shown(apart, 1)} points apart"


def main() -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", nargs="+", type=parse_size, default=[64 << 10, 256 << 10, 1 << 20], metavar="SIZE")
    parser.add_argument("--mechanisms", nargs="+", choices=MECHANISMS, default=["read_send", "sendfile"])
    parser.add_argument("--sink", choices=SINKS, default="recv")
    parser.add_argument("--window", type=float, default=0.05, metavar="SECONDS", help="how long a window is open")
    parser.add_argument("--bare-window", type=float, metavar="SECONDS", help="the same for the C pair alone")
    parser.add_argument("--seconds", type=float, default=0.5, help="open time of a cell in a round, each instrument")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--receive-chunk", type=parse_size, default=256 << 10, metavar="SIZE")
    parser.add_argument("--socket-buffer", type=parse_size, default=1 << 20, metavar="SIZE")
    parser.add_argument("--file-size", type=parse_size, default=256 << 20, metavar="SIZE")
    parser.add_argument("--file-pages", choices=("auto", "small"), default="auto", help="pages of the file in memory, for both")
    parser.add_argument("--buffer-offset", type=int, default=0, help="where in a page the buffer of read_send begins")
    parser.add_argument("--bare-work-ns", type=int, default=0, help="what the C receiver computes after each receive")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.bare_window = options.bare_window or options.window
    interrupt.install()
    if not {SENDER_CPU, RECEIVER_CPU} <= os.sched_getaffinity(0):
        sys.exit(f"this needs CPUs {SENDER_CPU} and {RECEIVER_CPU}, and may use {sorted(os.sched_getaffinity(0))}")
    for line in table(run(options), options):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
