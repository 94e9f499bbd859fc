"""Network and user namespaces: unshare(2) and setns(2), which the os module has from Python 3.12 on."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move this thread into new namespaces of the kinds in *flags*; raises OSError."""
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter_network(fd: int) -> None:
    """Move this thread into the network namespace that *fd* holds; raises OSError.

    setns(2) asks for CAP_SYS_ADMIN over that namespace and over the caller's own user namespace.
    """
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def own_network() -> int:
    """Return a descriptor of this thread's network namespace: it lives as long as something holds it, and it needs no name."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
