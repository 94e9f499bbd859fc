"""Measure what a receiver's loop costs: the loop of a lane, without the system call that receives."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import closing
from types import TracebackType

from zcload.lane.board import Board
from zcload.lane.receiver import drain
from zcload.linux.sockets import connected_pair
from zcload.sinks import SINKS, Sink
from zcload.sinks.poller import Poller

_TURNS, _REPEATS = 5_000, 5


def turn_cost(sink: str, connections: int) -> float:
    """Return the CPU seconds of a turn of the loop that drains *connections* through *sink*, the least of a few repeats.

    With several connections it includes an epoll_wait that reports one of them, the most that a receive needs. It does not include what the
    sink does around its calls, which is part of the sink. Raises OSError.
    """
    with connected_pair() as (sender, receiver):
        sender.send(b"\0")  # stays there, so that epoll_wait reports it at once, every time
        return min(_cost(SINKS[sink], receiver, connections > 1) for _ in range(_REPEATS)) / _TURNS


def _cost(imitated: type[Sink], receiver: socket.socket, several: bool) -> float:
    with closing(Board(1)) as board:
        start = time.thread_time()
        drain(_NullSink(imitated), [receiver], board, 0, several)
        return time.thread_time() - start


class _NullSink(Sink):
    """Claim a byte a turn, receive none; what the loop publishes is as much as for the sink that is imitated."""

    name, summary = "null", "receives nothing"

    def __init__(self, imitated: type[Sink]) -> None:
        super().__init__(1)
        self.one_call, self.measures, self.waits_with = imitated.one_call, imitated.measures, imitated.waits_with  # type: ignore[misc]
        self.counts, self.measured = [0] * len(imitated.calls), [0] * len(imitated.measures)

    def poller(self) -> Poller:
        """Return epoll; where the sink itself waits, as much of it as is not the sink's."""
        return super().poller() if self.waits_with else _NullPoller()

    def receiver(self, sock: object) -> Callable[[], int]:
        return iter([1] * _TURNS + [0]).__next__


class _NullPoller:
    """Report the connection at once, without a call."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int]] = []

    def register(self, fd: int, eventmask: int, /) -> None:
        self._found.append((fd, eventmask))

    def unregister(self, fd: int, /) -> None:
        self._found.clear()

    def poll(self) -> list[tuple[int, int]]:
        return self._found.copy()

    def close(self) -> None:
        self._found.clear()

    def __enter__(self) -> Poller:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self.close()
