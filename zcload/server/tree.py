"""Read a process tree as if it were one process. No CPU time is lost when processes end.

Its CPU time is that of its control group where it has one of its own. Else it is the sum of the exact clocks of the processes that
live, of what they have waited for (cutime and cstime of /proc/PID/stat, in ticks of 10 ms), and of what the supervisor has reaped.
A process that ends moves from the first of these to one of the others; if it disappears without being waited for, its last reading stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Protocol

from zcload.host.process import ObservedProcess, read_proc

_TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


class Clock(Protocol):
    """What gives the CPU time of a whole tree."""

    def cpu_ns(self) -> int:
        """Return the CPU time used, ns."""


def children(pid: int) -> list[int]:
    """Return the children of process *pid*, of all its threads; empty when it is gone. Dependable for processes at rest (proc(5))."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return found
    for tid in threads:
        try:
            found += map(int, read_proc(f"/proc/{pid}/task/{tid}/children").split())
        except ProcessLookupError:
            pass
        except FileNotFoundError:  # the thread has ended, and others may have children yet
            if not os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"):
                return _children_by_parent(pid)  # a kernel without CONFIG_PROC_CHILDREN
    return found


def _children_by_parent(pid: int) -> list[int]:
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


def descendants(pid: int) -> Iterator[int]:
    """Yield all descendants of process *pid*, parents first."""
    for child in children(pid):
        yield child
        yield from descendants(child)


class ObservedTree:
    """Observe all descendants of process *top*, with *top* itself if *own*, as one.

    *group* is the clock of the control group that holds exactly them; *reaped_ns* gives the CPU time of those that a supervisor reaped.
    """

    def __init__(self, top: int, *, own: bool, group: Clock | None = None, reaped_ns: Callable[[], int] | None = None) -> None:
        """Raise ProcessLookupError if there is no such process, PermissionError if its CPU clock may not be read."""
        self.pid = top
        self._own, self._group, self._reaped_ns = own, group, reaped_ns or (lambda: 0)
        self._members: dict[int, ObservedProcess] = {}
        self._most_ns = 0  # the tree's time so far, which never goes back
        self._lost_ns = 0  # time of processes that nobody waited for
        self.ended = 0  # how many processes have gone since the tree was first looked at
        self.members()

    @property
    def source(self) -> str:
        """Return the source of the CPU time: "cgroup" or "clocks"."""
        return "cgroup" if self._group is not None else "clocks"

    def members(self) -> list[ObservedProcess]:
        """Read the tree again and return its processes, parents first."""
        found = [*([self.pid] if self._own else ()), *descendants(self.pid)]
        for pid in self._members.keys() - set(found):
            self._members.pop(pid).close()
            self.ended += 1
        for pid in found:
            if pid not in self._members:
                try:
                    self._members[pid] = ObservedProcess(pid)
                except ProcessLookupError:
                    pass  # it has ended since
        return [self._members[pid] for pid in found if pid in self._members]

    def last_seen(self) -> list[ObservedProcess]:
        """Return the processes of the last look, whoever their parents are by now."""
        return list(self._members.values())

    def cpu_ns(self) -> int:
        """Return the CPU time that all processes of the tree, past and present, have used, ns; raises OSError when all are gone."""
        return self._group.cpu_ns() if self._group is not None else self.clocks_ns()

    def clocks_ns(self) -> int:
        """Return the same from the clocks of processes, whether there is a group or not; raises OSError when all are gone."""
        total, waited, alive = self._reaped_ns(), 0, False
        for member in self.members():
            try:
                own_ns, ticks = member.cpu_ns(), member.waited_ticks()
            except OSError:
                continue  # it ends at this moment: the next look finds its time elsewhere
            total, waited, alive = total + own_ns, waited + ticks, True
        if not alive:
            raise ProcessLookupError("no process of the tree is left")
        total += waited * _TICK_NS + self._lost_ns
        # Ticks are rounded down and nobody may have waited: what was used once stays used.
        self._lost_ns += max(0, self._most_ns - total)
        self._most_ns = max(self._most_ns, total)
        return self._most_ns

    def readings_ns(self) -> dict[str, int | None]:
        """Return what each source says of the CPU time so far, ns; None where there is no group. At rest both tell of the same time."""
        return {"clocks": self.clocks_ns(), "cgroup": self._group.cpu_ns() if self._group is not None else None}

    def blocked(self) -> bool:
        """Return whether every thread of every process is blocked; raises OSError when all are gone."""
        members = self.members()
        if not members:
            raise ProcessLookupError("no process of the tree is left")
        return all(_blocked(member) for member in members)

    def close(self) -> None:
        """Close all descriptors; harmless when called twice."""
        for member in self._members.values():
            member.close()
        self._members.clear()


def _blocked(member: ObservedProcess) -> bool:
    try:
        return member.blocked()
    except (OSError, IndexError):
        return False  # it has just ended: look again
