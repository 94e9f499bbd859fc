"""prctl(2): a worker that dies with its parent, and a process that adopts orphans."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG, PR_SET_TIMERSLACK, PR_SET_CHILD_SUBREAPER = 1, 29, 36  # linux/prctl.h


def wake_on_time() -> None:
    """Have the kernel end this thread's sleeps at once when they are over: by default it may let 50 us pass (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0):  # ns
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_TIMERSLACK)")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however it ends; exit at once if *parent* has ended already.

    prctl(2): the signal comes when the thread that forked ends, so the parent must fork from its only thread.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended between the fork and the prctl
        os._exit(1)


def adopt_orphans() -> None:
    """Have every descendant whose parent ends become this process's child, however often it has forked; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
