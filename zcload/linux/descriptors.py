"""Make files in memory (memfd) and pipes sized for splice (pipe(7)), and raise the limit of open files (RLIMIT_NOFILE)."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from zcload.linux.memory import PAGE

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032  # linux/fcntl.h; the fcntl module names them, typeshed only from 3.10 on


def memory_file(size: int) -> int:
    """Return the descriptor of an unlinked file in memory of *size* bytes, every page allocated; raises OSError.

    A memfd (memfd_create(2)) is a tmpfs file without a name: it is gone with its last descriptor, however the process ends.
    """
    fd = os.memfd_create("zcload-sink", os.MFD_CLOEXEC)
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError:
        os.close(fd)
        raise
    return fd


def sized_pipe(wanted: int) -> tuple[int, int, int]:
    """Return (read end, write end, capacity in bytes) of a pipe for *wanted* bytes, as large as this user may have.

    The kernel rounds up to a power of two of pages. Without CAP_SYS_RESOURCE the limit is fs.pipe-max-size, and a user whose
    pipes together exceed fs.pipe-user-pages-soft gets small ones: the largest that is granted is taken, never an error.
    """
    reader, writer = os.pipe()
    capacity = fcntl.fcntl(writer, F_GETPIPE_SZ)
    size = max(wanted, PAGE)
    while size > capacity:
        try:
            capacity = fcntl.fcntl(writer, F_SETPIPE_SZ, size)
        except OSError:
            size //= 2
    return reader, writer, capacity


def most_open_files() -> int | None:
    """Return how many descriptors this process may have at most; None where there is no limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


@contextmanager
def room_for_files(needed: int) -> Iterator[None]:
    """Have room for *needed* descriptors within the block, as far as the hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft == resource.RLIM_INFINITY or soft >= raised:
        yield
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
