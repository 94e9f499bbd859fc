"""What does a call from Python cost more than the same call from C: with nothing between calls, and with caches full of payload?

    python benchmarks/bare/call_cost.py

Both make the cheapest calls of their kind (calls.c says which), after copying so many KiB before each. The turn of zcload's loop is around
zcload's call, as in a window. Prints ns of CPU for a call, medians of the rounds, and the difference.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from zcload.lane.board import GATE
from zcload.mechanisms.sendfile import Sendfile
from zcload.sinks.recv import Recv

HERE = Path(__file__).parent
FILL = 32768  # calls between two looks at the clock, and bytes that a socket pair holds


def compiled() -> Path:
    """Return the program made from calls.c; exits with a message where there is no compiler."""
    source, program = HERE / "calls.c", HERE / "calls"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            sys.exit("no C compiler: install one (Debian, Ubuntu: apt install gcc) or name it: CC=clang")
        subprocess.run([compiler, "-O2", "-Wall", "-o", program, source], check=True)
    return program


def copies(to: memoryview, source: memoryview) -> int:
    """Copy as often as there are calls; return the CPU time (ns)."""
    start = time.process_time_ns()
    for _ in range(FILL):
        to[:] = source
    return time.process_time_ns() - start


def sends(send: Callable[[int, int], int], to: memoryview, source: memoryview) -> int:
    """Do what a sender's turn does (zcload/lane/loads/stream.py), a copy before each; return the CPU time (ns)."""
    words, number, size, step, whole_pass = memoryview(bytearray(8 * 64)).cast("q"), 0, 1 << 40, 1, False
    last_whole = size - step
    offset = passes = turns = 0
    start = time.process_time_ns()
    while turns < FILL and (words[GATE] == number or (whole_pass and offset)):
        to[:] = source
        moved = send(0, step if offset <= last_whole else size - offset)
        if not moved:
            raise AssertionError("the file ended early")
        turns += 1
        offset += moved
        if offset == size:
            offset = 0
            passes += 1
    return time.process_time_ns() - start


def receives(receive: Callable[[], int], to: memoryview, source: memoryview) -> int:
    """Do what a receiver's turn does (zcload/lane/receiver.py), a copy before each; return the CPU time (ns)."""
    words, now = memoryview(bytearray(8 * 64)).cast("q"), time.monotonic_ns
    total = turns = 0
    start = time.process_time_ns()
    to[:] = source
    while got := receive():
        turns += 1
        total += got
        words[0] = now()
        words[1] = words[2] = turns
        words[3] = total
        if turns == FILL:
            break
        to[:] = source
    return time.process_time_ns() - start


def python(file: int, copied: int, calls: int) -> tuple[float, float]:
    """Return the ns of CPU for a turn with sendfile and for one with recv."""
    to, source = memoryview(bytearray(copied)), memoryview(bytearray(copied))
    with open("/dev/null", "wb", buffering=0) as null:
        send = Sendfile(null, file, 1 << 40, 1).sender()  # type: ignore[arg-type]  # it takes the descriptor alone
        rounds = -(-calls // FILL)
        sending = sum(sends(send, to, source) - copies(to, source) for _ in range(rounds)) / (rounds * FILL)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receive, receiving = Recv(1).receiver(theirs), 0
        for _ in range(rounds):
            ours.sendall(bytes(FILL))
            receiving += receives(receive, to, source) - copies(to, source)
    return sending, receiving / (rounds * FILL)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, nargs="+", default=[0, 16, 64, 256], metavar="KIB", help="copied before each call")
    parser.add_argument("--calls", type=int, default=1 << 16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    program, cpu = compiled(), min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    file = os.memfd_create("calls")
    os.write(file, bytes(1 << 16))
    print(f"{'KiB copied':>10}  {'sendfile, C':>11} {'Python':>7} {'more':>6}  {'recv, C':>8} {'Python':>7} {'more':>6}   ns of CPU a call")
    for copied in (kib << 10 for kib in options.copies):
        bare, ours = [], []
        for _ in range(options.rounds):
            words = [program, f"/proc/self/fd/{file}", str(copied), str(options.calls), str(cpu)]
            done = subprocess.run(words, pass_fds=[file], capture_output=True, text=True, check=True)
            bare.append(tuple(map(float, done.stdout.split())))
            ours.append(python(file, copied, options.calls))
        (send_c, receive_c), (send, receive) = (tuple(map(statistics.median, zip(*each, strict=True))) for each in (bare, ours))
        print(f"{copied >> 10:10}  {send_c:11.0f} {send:7.0f} {send - send_c:6.0f}  ", end="")
        print(f"{receive_c:8.0f} {receive:7.0f} {receive - receive_c:6.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
