"""What does the luck of memory and sockets cost? The C pair with one thing changed at a time, against the pair as it is.

    python benchmarks/bare/memory_luck.py --rounds 12

As root it adds a file in huge pages.
Prints the ratio of both ends' CPU, and of the receiver's alone, to those of the pair with nothing changed, with the 95 % interval of the
rounds. Every round runs all cases in random order. `same again` changes nothing: it shows what the series cannot tell apart. `other file`
is the same content in other pages of memory; of several the table shows each, because which pages a file gets is luck.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from side_by_side import MECHANISMS, Cost, bare, compiled

from zcload.analysis.stats import mean_interval
from zcload.linux import interrupt
from zcload.model.units import parse_size

AS_IT_IS = "as it is"
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18  # linux/sched.h, linux/mount.h


@dataclass(frozen=True)
class Case:
    """One thing changed: the file, where the buffers lie (-1: huge pages), the sockets' buffers (0: the kernel's), or a receive's size."""

    fd: int
    buffer_offset: int = 0
    socket_buffer: int = 1 << 20
    receive_chunk: int = 256 << 10


@contextmanager
def huge_file(content: int, size: int) -> Iterator[int | None]:
    """Give a copy of *content* in a tmpfs of huge pages, which this process alone sees; None without the privilege to mount one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        if libc.mount(b"memory_luck", os.fsencode(folder), b"tmpfs", 0, b"huge=always"):
            yield None
            return
        try:
            fd = os.open(Path(folder) / "file", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            try:
                fill(fd, content, size)
                yield fd
            finally:
                os.close(fd)
        finally:
            libc.umount2(os.fsencode(folder), 0)


def fill(fd: int, content: int, size: int) -> None:
    """Copy *size* bytes of *content* into *fd*, in writes as large as a huge page."""
    for at in range(0, size, 2 << 20):
        os.pwrite(fd, os.pread(content, 2 << 20, at), at)


def run(cases: dict[str, Case], mechanism: str, options: argparse.Namespace) -> dict[str, list[Cost]]:
    """Measure all rounds of *cases* with *mechanism*."""
    program, rng = compiled(), random.Random(options.seed)
    found: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(options.rounds):
        for name in rng.sample(list(cases), len(cases)):
            interrupt.check()
            case = cases[name]
            changed = argparse.Namespace(
                sink="recv",
                receive_chunk=case.receive_chunk,
                socket_buffer=case.socket_buffer,
                buffer_offset=case.buffer_offset,
                bare_work_ns=0,
            )
            found[name].append(bare(program, case.fd, mechanism, options.chunk, 0.05, max(1, round(options.seconds / 0.05)), changed))
    return found


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Return the ratio of *ours* to *theirs* with its interval."""
    interval = mean_interval([math.log(a / b) for a, b in zip(ours, theirs, strict=True)])
    if interval is None:
        return "one round"
    shown = interval.map(math.exp)
    return f"{shown.estimate:.3f} ({shown.low:.3f}..{shown.high:.3f})"


def table(found: dict[str, list[Cost]]) -> Iterator[str]:
    """Return a line for each case."""
    plain = found[AS_IT_IS]
    for name, costs in found.items():
        sender, receiver = (sum(getattr(c, end) for c in costs) / len(costs) for end in ("sender", "receiver"))
        both = ratio([c.total for c in costs], [c.total for c in plain])
        alone = ratio([c.receiver for c in costs], [c.receiver for c in plain])
        yield f"  {name:22} sender {sender:.3f}  receiver {receiver:.3f}  both ends {both}  receiver {alone}"


def main() -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mechanisms", nargs="+", choices=MECHANISMS, default=["read_send", "sendfile"])
    parser.add_argument("--chunk", type=parse_size, default=256 << 10, metavar="SIZE")
    parser.add_argument("--file-size", type=parse_size, default=256 << 20, metavar="SIZE")
    parser.add_argument("--files", type=int, default=3, help="how many other files")
    parser.add_argument("--seconds", type=float, default=0.2, help="open time of a case in a round")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    interrupt.install()
    with ExitStack() as opened:
        files = [os.memfd_create("luck") for _ in range(1 + options.files)]
        for fd in files:
            opened.callback(os.close, fd)
        for _ in range(options.file_size >> 20):
            os.write(files[0], os.urandom(1 << 20))
        for fd in files[1:]:
            fill(fd, files[0], options.file_size)
        cases = {AS_IT_IS: Case(files[0]), "same again": Case(files[0])}
        cases |= {f"other file {number}": Case(fd) for number, fd in enumerate(files[1:], 1)}
        huge = opened.enter_context(huge_file(files[0], options.file_size))
        if huge is not None:
            cases["file in huge pages"] = Case(huge)
        cases["buffers in huge pages"] = Case(files[0], buffer_offset=-1)
        cases["sockets autotuned"] = Case(files[0], socket_buffer=0)
        cases |= {f"receives of {size >> 10} KiB": Case(files[0], receive_chunk=size) for size in (64 << 10, 1 << 20)}
        for mechanism in options.mechanisms:
            print(f"{mechanism}, chunk {options.chunk >> 10} KiB, CPU s/GB, ratio to the pair as it is, {options.rounds} rounds")
            for line in table(run(cases, mechanism, options)):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
