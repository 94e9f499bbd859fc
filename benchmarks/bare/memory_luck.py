"""What does the luck of memory and sockets cost? The C pair with one thing changed at a time, against the pair as it is.

    python benchmarks/bare/memory_luck.py --rounds 12
    python benchmarks/bare/memory_luck.py --rounds 9 --disk /var/tmp --only file

As root it adds a file in huge pages, and one whose huge pages were split into smaller blocks, each contiguous. With --disk it adds a file
on a disk, in the page cache as it was written and as it was read back.
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
from zcload.linux.huge_pages import collapse
from zcload.model.units import parse_size

AS_IT_IS = "as it is"
HUGE, PAGE = 2 << 20, 4096
KEEP_SIZE, PUNCH_HOLE = 1, 2  # linux/falloc.h
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


def split_file(content: int, size: int) -> int:
    """Return a copy of *content* whose huge pages the kernel has split: the last 4 KiB of each were freed and written again."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    fd = os.memfd_create("luck")
    fill(fd, content, size)
    collapse(fd, size, HUGE)
    for at in range(HUGE - PAGE, size, HUGE):
        if libc.fallocate(fd, KEEP_SIZE | PUNCH_HOLE, at, PAGE):
            raise OSError(ctypes.get_errno(), "fallocate")
        os.pwrite(fd, os.pread(content, PAGE, at), at)
    return fd


def disk_file(content: int, size: int, folder: Path, *, read_back: bool) -> int:
    """Return a copy of *content* on a disk, without a name: in the page cache as it was written, or with *read_back* as it was read."""
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fill(fd, content, size)
    os.fsync(fd)
    if read_back:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        for at in range(0, size, 1 << 20):
            os.pread(fd, 1 << 20, at)
    return fd


def fill(fd: int, content: int, size: int) -> None:
    """Copy *size* bytes of *content* into *fd*, in writes as large as a huge page."""
    for at in range(0, size, HUGE):
        os.pwrite(fd, os.pread(content, HUGE, at), at)


def made_cases(opened: ExitStack, options: argparse.Namespace) -> dict[str, Case]:
    """Make the files of all cases, which *opened* closes, and return the cases."""

    def keep(fd: int) -> int:
        opened.callback(os.close, fd)
        return fd

    size = options.file_size
    files = [keep(os.memfd_create("luck")) for _ in range(1 + options.files)]
    for _ in range(size >> 20):
        os.write(files[0], os.urandom(1 << 20))
    for fd in files[1:]:
        fill(fd, files[0], size)
    cases = {AS_IT_IS: Case(files[0]), "same again": Case(files[0])}
    cases |= {f"other file {number}": Case(fd) for number, fd in enumerate(files[1:], 1)}
    huge = opened.enter_context(huge_file(files[0], size))
    if huge is not None:
        cases["file in huge pages"] = Case(huge)
        cases["file, huge pages split"] = Case(keep(split_file(files[0], size)))
    if options.disk:
        for name, read_back in (("file on disk, written", False), ("file on disk, read", True)):
            cases[name] = Case(keep(disk_file(files[0], size, options.disk, read_back=read_back)))
    cases["buffers in huge pages"] = Case(files[0], buffer_offset=-1)
    cases["sockets autotuned"] = Case(files[0], socket_buffer=0)
    return cases | {f"receives of {chunk >> 10} KiB": Case(files[0], receive_chunk=chunk) for chunk in (64 << 10, 1 << 20)}


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
    parser.add_argument("--disk", type=Path, metavar="FOLDER", help="a folder on a disk, for files in the page cache")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with TEXT in their name")
    parser.add_argument("--seconds", type=float, default=0.2, help="open time of a case in a round")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    interrupt.install()
    with ExitStack() as opened:
        cases = {name: case for name, case in made_cases(opened, options).items() if options.only in name or name == AS_IT_IS}
        for mechanism in options.mechanisms:
            print(f"{mechanism}, chunk {options.chunk >> 10} KiB, CPU s/GB, ratio to the pair as it is, {options.rounds} rounds")
            for line in table(run(cases, mechanism, options)):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
