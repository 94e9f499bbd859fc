"""perf_event_open(2): counters of another process, as far as an ordinary user may read them.

Constants and layout: linux/perf_event.h. Events are attached to every thread of a process and inherited by threads it starts.
Software events the kernel counts itself; hardware events need a performance monitoring unit, which most virtual machines hide.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from zcload.errors import os_error, reason_of

_NUMBERS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "loongarch64": 241}  # asm/unistd.h: __NR_perf_event_open
_SOFTWARE, _HARDWARE = 1, 0  # PERF_TYPE_*
_ATTR_BYTES = 64  # PERF_ATTR_SIZE_VER0, Linux 2.6.31
_DISABLED, _INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HV = 1 << 0, 1 << 1, 1 << 5, 1 << 6
_TIMES = 1 | 2  # PERF_FORMAT_TOTAL_TIME_ENABLED, _RUNNING
_CLOEXEC = 8  # PERF_FLAG_FD_CLOEXEC
_ENABLE, _RESET = 0x2400, 0x2403  # PERF_EVENT_IOC_*

EVENTS: dict[str, tuple[int, int]] = {  # name: (type, config)
    "cycles": (_HARDWARE, 0),
    "instructions": (_HARDWARE, 1),
    "migrations": (_SOFTWARE, 4),
}
IN_KERNEL = ("migrations",)  # happen in the kernel, so that without it nothing is left to count

_libc = ctypes.CDLL(None, use_errno=True)


def _open(pid: int, event: str, user_only: bool) -> int:
    kind, config = EVENTS[event]
    flags = _DISABLED | _INHERIT | _EXCLUDE_HV | (_EXCLUDE_KERNEL if user_only else 0)
    attr = ctypes.create_string_buffer(struct.pack("=IIQQQQQIIQ", kind, _ATTR_BYTES, config, 0, 0, _TIMES, flags, 0, 0, 0), _ATTR_BYTES)
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        raise os_error(errno.ENOSYS)
    fd: int = _libc.syscall(number, attr, pid, -1, -1, _CLOEXEC)
    if fd < 0:
        code = ctypes.get_errno()
        raise os_error(code)
    return fd


@dataclass(frozen=True, slots=True)
class Ability:
    """What this process may count of its own children: the *events*, why not the others, and whether in user space only."""

    events: tuple[str, ...]
    reasons: dict[str, str]
    user_only: bool


def ability() -> Ability:
    """Try each event on this process, with the kernel and without; raises nothing."""
    user_only, events, reasons = False, [], {}
    for event in EVENTS:
        try:
            try:
                fd = _open(0, event, user_only)
            except PermissionError:
                fd, user_only = _open(0, event, True), True
            os.close(fd)
            events.append(event)
        except OSError as error:
            reasons[event] = _why(error, event)
    if user_only:
        for event in IN_KERNEL:
            if event in events:
                events.remove(event)
                reasons[event] = "it happens in the kernel, which this user may not count (kernel.perf_event_paranoid)"
    return Ability(tuple(events), reasons, user_only)


def _why(error: OSError, event: str) -> str:
    """Say why an event cannot be counted, with the remedy where there is one."""
    if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
        return "no PMU: most virtual machines hide it"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "this user may not count (sysctl -w kernel.perf_event_paranoid=1, or a container's seccomp profile)"
    if error.errno == errno.ENOSYS:
        return "this kernel has no perf_event_open"
    return f"perf_event_open: {reason_of(error)}"


class PerfCounters:
    """Counters of processes, attached while they are at rest, stopped until `start`; `close` gives them back."""

    def __init__(self, pids: Iterable[int], what: Ability) -> None:
        """Raise OSError if one cannot be opened, ProcessLookupError if a process is gone."""
        self._fds: dict[str, list[int]] = {event: [] for event in what.events}
        try:
            for pid in pids:
                for thread in map(int, os.listdir(f"/proc/{pid}/task")):
                    for event, fds in self._fds.items():
                        fds.append(_open(thread, event, what.user_only))
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Begin to count, from zero."""
        for fd in (fd for fds in self._fds.values() for fd in fds):
            fcntl.ioctl(fd, _RESET, 0)
            fcntl.ioctl(fd, _ENABLE, 0)

    def read(self) -> dict[str, int | None]:
        """Return the sum of each event over all processes and their threads; None for one that another user's counters left no room for.

        An event that shared its counter is scaled by the time it had it.
        """
        found: dict[str, int | None] = {}
        for event, fds in self._fds.items():
            total = 0.0
            for fd in fds:
                value, enabled, running = struct.unpack("=QQQ", os.read(fd, 24))
                if enabled and not running:
                    total = float("nan")
                elif running:
                    total += value * enabled / running
            found[event] = None if total != total else round(total)
        return found

    def close(self) -> None:
        """Stop counting and give the descriptors back; harmless when called twice."""
        for fds in self._fds.values():
            for fd in fds:
                os.close(fd)
            fds.clear()
