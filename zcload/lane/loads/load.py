"""The contract of a load: how a sender offers bytes while its gate is open.

A load is chosen once, by the point, when a lane is set up (`load_of` in lane/sender.py). It has a window to itself, from the gate's
opening to its last call, so no load costs the windows of another anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.mechanisms.base import Mechanism
from zcload.model.study import Point


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


class Load:
    """Offer bytes while the gate is open. Keep *sent* and *iterations* (turns) up to date whenever `run` returns.

    The look at the gate is a load from memory: `words[GATE] == number` holds while the window is open. A system call that is not
    the mechanism's is counted by the load itself, in its area: the mechanism's counts stay the mechanism's.
    """

    def __init__(self, means: Means) -> None:
        self.means = means
        self.sent = 0  # payload bytes since the lane was set up
        self.iterations = 0
        self.transfers = 0  # small files since the lane was set up; a stream has none
        self.counts: list[int] = []  # system calls of its own, by kind: see `calls`

    # Not required: system calls that the load makes beside the mechanism's, whose counts follow the mechanism's on the board.
    @classmethod
    def calls(cls, point: Point) -> tuple[str, ...]:
        """Return their kinds, in the order of `counts`."""
        return ()

    def verify(self) -> None:
        """Not required. Send what the receivers are to digest: the sender's share of the file."""
        at, end, mechanism = self.means.share.start, self.means.share.end, self.means.mechanism
        while at < end:
            moved = mechanism.send(at, min(mechanism.chunk, end - at))
            self.iterations += 1
            self.sent += moved
            at += moved

    # Not required: words of its own on the board for each sender, and what the coordinator makes of them.
    @classmethod
    def area_words(cls, point: Point) -> int:
        """Return how many words of 8 bytes on the board each sender needs; they are the load's to lay out."""
        return 0

    @classmethod
    def record(cls, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Return what a window's record says of the load, from every sender's area at the rest before and at the rest after it."""
        return {}

    def run(self, number: int) -> None:
        """Required. Offer bytes until the gate of window *number* is closed; the loop then drains the mechanism and parks."""
        raise NotImplementedError
