"""Name the limit that caused an error: too many processes, threads or open files, too little memory."""

from __future__ import annotations

import errno
import os
import resource

from zcload.errors import reason_of
from zcload.host.topology import HERE, Host, cgroup_directories
from zcload.model.units import human_bytes


def process_refused(error: OSError, host: Host = HERE) -> str:
    """Return what *error*, of fork(2) or a thread's start, says, and the limit that is reached: "... (raise pids.max of ...)".

    EAGAIN stands for several limits (fork(2)); the one of a control group shows in its counters (Documentation/admin-guide/cgroup-v2.rst,
    "PID", the same in cgroup-v1/pids.rst).
    """
    if error.errno == errno.ENOMEM:
        return f"{reason_of(error)} ({_memory_hint()})"
    for directory in cgroup_directories(host, "pids"):
        most, now = host.number(f"{directory}/pids.max"), host.number(f"{directory}/pids.current")
        if most is not None and now is not None and now >= most:
            return f"{reason_of(error)} (its control group may have {most} processes and has {now}: raise {directory}/pids.max)"
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    user = "" if soft == resource.RLIM_INFINITY else f"this user may have {soft}: raise `ulimit -u`, or "
    return f"{reason_of(error)} ({user}see kernel.pid_max and kernel.threads-max)"


def out_of_resource(error: BaseException) -> str | None:
    """Return the message for *error* if a limit of this process or this machine caused it; None if it has another cause."""
    # A codec that cannot be loaded is said to be unknown.
    unloaded = isinstance(error, (ImportError, LookupError)) and ("failed to map segment" in str(error) or "unknown encoding" in str(error))
    if isinstance(error, MemoryError) or unloaded:
        return f"not enough memory ({_memory_hint()})"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return f"a thread cannot be started: {process_refused(OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)))}"
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.ENOMEM, errno.EAGAIN):
        return process_refused(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"{reason_of(error)} (a process may have {soft}, `ulimit -n`; all together fs.file-max)"
    return None


def _memory_hint() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        return f"the address space of a process is limited to {human_bytes(soft)}: raise `ulimit -v`"
    return "see vm.overcommit_memory, and the memory limit of the control group"
