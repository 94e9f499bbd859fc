"""Network and user namespaces: unshare(2) and setns(2), which the os module has only since Python 3.12."""

from __future__ import annotations

import ctypes
import os

from zcload.errors import os_error

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move this thread into new namespaces of the kinds in *flags*; raises OSError."""
    if _libc.unshare(flags):
        raise os_error(ctypes.get_errno())


def enter_network(fd: int) -> None:
    """Move this thread into the network namespace that *fd* holds; raises OSError.

    setns(2) asks for CAP_SYS_ADMIN over that namespace and over the caller's own user namespace.
    """
    if _libc.setns(fd, CLONE_NEWNET):
        raise os_error(ctypes.get_errno())


def enter_user(fd: int) -> None:
    """Move this process, which has one thread, into the user namespace that *fd* holds; raises OSError.

    Whoever made it may enter it from outside, and has all capabilities in it until the next execve(2): user_namespaces(7).
    """
    if _libc.setns(fd, CLONE_NEWUSER):
        raise os_error(ctypes.get_errno())


def keep_own_ids(uid: int, gid: int) -> None:
    """Make *uid* and *gid* in the parent mean the same in this new user namespace; raises OSError. See user_namespaces(7)."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def own_user() -> int:
    """Return a descriptor of this process's user namespace."""
    return os.open("/proc/thread-self/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def own_network() -> int:
    """Return a descriptor of this thread's network namespace: it lives as long as something holds it, and it needs no name."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
