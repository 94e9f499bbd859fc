"""What do zcload and other programs need for the same transfer? Windows of zcload's lanes in turn with runs of a peer, in random order.

    make bench-peers
    python benchmarks/peers/side_by_side.py --rounds 12 --keep rounds.jsonl
    python benchmarks/peers/side_by_side.py --keep rounds.jsonl --rounds 0 --write docs/performance.md --charts docs/charts
    python benchmarks/peers/side_by_side.py --cases netperf neper --netperf ./netperf --neper ./tcp_stream

Senders on CPU 0, receivers on CPU 1, over loopback, the same chunk, socket buffers and congestion control (cubic where a peer can
choose, else the kernel's), and windows of zcload as long as a peer's run. Where both send a file it is the same file in memory, with the
same pages (--file-pages). In a case "one chunk" zcload's file has one chunk for each sender, as the peer's has: its payload stays in the
CPU's cache. programs.py says what the peers do.

    sendfile    iperf3 -Z, which sends one chunk again and again; zcload sends a whole file
    one chunk   the same, and zcload sends one chunk too
    read_send   iperf3 -F FILE, once through the file
    netperf     netperf's TCP_SENDFILE, both sending the whole file (needs --senders 1)
    neper       neper's tcp_stream, which sends one buffer again and again; zcload sends one chunk from a kept mapping

--sink discard compares receivers that copy nothing (iperf3 3.19 and neper can). --receivers each gives zcload a receiver process for each
connection, where iperf3 has a thread. --keep FILE spreads a series over several calls: each round is added to the file as soon as it is
measured, with how it was measured, and all that are there are shown; --rounds 0 only shows them. --write puts the tables into a page,
between its markers `<!-- peers -->` and `<!-- end of peers -->`, --charts draws the charts into a folder.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import get_args

from charts import draw
from programs import RECEIVER_CPU, SENDER_CPU, Iperf3, Neper, Netperf, Program, Run
from programs import run as peer
from rounds import CASES, Cell, Conditions, Pair, add, grouped, read
from tables import page

from zcload.analysis.tally import window_tally
from zcload.host.machine import Machine
from zcload.lane.file_pages import arrange_pages
from zcload.lane.placement import Placement
from zcload.lane.set_up import set_up
from zcload.linux import interrupt
from zcload.model.study import FilePages, Point, Variant
from zcload.model.units import parse_size
from zcload.runner.window import measure

BEGIN, END = "<!-- peers -->", "<!-- end of peers -->"


def zcload(cell: Cell, how: Conditions, fd: int, machine: Machine, program: Program) -> Run:
    """Set up a lane, let it warm up for a short window, measure windows as long as a peer's run and return what they took.

    Its sockets have the congestion control of the peer's *program*, and the kernel's buffers where that does not set any.
    """
    case = CASES[cell.case]
    size = cell.chunk * cell.senders if case.one_chunk else os.fstat(fd).st_size
    socket_buffer = how.socket_buffer if program.buffers else None
    point = Point(
        file_size=size,
        chunk=cell.chunk,
        receive_chunk=cell.chunk,
        senders=cell.senders,
        receivers=cell.receivers,
        sink=cell.sink,
        socket_buffer=socket_buffer,
    )
    one = frozenset({SENDER_CPU})
    placement = Placement((one,) * cell.senders, (frozenset({RECEIVER_CPU}),) * cell.receivers, frozenset({SENDER_CPU, RECEIVER_CPU}))
    variant = Variant(case.mechanism, case.mechanism, options=case.options).at(point)
    lane = set_up(variant, point, fd=fd, size=size, placement=placement, congestion=program.congestion, verify=False)
    try:
        lane.ready()
        measure(lane, min(0.05, how.window), machine)
        records = [measure(lane, how.window, machine) for _ in range(max(1, round(how.seconds / how.window)))]
    finally:
        lane.tear_down()
    tallies = [window_tally(record, None) for record in records]
    sums = {key: sum(tally[key] for tally in tallies) for key in ("bits", "elapsed_s", "gb", "sender_cpu_s", "receiver_cpu_s")}
    return Run(sums["bits"] / sums["elapsed_s"], sums["sender_cpu_s"] / sums["gb"], sums["receiver_cpu_s"] / sums["gb"])


def made_file(size: int, pages: FilePages) -> int:
    """Return a file in memory of *size* bytes in such *pages* as `workload.file_pages` names."""
    fd, some = os.memfd_create("peers"), os.urandom(1 << 20)
    arrange_pages(fd, size, pages)
    for left in range(size, 0, -len(some)):
        os.write(fd, some[:left])
    return fd


def programs_of(options: argparse.Namespace) -> dict[str, Program]:
    """Return all programs by name, as *options* name them."""
    every: tuple[Program, ...] = (Iperf3(options.iperf3), Netperf(options.netperf), Neper(options.neper))
    return {program.name: program for program in every}


def conditions_of(options: argparse.Namespace, cells: Sequence[Cell], programs: Mapping[str, Program]) -> dict[str, Conditions]:
    """Return by peer how *options* have its cells measured; exits with a message if it cannot do what is asked of it."""
    sizes = (options.file_size, options.file_pages, options.socket_buffer, options.seconds, options.window)
    for cell in cells:
        program = programs[CASES[cell.case].peer]
        if wrong := program.check(Conditions(*sizes, program.name).load(cell, "FILE")):
            sys.exit(wrong)
    return {name: Conditions(*sizes, programs[name].version(), note=options.note) for name in {CASES[cell.case].peer for cell in cells}}


def run(options: argparse.Namespace, cells: Sequence[Cell], programs: Mapping[str, Program]) -> list[Pair]:
    """Measure all rounds, each with its *cells* and the two programs in random order; keep each pair as soon as it is measured."""
    conditions = conditions_of(options, cells, programs)
    rng, machine = random.Random(options.seed), Machine()
    pairs = []
    fd = made_file(options.file_size, options.file_pages)
    path = f"/proc/{os.getpid()}/fd/{fd}"
    try:
        for number in range(options.rounds):
            for cell in rng.sample(cells, len(cells)):
                interrupt.check()
                program = programs[CASES[cell.case].peer]
                how = conditions[program.name]
                runs: dict[str, Run] = {}
                for which in rng.sample(("zcload", "peer"), 2):
                    runs[which] = zcload(cell, how, fd, machine, program) if which == "zcload" else peer(program, how.load(cell, path))
                pairs.append(Pair(cell, how, runs["zcload"], runs["peer"]))
                if options.keep:
                    add(options.keep, pairs[-1])
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    finally:
        os.close(fd)
        machine.close()
    return pairs


def write(path: Path, text: str) -> None:
    """Put *text* between the markers of the page at *path*; exits with a message if it has none."""
    old = path.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{path} has no {BEGIN} and {END} to write between")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", nargs="+", type=parse_size, default=[128 << 10, 256 << 10], metavar="SIZE")
    parser.add_argument("--senders", nargs="+", type=int, default=[1, 2], metavar="N")
    parser.add_argument("--cases", nargs="+", choices=[*CASES], default=["sendfile", "one chunk", "read_send"])
    parser.add_argument("--sink", nargs="+", choices=("recv", "discard"), default=["recv"])
    parser.add_argument(
        "--receivers", nargs="+", choices=("one", "each"), default=["one"], help="of zcload, for all connections or for each"
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=1, help="how long each program sends in a cell of a round")
    parser.add_argument("--window", type=float, metavar="SECONDS", help="how long a window of zcload is open; as long as a peer's run")
    parser.add_argument("--socket-buffer", type=parse_size, default=1 << 20, metavar="SIZE")
    parser.add_argument("--file-size", type=parse_size, default=4 << 30, metavar="SIZE", help="iperf3 -F ends with the file")
    parser.add_argument("--file-pages", choices=get_args(FilePages), default="huge", help="of the file in memory")
    for name, program in (("iperf3", "iperf3"), ("netperf", "netperf"), ("neper", "tcp_stream")):
        parser.add_argument(f"--{name}", default=program, metavar="PROGRAM")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the rounds here, and show all that are here")
    parser.add_argument("--note", default="", metavar="TEXT", help="keep this with the rounds, for example 'beside other work'")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="draw the charts into this folder")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, between its markers")
    options = parser.parse_args()
    options.window = options.window or float(options.seconds)
    interrupt.install()
    if options.rounds and not {SENDER_CPU, RECEIVER_CPU} <= os.sched_getaffinity(0):
        sys.exit(f"this needs CPUs {SENDER_CPU} and {RECEIVER_CPU}, and may use {sorted(os.sched_getaffinity(0))}")
    of = {"one": lambda senders: 1, "each": lambda senders: senders}
    asked = product(options.cases, options.sink, options.chunks, options.senders, options.receivers)
    cells = [*dict.fromkeys(Cell(*each, senders, of[receivers](senders)) for *each, senders, receivers in asked)]
    programs = programs_of(options)
    pairs = read(options.keep) if options.keep else []
    if options.rounds:
        pairs += run(options, cells, programs)
    if not pairs:
        sys.exit("there are no rounds to show; measure some: --rounds 6")
    results = grouped(pairs)
    text = page(results, programs, shlex.join(["benchmarks/peers/side_by_side.py", *sys.argv[1:]]))
    print(text)
    if options.write:
        write(options.write, text)
    if options.charts:
        draw(results, options.charts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
