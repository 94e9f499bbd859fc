"""The gate of a lane: the coordinator's words on the board, and an eventfd for each worker that waits there for orders."""

from __future__ import annotations

import os
import time

from zcload.lane.board import GATE, NUMBER, OPENED_NS, ORDER, PARKED, RUN, STOP, UNTIL_NS, Board


class Gate:
    """Gives the gated workers their orders; they are the first ones of *board*, as many as `add` was called for."""

    def __init__(self, board: Board) -> None:
        self._words = board.words
        self.fds: list[int] = []
        self.number = 0  # of the last order
        self.silent = 0  # orders for which no receiver had to wake up

    def add(self) -> int:
        """Return the eventfd that the next worker reads while it has nothing to do; raises OSError."""
        fd = os.eventfd(0)
        self.fds.append(fd)
        return fd

    def order(self, order: int, silent: bool = False) -> int:
        """Wake every gated worker to carry out *order*, which moves no byte if it is *silent*; return its number."""
        self.number += 1
        self.silent += silent
        words = self._words
        words[NUMBER] = self.number
        words[ORDER] = order
        self._wake()
        return self.number

    def _wake(self) -> None:
        for fd in self.fds:
            os.eventfd_write(fd, 1)

    def open(self, open_s: float = 0.0) -> int:
        """Open the gate for one window that is to last *open_s*; return the instant (CLOCK_MONOTONIC, ns)."""
        self.number += 1
        words = self._words
        words[NUMBER] = self.number
        words[ORDER] = RUN
        opened = time.monotonic_ns()
        words[OPENED_NS], words[UNTIL_NS] = opened, opened + round(open_s * 1e9)
        words[GATE] = self.number
        self._wake()
        return opened

    def close(self) -> int:
        """Close the gate; return the instant (ns). The workers finish the call or the answer they are in, then park."""
        self._words[GATE] = 0
        return time.monotonic_ns()

    def parked(self) -> bool:
        """Return whether every gated worker has carried out the last order."""
        words, number = self._words, self.number
        return all(words[Board.base(i) + PARKED] == number for i in range(len(self.fds)))

    def stop(self) -> None:
        """Close the gate and order the workers to end; harmless when called twice."""
        if self.fds:
            self.close()
            self.order(STOP)

    def release(self) -> None:
        """Close the eventfds; harmless when called twice."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()
