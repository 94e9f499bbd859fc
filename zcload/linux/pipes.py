"""Make pipes sized for splice: a slot holds one page, so a pipe of the default size moves 64 KiB a call (pipe(7))."""

from __future__ import annotations

import fcntl
import os

PAGE = os.sysconf("SC_PAGE_SIZE")
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032  # linux/fcntl.h; the fcntl module names them, typeshed only from 3.10 on


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
