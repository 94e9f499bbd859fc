"""The contract of a load: how the workers that wait at the gate move bytes while it is open.

A load is chosen once, by the point, when a lane is set up: senders' by `load_of` in lane/sender.py, HTTP receivers' by `load_of` in
server/http/receiver.py. It alone runs in a window, from the gate's opening to its last call, so a load adds no cost to the windows of
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.mechanisms.base import Mechanism
from zcload.model.study import Point


class Load:
    """Move bytes while the gate is open.

    To check the gate is to read memory: `words[GATE] == number` holds while window *number* is open. The classmethods return what the
    coordinator must know before it forks, from the point alone.
    """

    counts: list[int]  # system calls of its own, by kind: see `calls`

    # Not required: system calls that the load makes itself and counts by kind. Their counts come last among a worker's on the board.
    @classmethod
    def calls(cls, point: Point) -> tuple[str, ...]:
        """Return the kinds of its system calls, in the order of `counts`."""
        return ()

    # Not required: words of its own on the board, and what the coordinator makes of them.
    @classmethod
    def areas(cls, point: Point) -> tuple[int, int]:
        """Return how many areas a lane needs and how many words of 8 bytes each has; they are the load's to lay out."""
        return 0, 0

    @classmethod
    def record(cls, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Return the load's part of a window's record, from every area at the rest before and at the rest after it."""
        return {}

    def verify(self) -> dict[int, str]:
        """Required. Move what verification compares; return the SHA-256 of each connection that this worker has received on.

        A sender has received on none. Raises StudyError, OSError.
        """
        raise NotImplementedError

    def run(self, number: int) -> None:
        """Required. Move bytes until the gate of window *number* is closed and all that was begun is done; raises StudyError, OSError."""
        raise NotImplementedError

    def close(self) -> None:
        """Not required. Close what it has opened; harmless when called twice."""


@dataclass(frozen=True, slots=True)
class Share:
    """A sender's part of the file: it starts at *start*, and verification sends the bytes up to *end*."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Means:
    """What a sender offers bytes with. *words* is the board; *area* the load's own words there, which this sender alone writes."""

    mechanism: Mechanism
    words: memoryview
    area: memoryview
    size: int  # of the file, in bytes
    share: Share
    point: Point
    chunk: int  # of the lane, in bytes; the mechanism's own is the whole file where it has no use for one
    index: int  # of the sender in its lane, from 0
    transfer_plan: TransferPlan | None = None  # of transfers; None for streams
    header: str | None = None  # how a header goes before each transfer, where there is one


class SenderLoad(Load):
    """Offer bytes through a mechanism. Keep *sent*, *iterations* (turns) and *transfers* up to date whenever `run` returns.

    A system call that is not the mechanism's is counted by the load itself: the mechanism's counts stay the mechanism's.
    """

    def __init__(self, means: Means) -> None:
        self.means = means
        self.sent = 0  # payload bytes since the lane was set up
        self.iterations = 0
        self.transfers = 0  # small files since the lane was set up; a stream has none
        self.counts = []

    def verify(self) -> dict[int, str]:
        at, end, mechanism = self.means.share.start, self.means.share.end, self.means.mechanism
        while at < end:
            moved = mechanism.send(at, min(mechanism.chunk, end - at))
            self.iterations += 1
            self.sent += moved
            at += moved
        return {}
