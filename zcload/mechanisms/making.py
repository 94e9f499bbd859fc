"""Make a mechanism for a sender, and find out whether all senders of a lane can have one at the same time."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Mapping
from typing import Any

from zcload.errors import StudyError, reason_of
from zcload.mechanisms.base import Mechanism, Unavailable
from zcload.model.units import human_bytes

_MOST_BYTES = 16 << 20  # of the file that is tried with: more does not lock more
_CAP_IPC_LOCK = 14  # linux/capability.h


def make_mechanism(cls: type[Mechanism], sock: socket.socket, fd: int, size: int, chunk: int, options: Mapping[str, Any]) -> Mechanism:
    """Return a *cls* for one sender; raises OSError, and StudyError with the limit where no more memory may be locked."""
    try:
        return cls(sock, fd, size, chunk, **options)
    except OSError as error:
        if error.errno == errno.ENOMEM and cls.locks_memory:
            raise StudyError(f"{cls.name} cannot be set up: {reason_of(error)} ({_limit()}: `ulimit -l unlimited`)") from None
        raise


def probe_senders(cls: type[Mechanism], senders: int, size: int, chunk: int, options: Mapping[str, Any]) -> Unavailable | None:
    """Return why *senders* of *cls* cannot be set up at the same time; None if they can.

    What counts as locked depends on the kernel, so it is tried: in one process, as memory counts for the user, not for the process.
    """
    if not cls.locks_memory or _may_lock_all():
        return None
    size = min(size, _MOST_BYTES)
    made: list[Mechanism] = []
    ours, theirs = socket.socketpair()
    fd = os.memfd_create("zcload-probe", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, size)
        made.extend(cls(ours, fd, size, chunk, **options) for _ in range(senders))  # those before the one that fails are kept
    except (OSError, StudyError) as error:
        why = reason_of(error) if isinstance(error, OSError) else str(error)
        return Unavailable(f"{len(made)} of {senders} senders can be set up: {why} ({_limit()})", "ulimit -l unlimited")
    finally:
        for mechanism in made:
            mechanism.close()
        os.close(fd)
        ours.close()
        theirs.close()
    return None


def _limit() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    limit = "not limited" if soft == resource.RLIM_INFINITY else f"limited to {human_bytes(soft)}"
    return f"locked memory is {limit} for all processes of this user together"


def _may_lock_all() -> bool:
    """Say whether no limit holds for this process: none is set, or it has CAP_IPC_LOCK (mlock(2))."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            effective = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return False
    return bool(int(effective, 16) >> _CAP_IPC_LOCK & 1)
