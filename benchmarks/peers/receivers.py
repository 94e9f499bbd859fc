"""What does it cost to receive several connections on one CPU: waiting with epoll, or in a thread or process for each connection?

    python benchmarks/peers/receivers.py --rounds 10

iperf3 has a thread for each connection since 3.16; zcload has one process that waits with epoll, or, with `workload.receivers`, several.
Which part of a difference is due to that, and which to Python? Each round runs in random order, over loopback, all senders on CPU 0 and all
receivers on CPU 1:

    threads, processes, epoll   a sender and receivers in C (receivers.c says how they receive)
    zcload, one                 a lane with one receiver for all connections
    zcload, each                a lane with a receiver for each connection
    iperf3                      a receiver with a thread for each connection; leave it out with --seconds-iperf3 0

The case "one chunk" sends a file of one chunk for each connection, so that its payload stays in the CPU's cache. Prints CPU seconds per GB,
calls and sleeps per GB, and the receivers' cost over that of "threads", with its 95 % interval over the rounds, in pairs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from programs import RECEIVER_CPU, SENDER_CPU, Iperf3, Load
from programs import run as peer
from side_by_side import made_file

from zcload.analysis.stats import mean_interval
from zcload.analysis.tally import window_tally
from zcload.host.machine import Machine
from zcload.lane.placement import Placement
from zcload.lane.set_up import set_up
from zcload.linux import interrupt
from zcload.model.study import Point, Variant
from zcload.model.units import format_size, parse_size
from zcload.runner.window import measure

SOURCE = Path(__file__).with_suffix(".c")
IN_C = ("threads", "processes", "epoll")
CASES = {
    "read_send recv": ("read_send", "recv", False, "-F FILE"),
    "one chunk recv": ("sendfile", "recv", True, "-Z"),
    "one chunk discard": ("sendfile", "discard", True, "-Z"),
}


@dataclass(frozen=True)
class Cost:
    """What a GB took: CPU seconds of each end, receives, calls that wait for several connections, and sleeps; None: not known."""

    receiver: float
    sender: float
    receives: float | None = None
    waits: float | None = None
    sleeps: float | None = None


@dataclass(frozen=True)
class Task:
    """One case (its name), with its file and how long it runs."""

    case: str
    fd: int
    chunk: int
    connections: int
    seconds: float

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"


def compiled(folder: Path) -> Path:
    """Return the program made from receivers.c; exits with a message where there is no compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        sys.exit("no C compiler: install one (Debian, Ubuntu: apt install gcc) or name it: CC=clang")
    subprocess.run([compiler, "-O2", "-Wall", "-pthread", "-o", folder / "receivers", SOURCE], check=True)
    return folder / "receivers"


def in_c(program: Path, how: str, task: Task) -> Cost:
    """Run the C program once."""
    mechanism, sink, *_ = CASES[task.case]
    words = [program, task.path, mechanism, sink, task.chunk, 1 << 20, round(1000 * task.seconds), task.connections, how]
    words += [SENDER_CPU, RECEIVER_CPU]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    moved, sender_ns, receiver_ns, receives, waits, sleeps = map(float, done.stdout.split())
    gb = moved / 1e9
    return Cost(receiver_ns / moved, sender_ns / moved, receives / gb, waits / gb, sleeps / gb)


def in_zcload(machine: Machine, receivers: int, task: Task) -> Cost:
    """Set up a lane, let it warm up, and measure one window."""
    mechanism, sink, *_ = CASES[task.case]
    size = os.fstat(task.fd).st_size
    point = Point(
        file_size=size,
        chunk=task.chunk,
        receive_chunk=task.chunk,
        senders=task.connections,
        receivers=receivers,
        sink=sink,
        socket_buffer=1 << 20,
    )
    placement = Placement(
        (frozenset({SENDER_CPU}),) * task.connections,
        (frozenset({RECEIVER_CPU}),) * receivers,
        frozenset({SENDER_CPU, RECEIVER_CPU}),
    )
    variant = Variant(mechanism, mechanism).at(point)
    lane = set_up(variant, point, fd=task.fd, size=size, placement=placement, congestion="cubic", verify=False)
    try:
        lane.ready()
        measure(lane, 0.05, machine)
        gb = 0.0
        while not gb:  # a machine that stood still for the whole window has moved nothing
            slept = -_sleeps(lane.workers.receivers)
            tally = window_tally(measure(lane, task.seconds, machine), None)
            slept += _sleeps(lane.workers.receivers)
            gb = tally["gb"]
    finally:
        lane.tear_down()
    receives = tally["receiver_iterations"]
    return Cost(
        tally["receiver_cpu_s"] / gb, tally["sender_cpu_s"] / gb, receives / gb, (tally["receiver_syscalls"] - receives) / gb, slept / gb
    )


def _sleeps(processes: Sequence[object]) -> int:
    """Return how often the *processes* have given up the CPU to wait, since they began."""
    total = 0
    for process in processes:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():  # type: ignore[attr-defined]
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def in_iperf3(program: Iperf3, seconds: int, task: Task) -> Cost:
    """Run iperf3 once."""
    _, sink, _, mode = CASES[task.case]
    load = Load(mode, task.chunk, task.connections, seconds, 1 << 20, task.path, os.fstat(task.fd).st_size, sink == "discard")
    done = peer(program, load)
    return Cost(done.receiver, done.sender)


def shown(case: str, costs: dict[str, list[Cost]]) -> None:
    """Print a line for each way to receive, against "threads"."""
    for way, found in costs.items():
        logs = [math.log(a.receiver / b.receiver) for a, b in zip(found, costs[IN_C[0]], strict=True)]
        interval = mean_interval(logs) if way != IN_C[0] else None
        ratio = "{:.2f} ({:.2f}..{:.2f})".format(*map(math.exp, (interval.estimate, interval.low, interval.high))) if interval else "1"
        figures = " | ".join(
            [f"{fmean(each.receiver for each in found):.3f}", f"{fmean(each.sender for each in found):.3f}"]
            + [_count([asdict(each)[key] for each in found]) for key in ("receives", "waits", "sleeps")]
        )
        print(f"| {case} | {way} | {figures} | {ratio} |", flush=True)


def _count(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):,.0f}" if known else "-"


def measured(options: argparse.Namespace, keep: Callable[[str, dict[str, Cost]], None]) -> None:
    """Run all rounds, each with its cases and the ways to receive in random order, and pass each on to *keep*."""
    rng, machine, iperf3 = random.Random(options.seed), Machine(), Iperf3(options.iperf3)
    chunk = options.chunk
    sizes = {case: chunk * options.connections if CASES[case][2] else options.file_size for case in options.cases}
    tasks = {
        case: Task(case, made_file(size, "huge" if size % (2 << 20) == 0 else "small"), chunk, options.connections, options.seconds)
        for case, size in sizes.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        ways: dict[str, Callable[[Task], Cost]] = {how: partial(in_c, program, how) for how in IN_C}
        ways["zcload, one"], ways["zcload, each"] = (partial(in_zcload, machine, count) for count in (1, options.connections))
        if options.seconds_iperf3:
            ways["iperf3"] = partial(in_iperf3, iperf3, options.seconds_iperf3)
        for number in range(options.rounds):
            for case in rng.sample(options.cases, len(options.cases)):
                costs = {}
                for way in rng.sample([*ways], len(ways)):
                    interrupt.check()
                    costs[way] = ways[way](tasks[case])
                keep(case, {way: costs[way] for way in ways})
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    machine.close()


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=[*CASES], default=[*CASES])
    parser.add_argument("--chunk", type=parse_size, default=128 << 10, metavar="SIZE")
    parser.add_argument("--connections", type=int, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.3, help="how long the C program and a window of zcload send")
    parser.add_argument("--seconds-iperf3", type=int, default=1, help="how long iperf3 sends, in whole seconds; 0 leaves it out")
    parser.add_argument("--file-size", type=parse_size, default=2 << 30, metavar="SIZE", help="of read_send; iperf3 -F ends with the file")
    parser.add_argument("--iperf3", default="iperf3", metavar="PROGRAM")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the rounds here, and show all that are here")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    interrupt.install()
    if not {SENDER_CPU, RECEIVER_CPU} <= os.sched_getaffinity(0):
        sys.exit(f"this needs CPUs {SENDER_CPU} and {RECEIVER_CPU}, and may use {sorted(os.sched_getaffinity(0))}")
    found: dict[str, dict[str, list[Cost]]] = defaultdict(lambda: defaultdict(list))

    def add(case: str, costs: dict[str, Cost]) -> None:
        for way, cost in costs.items():
            found[case][way].append(cost)

    def keep(case: str, costs: dict[str, Cost]) -> None:
        add(case, costs)
        if options.keep:
            with options.keep.open("a") as file:
                file.write(json.dumps([case, {way: asdict(cost) for way, cost in costs.items()}]) + "\n")

    if options.keep and options.keep.exists():
        for line in options.keep.read_text().splitlines():
            case, costs = json.loads(line)
            add(case, {way: Cost(**cost) for way, cost in costs.items()})
    if options.rounds:
        measured(options, keep)
    print(f"chunk {format_size(options.chunk)}, {options.connections} connections")
    print("| case | receivers | receiver, s/GB | sender, s/GB | receives a GB | epoll_wait a GB | sleeps a GB | receiver over threads |")
    print("|---|---|---|---|---|---|---|---|")
    for case, costs in found.items():
        shown(case, costs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
