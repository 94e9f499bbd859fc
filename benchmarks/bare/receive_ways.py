"""What does a receive from Python cost: which call is the cheapest, and what does each statement of the receivers' turn add?

    python benchmarks/bare/receive_ways.py

Each way takes single bytes from a socket pair that was filled before, and copies so many KiB before each receive, as a payload would. All
ways run in turn in each round, in one process. Prints ns of CPU of a receive with its loop, less the copies: medians of the rounds.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

FILL = 8192  # receives of a way in a round, and bytes that the socket pair holds
LOOP = """
def run(receive, to, source, words, now, clock, last_at, turns_at, calls_at, bytes_at):
    total, turns = 1 << 40, 0
    start = clock()
    to[:] = source
    {loop}:
        turns += 1
        {statements}
        if turns == {fill}:
            break
        to[:] = source
    return clock() - start
"""
WHILE, FOR = "while got := receive()", "for got in iter(receive, 0)"
ALL = ("total += got", "words[last_at] = now()", "words[turns_at] = words[calls_at] = turns", "words[bytes_at] = total")
ONE_WORD_LESS = ("total += got", "words[last_at] = now()", "words[turns_at] = turns", "words[bytes_at] = total")
WAYS: dict[str, tuple[str, str, tuple[str, ...]]] = {  # what is printed: the call, the loop, its statements
    "recv_into": ("recv_into", WHILE, ()),
    "FileIO.readinto": ("readinto", WHILE, ()),
    "os.readv": ("readv", WHILE, ()),
    "recvmsg_into": ("recvmsg_into", WHILE, ()),
    "zcload's turn": ("recv_into", WHILE, ALL),
    "its turn in a for": ("recv_into", FOR, ALL),
    "one word less": ("recv_into", WHILE, ONE_WORD_LESS),
    "without the time": ("recv_into", WHILE, ALL[:1] + ALL[2:]),
}


def compiled(loop: str, statements: tuple[str, ...]) -> Callable[..., int]:
    """Return the loop as a function: a benchmark of statements must not add a call to each."""
    names: dict[str, Callable[..., int]] = {}
    exec(LOOP.format(loop=loop, statements="\n        ".join(statements or ("pass",)), fill=FILL), names)
    return names["run"]


def receiver(call: str, sock: socket.socket, buffer: memoryview) -> Callable[[], int]:
    """Return *call* on *sock* as a function without arguments that returns the bytes taken."""
    if call == "readinto":
        return partial(io.FileIO(sock.fileno(), closefd=False).readinto, buffer)
    if call == "readv":
        return partial(os.readv, sock.fileno(), (buffer,))
    if call == "recvmsg_into":
        return lambda: sock.recvmsg_into((buffer,))[0]
    return partial(sock.recv_into, buffer)


def copies(to: memoryview, source: memoryview) -> int:
    """Copy as often as a way receives; return the CPU time (ns)."""
    start = time.process_time_ns()
    for _ in range(FILL):
        to[:] = source
    return time.process_time_ns() - start


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, nargs="+", default=[0, 64, 256], metavar="KIB", help="copied before each receive")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    loops = {way: compiled(loop, statements) for way, (_, loop, statements) in WAYS.items()}
    words, clock = memoryview(bytearray(8 * 64)).cast("q"), time.process_time_ns
    buffers = {kib: (memoryview(bytearray(kib << 10)), memoryview(bytearray(kib << 10))) for kib in options.copies}
    seen: dict[tuple[str, int], list[float]] = {(way, kib): [] for way in WAYS for kib in options.copies}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receivers = {way: receiver(call, theirs, memoryview(bytearray(1))) for way, (call, _, _) in WAYS.items()}
        for _ in range(options.rounds):
            for way, kib in seen:
                to, source = buffers[kib]
                ours.sendall(bytes(FILL))
                took = loops[way](receivers[way], to, source, words, time.monotonic_ns, clock, 0, 1, 2, 3)
                seen[way, kib].append((took - copies(to, source)) / FILL)
    print(f"{'ns of CPU a receive':20}", *(f"{kib:4} KiB copied" for kib in options.copies))
    for way in WAYS:
        print(f"{way:20}", *(f"{statistics.median(seen[way, kib]):15.0f}" for kib in options.copies))
    return 0


if __name__ == "__main__":
    sys.exit(main())
