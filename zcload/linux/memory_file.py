"""Make a file in memory (memfd) whose pages are allocated beforehand."""

from __future__ import annotations

import os


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
