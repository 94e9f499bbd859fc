"""Die with the parent, adopt orphans (prctl(2)), wait for a process to end (pidfd_open(2)), read own use (getrusage(2))."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import time

PR_SET_PDEATHSIG, PR_SET_TIMERSLACK, PR_SET_CHILD_SUBREAPER = 1, 29, 36  # linux/prctl.h
_LOOK_S = 0.002  # between two looks at a process whose end nothing tells


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


def own_usage() -> dict[str, int]:
    """Return what this process has used, as only it can read exactly: CPU time in ns, context switches and page faults (getrusage(2))."""
    cpu_ns = time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)  # first: the rest costs CPU time itself
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_ns": cpu_ns,
        "voluntary": usage.ru_nvcsw,
        "involuntary": usage.ru_nivcsw,
        "minor_faults": usage.ru_minflt,
        "major_faults": usage.ru_majflt,
    }


def ended_within(pid: int, seconds: float) -> bool:
    """Wait until child process *pid* has ended, for *seconds* at most; return whether it has. It stays to be reaped.

    pidfd_open(2), since Linux 5.3: its descriptor becomes readable at that instant. `Popen.wait` with a limit sleeps up to 50 ms between
    two looks. This looks every 2 ms where pidfd_open fails: an older kernel, a seccomp filter, a Python that was built with older headers,
    or no descriptor left.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return _seen_to_end(pid, seconds)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(1000 * max(seconds, 0.0)))
    finally:
        os.close(descriptor)


def _seen_to_end(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    try:
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_S)
    except ChildProcessError:  # another thread has reaped it, as that which cancels an agent's task does
        pass
    return True
