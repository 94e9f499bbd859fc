"""timerfd_create(2): a descriptor that becomes readable at a given instant.

epoll_wait(2) counts in milliseconds; a timer counts in nanoseconds. The os module has it since Python 3.13.
"""

from __future__ import annotations

import ctypes
import os
import time

TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME = 0o2000000, 0o4000, 1  # linux/timerfd.h


class _Timespec(ctypes.Structure):
    _fields_ = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("it_interval", _Timespec), ("it_value", _Timespec)]


class Timer:
    """One timer of CLOCK_MONOTONIC. Polled with EPOLLET it need not be read: being set again is what clears it."""

    def __init__(self) -> None:
        """Make it, not set; raises OSError."""
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.timerfd_create(time.CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Itimerspec()
        self._value = self._spec.it_value
        self._pointer = ctypes.byref(self._spec)
        self._settime = libc.timerfd_settime

    def set(self, instant_ns: int) -> None:
        """Have it come at *instant_ns* (CLOCK_MONOTONIC), at once if that has passed; raises OSError."""
        self._value.tv_sec, self._value.tv_nsec = divmod(instant_ns, 1_000_000_000)
        if self._settime(self.fd, TFD_TIMER_ABSTIME, self._pointer, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Close it; harmless when called twice."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
