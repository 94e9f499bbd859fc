"""A control group (v2) for one server, where this user may make one: it counts the CPU time of all its processes.

No controller is switched on for it: CPU time is counted in every v2 group (Documentation/admin-guide/cgroup-v2.rst, "cpu.stat"), and
without one the scheduler treats its processes like all others.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from zcload.host.topology import HERE, Host, cgroup_directories
from zcload.linux.locks import lock

_TRIES, _PAUSE_S = 50, 0.01  # to lock a new group: another run holds it for less than a millisecond


def own_group(host: Host = HERE) -> Path | None:
    """Return this process's own group of v2; None where there is no v2."""
    own = next(iter(cgroup_directories(host, "")), None)  # no controller of v1 has this name, so only v2 is found
    return None if own is None else host.path(own)


def make_group(name: str, host: Host = HERE) -> Path | None:
    """Make a group called *name* below this process's own, into which it may move its children; None where that is not allowed."""
    own = own_group(host)
    if own is None:
        return None
    group = own / name
    try:
        group.mkdir()
    except OSError:
        return None
    if (group / "cpu.stat").exists() and os.access(group / "cgroup.procs", os.W_OK) and os.access(group.parent / "cgroup.procs", os.W_OK):
        return group
    remove_group(group)
    return None


def hold_new_group(name: str, host: Host = HERE) -> tuple[Path, int] | None:
    """Make a group called *name* with `make_group` and lock it; return it with the descriptor that holds the lock; None if that fails.

    Another run that looks for leftovers holds the lock of an empty group for a moment, or has removed the group before this one could lock
    it: then it is made again.
    """
    group = make_group(name, host)
    for _ in range(_TRIES):
        if group is None:
            break
        if (fd := _locked(group)) is not None:
            return group, fd
        time.sleep(_PAUSE_S)
        if not group.exists():
            group = make_group(name, host)
    return None


def _locked(group: Path) -> int | None:
    """Return a descriptor that locks *group* while it is open; None if another process has locked it, or removed it."""
    try:
        fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    if lock(fd) and (group / "cgroup.procs").exists():
        return fd
    os.close(fd)
    return None


def left_groups(pattern: re.Pattern[str]) -> Iterator[Path]:
    """Yield the groups below this process's own whose name is of *pattern*, that hold no process, and that no process has locked.

    Each is locked until the next is asked for, so that nobody moves into it.
    """
    own = own_group()
    try:
        inside = list(own.iterdir()) if own is not None else []
    except OSError:  # it was removed while this process was in it, or is not shown here
        return
    for path in inside:
        if pattern.fullmatch(path.name) and (fd := _locked(path)) is not None:
            try:
                if not _holds_process(path):
                    yield path
            finally:
                os.close(fd)


def _holds_process(group: Path) -> bool:
    """Say whether there is a process in *group*; True where that cannot be read."""
    try:
        return bool((group / "cgroup.procs").read_text().strip())
    except OSError:
        return True


def enter_group(group: Path) -> None:
    """Move this process into *group*; raises OSError."""
    (group / "cgroup.procs").write_text("0")


def kill_group(group: Path) -> None:
    """Kill every process in *group* at once, those being forked too, by cgroup.kill (Linux 5.14); do nothing on older kernels."""
    try:
        (group / "cgroup.kill").write_text("1")
    except OSError:
        pass


def remove_group(group: Path) -> None:
    """Remove *group* if it is empty and there."""
    try:
        group.rmdir()
    except OSError:
        pass


class GroupClock:
    """The CPU clock of a group: the time of all its processes, ended ones too, in whole microseconds."""

    __slots__ = ("_fd",)

    def __init__(self, group: Path) -> None:
        """Raise OSError if the group cannot be read."""
        self._fd = os.open(group / "cpu.stat", os.O_RDONLY | os.O_CLOEXEC)

    def cpu_ns(self) -> int:
        """Return the CPU time used, ns; raises OSError."""
        words = os.pread(self._fd, 64, 0).split(None, 2)
        return 1000 * int(words[1])  # the first line is usage_usec

    def close(self) -> None:
        """Close the descriptor; harmless when called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
