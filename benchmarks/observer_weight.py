"""What does measuring cost what is measured? zcload's sampler and live view on and off, and what its coordinator needs for many processes.

    python benchmarks/observer_weight.py --windows 200
    python benchmarks/observer_weight.py --windows 0 --senders 1 2 8 32 128 512

The first part opens windows of one lane in turn. Before each the lane is at rest, and either nothing happens, or zcload samples all
processes with psutil and another process redraws the live view on a terminal: which of the two is drawn at random, pair by pair. Prints the
ratio of the lane's CPU per GB, with over without, with the 95 % interval of the pairs.

The second part sets up a lane of so many senders (read_send, a receiver for all) and measures windows. Prints the coordinator's CPU time
for a window, all of it and for each process, memory (PSS) of a sender and of the receiver, and how long set-up and tear-down take.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import pty
import random
import statistics
import sys
import time
from multiprocessing.connection import Connection

import psutil

from zcload.analysis.stats import mean_interval
from zcload.analysis.tally import window_tally
from zcload.cli.live import viewer
from zcload.host.machine import Machine
from zcload.lane.file_pages import arrange_pages
from zcload.lane.mechanism_lane import MechanismLane
from zcload.lane.placement import Placement
from zcload.lane.sampler import Sampler
from zcload.lane.set_up import set_up
from zcload.linux import interrupt
from zcload.linux.descriptors import room_for_files
from zcload.model.progress import Progress
from zcload.model.study import Point, Variant
from zcload.runner.window import measure

SIZE, WINDOW_S = 256 << 20, 0.04
PHASES = ("measuring", "calibrating")  # the live view redraws when the phase changes


def lane_of(fd: int, mechanism: str, senders: int) -> MechanismLane:
    """Return a lane with so many *senders* on the first CPU and a receiver on the second, ready to be measured."""
    first, *others = sorted(os.sched_getaffinity(0))
    cpus = frozenset({first}), frozenset(others[:1] or {first})
    placement = Placement((cpus[0],) * senders, (cpus[1],), cpus[0] | cpus[1])
    point = Point(file_size=SIZE, senders=senders)
    lane = set_up(Variant(mechanism, mechanism).at(point), point, fd=fd, size=SIZE, placement=placement, congestion=None, verify=False)
    lane.ready()
    return lane


def draw(connection: Connection) -> None:
    """Show each progress that comes on a terminal, and answer when it is shown, as the process of `zcload run` does."""
    ours, theirs = pty.openpty()
    sys.stderr = os.fdopen(theirs, "w")
    os.environ["TERM"] = "xterm"
    os.set_blocking(ours, False)
    with viewer(True) as view:
        while (progress := connection.recv()) is not None:
            view(progress)
            sys.stderr.flush()
            try:
                os.read(ours, 1 << 16)  # a terminal empties it
            except BlockingIOError:
                pass
            connection.send(None)
    os._exit(0)


def weigh(fd: int, mechanism: str, pairs: int, machine: Machine, screen: Connection) -> str:
    """Return the ratio of both ends' CPU per GB with sampler and live view to that without, with its interval."""
    rng, logs = random.Random(1), list[float]()
    lane = lane_of(fd, mechanism, 1)
    try:
        sampler = Sampler([{mechanism: lane}])
        measure(lane, WINDOW_S, machine)
        for number in range(pairs):
            interrupt.check()
            cost: dict[bool, float] = {}
            for observed in rng.sample((True, False), 2):
                if observed:
                    sampler.sample()
                    screen.send(Progress(PHASES[number % 2], intervals=((mechanism, 40.0, 41.0, 42.0, 1.0),)))
                    screen.recv()
                tally = window_tally(measure(lane, WINDOW_S, machine), None)
                cost[observed] = (tally["sender_cpu_s"] + tally["receiver_cpu_s"]) / tally["gb"] if tally["gb"] else 0.0
            if all(cost.values()):  # on a busy machine a window may pass in which nothing moved
                logs.append(math.log(cost[True] / cost[False]))
    finally:
        lane.tear_down()
    interval = mean_interval(logs)
    if interval is None:
        sys.exit(f"{mechanism}: {len(logs)} pairs have no interval; measure more: --windows {max(4, 2 * pairs)} or more")
    shown = interval.map(math.exp)
    return f"{mechanism:10} {len(logs)} pairs: {shown.estimate:.4f} ({shown.low:.4f}..{shown.high:.4f})"


def count(fd: int, senders: int, machine: Machine) -> str:
    """Return what a lane of so many *senders* needs of the coordinator, of memory and of time."""
    began = time.monotonic()
    lane = lane_of(fd, "read_send", senders)
    try:
        ready_s = time.monotonic() - began
        spent = list[float]()
        for _ in range(6):
            interrupt.check()
            start = time.thread_time()
            measure(lane, WINDOW_S, machine)
            spent.append(1000 * (time.thread_time() - start))
        spent = spent[1:]
        pss = [[psutil.Process(p.pid).memory_full_info().pss for p in ends] for ends in (lane.observed_senders, lane.observed_receivers)]
    finally:
        began = time.monotonic()
        lane.tear_down()
        down_s = time.monotonic() - began
    window_ms = statistics.median(spent)
    sender_mib, receiver_mib = (statistics.mean(values) / (1 << 20) for values in pss)
    figures = (window_ms, 1000 * window_ms / (senders + 1), sender_mib, receiver_mib, ready_s, down_s)
    return " ".join((f"{senders:8}", *(f"{figure:13.2f}" for figure in figures)))


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=200, help="with and without the observer, of each mechanism; 0: none")
    parser.add_argument("--senders", nargs="*", type=int, default=[1, 2, 8, 32, 128, 512], metavar="N")
    options = parser.parse_args()
    interrupt.install()
    machine, fd = Machine(), os.memfd_create("observer_weight")
    arrange_pages(fd, SIZE, "auto")
    for _ in range(SIZE >> 20):
        os.write(fd, os.urandom(1 << 20))
    if options.windows:
        screen, other = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=draw, args=(other,), daemon=True)
        process.start()
        print("both ends' CPU per GB, with sampler and live view over without, 95 % interval")
        for mechanism in ("read_send", "sendfile"):
            print(weigh(fd, mechanism, options.windows // 2, machine, screen))
        screen.send(None)
        process.join()
    if options.senders:
        titles = ("window, ms", "process, us", "sender, MiB", "receiver, MiB", "set-up, s", "tear-down, s")
        print(f"{'senders':>8}", *(f"{title:>13}" for title in titles))
    for senders in options.senders:
        with room_for_files(8 * senders + 64):
            print(count(fd, senders, machine), flush=True)
    machine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
