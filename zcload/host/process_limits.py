"""Name the limit that keeps a process from being made: what the system says of it names none."""

from __future__ import annotations

import errno
import resource

from zcload.errors import reason_of
from zcload.host.topology import HERE, Host, cgroup_directories
from zcload.model.units import human_bytes


def process_refused(error: OSError, host: Host = HERE) -> str:
    """Return what *error*, of fork(2) or a thread's start, says, and the limit that is reached: "... (raise pids.max of ...)".

    EAGAIN stands for several limits (fork(2)); a control group's is told by its own counters (Documentation/admin-guide/cgroup-v2.rst,
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


def _memory_hint() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        return f"the address space of a process is limited to {human_bytes(soft)}: raise `ulimit -v`"
    return "see vm.overcommit_memory, and the memory limit of the control group"
