"""Locks on open files (flock(2)): they belong to the open file description, so processes that inherit it hold the lock together.

The kernel drops a lock with the last descriptor, however the process that holds it ends: a lock that is held says that somebody lives.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock(fd: int) -> bool:
    """Lock the open file *fd* for this process alone; return whether it got the lock.

    A file system without locks, such as some network ones, cannot tell of another holder: there the answer is True.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of *folder* within the block; raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        lock(fd)
        yield
    finally:
        os.close(fd)


def holder(fd: int) -> int | None:
    """Return the pid of the process that took the lock on the open file *fd*; None if nobody did, or it cannot be seen from here.

    The format of /proc/locks: Documentation/filesystems/proc.rst. A lock of another pid namespace has no pid there.
    """
    info = os.fstat(fd)
    place = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii") as locks:
            rows = [line.split() for line in locks]
    except OSError:
        return None
    pids = [int(row[4]) for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5] == place]
    return next((pid for pid in pids if pid > 0), None)
