"""What do zcload and other programs need for the same transfer? Windows of zcload's lanes in turn with runs of a peer, in random order.

    make bench-peers
    python benchmarks/peers/side_by_side.py --rounds 12 --write docs/performance.md
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

--sink discard compares receivers that copy nothing (iperf3 3.19 and neper can). --keep FILE spreads a series over several calls: it adds
the rounds to the file and shows all that are there; --rounds 0 only shows them. The options that say how it was measured must be those of
the rounds in the file. --write puts the tables into a page, between its markers
`<!-- peers -->` and `<!-- end of peers -->`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import product
from pathlib import Path
from typing import get_args

from programs import RECEIVER_CPU, SENDER_CPU, Iperf3, Load, Neper, Netperf, Program, Run, pinned
from programs import run as peer

from zcload.analysis.stats import mean_interval
from zcload.analysis.tally import window_tally
from zcload.host.machine import Machine
from zcload.lane.file_pages import arrange_pages
from zcload.lane.placement import Placement
from zcload.lane.set_up import set_up
from zcload.linux import interrupt
from zcload.model.study import FilePages, Point, Variant
from zcload.model.units import format_size, parse_size
from zcload.runner.window import measure

BEGIN, END = "<!-- peers -->", "<!-- end of peers -->"


@dataclass(frozen=True)
class Case:
    """A mechanism of zcload's and the *mode* of the *peer* that it is compared with. *one_chunk*: zcload's file has a chunk a sender."""

    mechanism: str
    peer: str
    mode: str
    one_chunk: bool = False
    options: Mapping[str, bool] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"`{self.mechanism}`, one chunk" if self.one_chunk else f"`{self.mechanism}`"


CASES = {
    "sendfile": Case("sendfile", "iperf3", "-Z"),
    "one chunk": Case("sendfile", "iperf3", "-Z", one_chunk=True),
    "read_send": Case("read_send", "iperf3", "-F FILE"),
    "netperf": Case("sendfile", "netperf", "whole file"),
    "neper": Case("mmap_send", "neper", "one buffer", one_chunk=True, options={"keep_mapping": True}),
}


@dataclass(frozen=True)
class Cell:
    """What is compared: a case (its name) at a chunk (bytes), with so many senders, into a sink."""

    chunk: int
    senders: int
    sink: str
    case: str


Results = dict[Cell, list[tuple[Run, Run]]]  # of each round, zcload's run and the peer's


def load_of(cell: Cell, options: argparse.Namespace, path: str) -> Load:
    """Return what the peer of *cell* is asked for."""
    sizes = (cell.chunk, cell.senders, options.seconds, options.socket_buffer)
    return Load(CASES[cell.case].mode, *sizes, path, options.file_size, cell.sink == "discard")


def zcload(cell: Cell, options: argparse.Namespace, fd: int, machine: Machine, program: Program) -> Run:
    """Set up a lane, let it warm up for a short window, measure windows as long as a peer's run and return what they took.

    Its sockets have the congestion control of the peer's *program*, and the kernel's buffers where that does not set any.
    """
    case = CASES[cell.case]
    size = cell.chunk * cell.senders if case.one_chunk else os.fstat(fd).st_size
    socket_buffer = options.socket_buffer if program.buffers else None
    point = Point(
        file_size=size,
        chunk=cell.chunk,
        receive_chunk=cell.chunk,
        senders=cell.senders,
        receivers=1,
        sink=cell.sink,
        socket_buffer=socket_buffer,
    )
    one = frozenset({SENDER_CPU})
    placement = Placement((one,) * cell.senders, (frozenset({RECEIVER_CPU}),), frozenset({SENDER_CPU, RECEIVER_CPU}))
    variant = Variant(case.mechanism, case.mechanism, options=case.options).at(point)
    lane = set_up(variant, point, fd=fd, size=size, placement=placement, congestion=program.congestion, verify=False)
    try:
        lane.ready()
        measure(lane, min(0.05, options.window), machine)
        records = [measure(lane, options.window, machine) for _ in range(max(1, round(options.seconds / options.window)))]
    finally:
        lane.tear_down()
    tallies = [window_tally(record, None) for record in records]
    sums = {key: sum(tally[key] for tally in tallies) for key in ("bits", "elapsed_s", "gb", "sender_cpu_s", "receiver_cpu_s")}
    return Run(sums["bits"] / sums["elapsed_s"], sums["sender_cpu_s"] / sums["gb"], sums["receiver_cpu_s"] / sums["gb"])


def made_file(size: int, pages: FilePages) -> int:
    """Return a file in memory of *size* bytes (whole MiB) in such *pages* as `workload.file_pages` names."""
    fd, some = os.memfd_create("peers"), os.urandom(1 << 20)
    arrange_pages(fd, size, pages)
    for _ in range(size >> 20):
        os.write(fd, some)
    return fd


def programs_of(options: argparse.Namespace, cells: Sequence[Cell]) -> dict[str, Program]:
    """Return the programs that *cells* need, by name; exits with a message if one cannot do what is asked of it."""
    every: tuple[Program, ...] = (Iperf3(options.iperf3), Netperf(options.netperf), Neper(options.neper))
    programs = {program.name: program for program in every}
    for cell in cells:
        if wrong := programs[CASES[cell.case].peer].check(load_of(cell, options, "FILE")):
            sys.exit(wrong)
    return programs


def run(options: argparse.Namespace, cells: Sequence[Cell], programs: Mapping[str, Program]) -> Results:
    """Measure all rounds, each with its *cells* and the two programs in random order."""
    rng, machine = random.Random(options.seed), Machine()
    results: Results = defaultdict(list)
    fd = made_file(options.file_size, options.file_pages)
    try:
        for number in range(options.rounds):
            for cell in rng.sample(cells, len(cells)):
                interrupt.check()
                program = programs[CASES[cell.case].peer]
                ours: Run | None = None
                theirs: Run | None = None
                for turn in rng.sample(("zcload", "peer"), 2):
                    if turn == "peer":
                        theirs = peer(program, load_of(cell, options, f"/proc/{os.getpid()}/fd/{fd}"))
                    else:
                        ours = zcload(cell, options, fd, machine, program)
                assert ours is not None
                assert theirs is not None
                results[cell].append((ours, theirs))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    finally:
        os.close(fd)
        machine.close()
    return results


def conditions(options: argparse.Namespace) -> str:
    """Say how all cells are measured: of figures of other conditions the page would say what is not so."""
    size, buffers = format_size(options.file_size), format_size(options.socket_buffer)
    windows = "" if options.window == options.seconds else f" in windows of {options.window:g} s"
    return f"file of {size} in {options.file_pages} pages, socket buffers of {buffers}, {options.seconds} s a program and round{windows}"


def kept(path: Path | None, how: str) -> Results:
    """Return the rounds in the file at *path*, a line of JSON for each pair; exits if one was not measured as *how* says."""
    results: Results = defaultdict(list)
    for line in path.read_text().splitlines() if path is not None and path.exists() else ():
        cell_words, ours, theirs, *found = json.loads(line)
        if found != [how]:
            measured = " ".join(found) or "it does not say how"
            sys.exit(f"{path} has rounds of another kind ({measured}); give the same options, or name another file: --keep FILE")
        results[Cell(*cell_words)].append((Run(*ours), Run(*theirs)))
    return results


def keep(path: Path, new: Results, how: str) -> None:
    """Add the *new* rounds, measured as *how* says, to the file at *path*."""
    with path.open("a") as file:
        for cell, pairs in new.items():
            for pair in pairs:
                file.write(json.dumps([astuple(cell), *map(astuple, pair), how]) + "\n")


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def table(results: Results) -> Iterator[str]:
    """Return the lines of the table: of each figure zcload's, the peer's, and the ratio of the two with its interval over the rounds."""
    yield "| chunk | senders | sink | zcload | peer | rounds | figure | zcload | peer | ratio, 95 % interval |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    figures = (("goodput_bps", "Gbit/s", 1e-9, 1), ("sender", "sender, s/GB", 1.0, 3), ("receiver", "receiver, s/GB", 1.0, 3))
    for cell, pairs in sorted(results.items(), key=lambda item: astuple(item[0])):
        case = CASES[cell.case]
        for key, title, scale, digits in figures:
            ours, theirs = ([float(getattr(pair[at], key)) for pair in pairs] for at in (0, 1))
            ratio = mean_interval([math.log(a / b) for a, b in zip(ours, theirs, strict=True)])
            shown = f"{math.exp(ratio.estimate):.2f} ({math.exp(ratio.low):.2f}..{math.exp(ratio.high):.2f})" if ratio else "one round"
            means = " | ".join(f"{scale * _mean(values):.{digits}f}" for values in (ours, theirs))
            row = f"| {format_size(cell.chunk)} | {cell.senders} | `{cell.sink}` | {case.title} | `{case.peer}` {case.mode} | {len(pairs)}"
            yield f"{row} | {title} | {means} | {shown} |"


def page(results: Results, options: argparse.Namespace, programs: Mapping[str, Program]) -> str:
    """Return what goes between the markers: command and host, tables, and what was run of each peer."""
    words = shlex.join(["benchmarks/peers/side_by_side.py", *options.arguments])
    host = f"Linux {os.uname().release}, {len(os.sched_getaffinity(0))} CPUs"
    lines = [
        f"`{words}`,",
        f"{host}, {conditions(options)}.",
        "",
        *table(results),
        "",
        "What was run of the peers, one example of each case:",
        "",
        "```",
    ]
    for name in dict.fromkeys(cell.case for cell in results):
        cell = next(cell for cell in results if cell.case == name)
        commands = programs[CASES[name].peer].commands(load_of(cell, options, "FILE"), ("PORT", "PORT2"), "LOG")
        lines += map(shlex.join, pinned(commands))
    return "\n".join((*lines, "```"))


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
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=1, help="how long each program sends in a cell of a round")
    parser.add_argument("--window", type=float, metavar="SECONDS", help="how long a window of zcload is open; as long as a peer's run")
    parser.add_argument("--socket-buffer", type=parse_size, default=1 << 20, metavar="SIZE")
    parser.add_argument("--file-size", type=parse_size, default=4 << 30, metavar="SIZE", help="iperf3 -F ends with the file")
    parser.add_argument("--file-pages", choices=get_args(FilePages), default="huge", help="of the file in memory")
    for name, program in (("iperf3", "iperf3"), ("netperf", "netperf"), ("neper", "tcp_stream")):
        parser.add_argument(f"--{name}", default=program, metavar="PROGRAM")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the rounds here, and show all that are here")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, between its markers")
    options = parser.parse_args()
    options.arguments = sys.argv[1:]
    options.window = options.window or float(options.seconds)
    interrupt.install()
    if not {SENDER_CPU, RECEIVER_CPU} <= os.sched_getaffinity(0):
        sys.exit(f"this needs CPUs {SENDER_CPU} and {RECEIVER_CPU}, and may use {sorted(os.sched_getaffinity(0))}")
    cells = [Cell(*each) for each in product(options.chunks, options.senders, options.sink, options.cases)]
    programs = programs_of(options, cells)
    how = conditions(options)
    results = kept(options.keep, how)
    new = run(options, cells, programs) if options.rounds else {}
    if options.keep:
        keep(options.keep, new, how)
    for cell, pairs in new.items():
        results[cell] += pairs
    text = page(results, options, programs)
    print(text)
    if options.write:
        write(options.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
