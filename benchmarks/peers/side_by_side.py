"""What do zcload and iperf3 need for the same transfer? Windows of zcload's lanes in turn with runs of iperf3, in random order.

    make bench-peers
    python benchmarks/peers/side_by_side.py --rounds 12 --write docs/performance.md

Senders on CPU 0, receivers on CPU 1, over loopback with cubic, the same socket buffers and chunk. CPU time of iperf3 is what the kernel
counted of its two processes when they ended (wait4(2)), their start and end included. Pairs:

    sendfile   iperf3 -Z: sendfile(2), of a file of one chunk that is sent again and again
    one chunk  the same, and zcload's sendfile too has a file of one chunk for each sender: its payload stays in the CPU's cache
    read_send  iperf3 -F FILE: read(2) of the file, then write(2), once through the file

Where iperf3 has --skip-rx-copy (3.17), --sink discard compares receivers that copy nothing. --write puts the tables into a page, between
its markers `<!-- peers -->` and `<!-- end of peers -->`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zcload.analysis.stats import mean_interval
from zcload.analysis.tally import window_tally
from zcload.host.machine import Machine
from zcload.lane.placement import Placement
from zcload.lane.set_up import set_up
from zcload.linux import interrupt
from zcload.model.study import Point, Variant
from zcload.model.units import format_size, parse_size
from zcload.runner.window import measure

SENDER_CPU, RECEIVER_CPU = 0, 1
ONE_CHUNK = "one chunk"  # zcload's sendfile with a file of one chunk a sender
PEER_OPTIONS = {"sendfile": ["-Z"], ONE_CHUNK: ["-Z"], "read_send": ["-F", "FILE"]}
LISTENS_WITHIN_S = 5.0
BEGIN, END = "<!-- peers -->", "<!-- end of peers -->"


@dataclass(frozen=True)
class Run:
    """What one run gave: payload bits per second, and CPU seconds per GB of each end."""

    goodput_bps: float
    sender: float
    receiver: float


@dataclass(frozen=True)
class Cell:
    """What is compared: a case at a chunk (bytes), with so many senders."""

    case: str
    chunk: int
    senders: int

    @property
    def mechanism(self) -> str:
        return "sendfile" if self.case == ONE_CHUNK else self.case


def peer_commands(cell: Cell, options: argparse.Namespace, path: str, port: int | str) -> tuple[list[str], list[str]]:
    """Return the commands of iperf3's server and client."""
    server = ["taskset", "-c", str(RECEIVER_CPU), options.iperf3, "-s", "-1", "-B", "127.0.0.1", "-p", str(port)]
    client = ["taskset", "-c", str(SENDER_CPU), options.iperf3, "-c", "127.0.0.1", "-p", str(port), "-t", f"{options.seconds}", "-J"]
    client += ["-l", str(cell.chunk), "-P", str(cell.senders), "-w", str(options.socket_buffer), "-C", "cubic"]
    client += [path if word == "FILE" else word for word in PEER_OPTIONS[cell.case]]
    return server, client + (["--skip-rx-copy"] if options.sink == "discard" else [])


def peer(cell: Cell, options: argparse.Namespace, path: str) -> Run:
    """Run iperf3 once; exits with its message if it fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server_words, client_words = peer_commands(cell, options, path, port)
    server = subprocess.Popen(server_words, stdout=subprocess.DEVNULL)
    try:
        _wait_for_listener(port)
        client = subprocess.Popen(client_words, stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        told = json.loads(client.stdout.read())
        sender, receiver = _cpu_s(client), _cpu_s(server)
    finally:
        if server.returncode is None:
            server.kill()
            server.wait()
    if "error" in told:
        sys.exit(f"{shlex.join(client_words)} failed: {told['error']}")
    received = told["end"]["sum_received"]
    if not received["bytes"]:
        sys.exit(f"{shlex.join(client_words)} moved nothing: iperf3 -F ends with the file, so give a larger --file-size")
    gb = received["bytes"] / 1e9
    return Run(received["bits_per_second"], sender / gb, receiver / gb)


def _wait_for_listener(port: int) -> None:
    """Wait until something listens on *port* of 127.0.0.1, without connecting: `iperf3 -1` serves one connection only."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    deadline = time.monotonic() + LISTENS_WITHIN_S
    while wanted not in Path("/proc/net/tcp").read_text():
        if time.monotonic() > deadline:
            sys.exit(f"iperf3 -s did not listen on port {port} within {LISTENS_WITHIN_S:g} s")
        time.sleep(0.01)


def _cpu_s(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> float:
    """Reap *process* and return its CPU time in seconds."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_utime + usage.ru_stime


def zcload(cell: Cell, options: argparse.Namespace, fd: int, machine: Machine) -> Run:
    """Set up a lane, let it warm up for a window, measure windows as long as iperf3's run and return what they took."""
    size = cell.chunk * cell.senders if cell.case == ONE_CHUNK else os.fstat(fd).st_size
    buffers = {"socket_buffer": options.socket_buffer, "receive_chunk": cell.chunk}
    point = Point(file_size=size, chunk=cell.chunk, senders=cell.senders, receivers=1, sink=options.sink, **buffers)
    one = frozenset({SENDER_CPU})
    placement = Placement((one,) * cell.senders, (frozenset({RECEIVER_CPU}),), frozenset({SENDER_CPU, RECEIVER_CPU}))
    variant = Variant(cell.mechanism, cell.mechanism).at(point)
    lane = set_up(variant, point, fd=fd, size=size, placement=placement, congestion="cubic", verify=False)
    try:
        lane.ready()
        measure(lane, options.window, machine)
        records = [measure(lane, options.window, machine) for _ in range(max(1, round(options.seconds / options.window)))]
    finally:
        lane.tear_down()
    tallies = [window_tally(record, None) for record in records]
    sums = {key: sum(tally[key] for tally in tallies) for key in ("bits", "elapsed_s", "gb", "sender_cpu_s", "receiver_cpu_s")}
    return Run(sums["bits"] / sums["elapsed_s"], sums["sender_cpu_s"] / sums["gb"], sums["receiver_cpu_s"] / sums["gb"])


def run(options: argparse.Namespace) -> dict[Cell, list[tuple[Run, Run]]]:
    """Measure all rounds, each with its cells and the two programs in random order; return pairs of zcload's run and iperf3's."""
    rng, machine = random.Random(options.seed), Machine()
    cells = [Cell(case, chunk, senders) for case in options.cases for chunk in options.chunks for senders in options.senders]
    results: dict[Cell, list[tuple[Run, Run]]] = {cell: [] for cell in cells}
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        some = os.urandom(1 << 20)
        for _ in range(options.file_size >> 20):
            file.write(some)
        file.flush()
        for number in range(options.rounds):
            for cell in rng.sample(cells, len(cells)):
                interrupt.check()
                measured: dict[str, Run] = {}
                for program in rng.sample(["zcload", "iperf3"], 2):
                    measured[program] = (
                        peer(cell, options, file.name) if program == "iperf3" else zcload(cell, options, file.fileno(), machine)
                    )
                results[cell].append((measured["zcload"], measured["iperf3"]))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    machine.close()
    return results


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def table(results: dict[Cell, list[tuple[Run, Run]]]) -> Iterator[str]:
    """Return the lines of the table: of each figure zcload's, iperf3's, and the ratio of the two with its interval over the rounds."""
    yield "| chunk | senders | zcload | iperf3 | figure | zcload | iperf3 | ratio, 95 % interval |"
    yield "|---|---|---|---|---|---|---|---|"
    figures = (("goodput_bps", "Gbit/s", 1e-9, 1), ("sender", "sender, s/GB", 1.0, 3), ("receiver", "receiver, s/GB", 1.0, 3))
    for cell, pairs in sorted(results.items(), key=lambda item: (item[0].chunk, item[0].senders, item[0].case)):
        for key, title, scale, digits in figures:
            ours, theirs = ([float(getattr(pair[at], key)) for pair in pairs] for at in (0, 1))
            ratio = mean_interval([math.log(a / b) for a, b in zip(ours, theirs, strict=True)])
            shown = f"{math.exp(ratio.estimate):.2f} ({math.exp(ratio.low):.2f}..{math.exp(ratio.high):.2f})" if ratio else "one round"
            means = " | ".join(f"{scale * _mean(values):.{digits}f}" for values in (ours, theirs))
            peer_name = " ".join(PEER_OPTIONS[cell.case])
            case = cell.case if cell.case == ONE_CHUNK else f"`{cell.case}`"
            yield f"| {format_size(cell.chunk)} | {cell.senders} | {case} | `{peer_name}` | {title} | {means} | {shown} |"


def page(results: dict[Cell, list[tuple[Run, Run]]], options: argparse.Namespace) -> str:
    """Return what goes between the markers: command, programs and host, tables, and the commands of iperf3."""
    version = (
        subprocess.run([options.iperf3, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0].partition(" (")[0]
    )
    words = shlex.join(["benchmarks/peers/side_by_side.py", *options.arguments])
    server, client = peer_commands(next(iter(results)), options, "FILE", "PORT")
    host = f"Linux {os.uname().release}, {len(os.sched_getaffinity(0))} CPUs"
    return "\n".join(
        (
            f"`{words}`, {version}, {host}, sink `{options.sink}`, {options.rounds} rounds of {options.seconds} s a program.",
            "",
            *table(results),
            "",
            "What was run of iperf3, for the first row (a mechanism's options are in its column):",
            "",
            "```",
            shlex.join(server),
            shlex.join(client),
            "```",
        )
    )


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
    parser.add_argument("--cases", nargs="+", choices=[*PEER_OPTIONS], default=[*PEER_OPTIONS])
    parser.add_argument("--sink", choices=("recv", "discard"), default="recv")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=1, help="how long each program sends in a cell of a round")
    parser.add_argument("--window", type=float, default=0.05, metavar="SECONDS", help="how long a window of zcload is open")
    parser.add_argument("--socket-buffer", type=parse_size, default=1 << 20, metavar="SIZE")
    parser.add_argument("--file-size", type=parse_size, default=4 << 30, metavar="SIZE", help="iperf3 -F ends with the file")
    parser.add_argument("--iperf3", default="iperf3", metavar="PROGRAM")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, between its markers")
    options = parser.parse_args()
    options.arguments = sys.argv[1:]
    interrupt.install()
    if shutil.which(options.iperf3) is None:
        sys.exit(f"{options.iperf3!r} is not on PATH; install it (Debian, Ubuntu: apt install iperf3) or name it: --iperf3 PROGRAM")
    usage = subprocess.run([options.iperf3, "--help"], capture_output=True, text=True)
    if options.sink == "discard" and "--skip-rx-copy" not in usage.stdout + usage.stderr:
        sys.exit(f"this {options.iperf3} has no --skip-rx-copy (iperf 3.17 has); name a newer one: --iperf3 PROGRAM")
    if not {SENDER_CPU, RECEIVER_CPU} <= os.sched_getaffinity(0):
        sys.exit(f"this needs CPUs {SENDER_CPU} and {RECEIVER_CPU}, and may use {sorted(os.sched_getaffinity(0))}")
    text = page(run(options), options)
    print(text)
    if options.write:
        write(options.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
