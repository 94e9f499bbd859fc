"""A queue of connections by the time of their next request, and the wait for the first of them or for an answer."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from zcload.linux.timer import Timer
from zcload.server.http.connection import SILENCE_S, Connection
from zcload.server.http.fetcher import Fetcher

WAITS = ("clock_nanosleep", "timerfd_settime")  # the system calls that wait for an instant


class DueQueue:
    """Has *begin* called for each connection when its time has come, with the instant that it was due at (CLOCK_MONOTONIC, ns).

    With no answer under way the receiver sleeps (clock_nanosleep), as a paced sender does; else it polls, and in the last
    millisecond a timer ends that to the nanosecond. *counts* are the calls of both, in the order of WAITS.
    """

    def __init__(self, fetcher: Fetcher, begin: Callable[[Connection, int], None]) -> None:
        self._fetcher, self._begin = fetcher, begin
        self._waiting: list[tuple[int, int, Connection]] = []
        self._timer: Timer | None = None
        self._set_for = 0
        self.counts = [0, 0]
        if fetcher.poller is not None:
            self._timer = Timer()
            fetcher.poller.register(self._timer.fd, select.EPOLLIN | select.EPOLLET)

    @property
    def sleeps(self) -> int:
        """Return how many times it waited for an instant."""
        return sum(self.counts)

    def put(self, due_ns: int, connection: Connection) -> None:
        """Let *connection* wait until *due_ns*; it counts as busy meanwhile."""
        heappush(self._waiting, (due_ns, connection.number, connection))

    def drop(self) -> None:
        """Drop all waiting connections: the window is over."""
        self._fetcher.busy -= len(self._waiting)
        self._waiting.clear()

    def ready(self) -> Iterable[Connection]:
        """Begin the requests that are due, and return connections that can be read; none if none is busy. Raises StudyError."""
        waiting, fetcher, now = self._waiting, self._fetcher, time.monotonic_ns
        while waiting:
            due_ns = waiting[0][0]
            left_ns = due_ns - now()
            if left_ns <= 0:
                self._begin(heappop(waiting)[2], due_ns)
            elif len(waiting) == fetcher.busy and self._set_for != due_ns:
                self.counts[0] += 1
                time.sleep(left_ns * 1e-9)
            else:
                return self._poll(due_ns)
        return self._poll(None) if fetcher.busy else ()

    def _poll(self, due_ns: int | None) -> Iterable[Connection]:
        """Wait until connections can be read or *due_ns* has come."""
        fetcher, timer = self._fetcher, self._timer
        if fetcher.poller is None or timer is None:
            return fetcher.connections  # the only one waits by itself
        if fetcher.encrypt is not None and fetcher.pending():
            return fetcher.served
        if due_ns is None:
            wait_s: float | None = SILENCE_S
        elif self._set_for == due_ns:
            wait_s = None
        elif (left_ms := (due_ns - time.monotonic_ns()) // 1_000_000) > 0:
            wait_s = (left_ms - 0.5) * 1e-3  # rounded up to milliseconds: the answer is most likely there before, and no timer needed
        else:
            self._set_for, wait_s = due_ns, None
            self.counts[1] += 1
            timer.set(due_ns)
        found = fetcher.poller.poll(wait_s)
        fetcher.counts[-1] += 1
        if not found and due_ns is None:
            raise fetcher.silence()
        fetcher.served = [fetcher.by_fd[fd] for fd, _ in found if fd != timer.fd]
        return fetcher.served

    def close(self) -> None:
        """Close the timer; harmless when called twice."""
        if self._timer is not None:
            self._timer.close()
