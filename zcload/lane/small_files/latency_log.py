"""The log of raw latencies: shared memory, allocated before the first window, in which each end writes its time stamps."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

LANE_RECORDS = 1 << 17  # of a lane in one window, shared by its senders
LEAST_RECORDS = 1 << 10


def records(senders: int) -> int:
    """Return how many transfers of each of so many *senders* a window may have."""
    return max(LANE_RECORDS // senders, LEAST_RECORDS)


class LatencyLog:
    """For every sender a ring of instants (CLOCK_MONOTONIC, ns): when each of its transfers was due, was begun, and was done.

    A transfer's place is its number since the lane was set up, modulo *capacity*: a window may have so many of each sender. Sender and
    receiver write different words. Make it before the fork; it is freed with the last process.
    """

    def __init__(self, senders: int) -> None:
        self.senders = senders
        self.capacity = records(senders)
        size = 8 * 3 * senders * self.capacity
        # Its pages are there: a fault in a window would be the log's cost, not the transfer's.
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
        self._words = memoryview(self._memory).cast("q")

    def _ring(self, which: int, sender: int) -> memoryview:
        start = (3 * sender + which) * self.capacity
        return self._words[start : start + self.capacity]

    def due(self, sender: int) -> memoryview:
        """Return the ring of the instants at which transfers were to begin. No view may outlive the log."""
        return self._ring(0, sender)

    def begun(self, sender: int) -> memoryview:
        """Return the ring of the instants at which transfers did begin."""
        return self._ring(1, sender)

    def done(self, sender: int) -> memoryview:
        """Return the ring of the instants at which the receiver had a transfer's last byte."""
        return self._ring(2, sender)

    def latencies(self, before: Sequence[int], after: Sequence[int]) -> list[int]:
        """Return done - due (ns) of the transfers that each sender's numbers *before* and *after* enclose, sender by sender."""
        return self._between(2, before, after)

    def lateness(self, before: Sequence[int], after: Sequence[int]) -> list[int]:
        """Return begun - due (ns) of the same transfers."""
        return self._between(1, before, after)

    def _between(self, which: int, before: Sequence[int], after: Sequence[int]) -> list[int]:
        found: list[int] = []
        for sender, (first, last) in enumerate(zip(before, after, strict=True)):
            with self._ring(which, sender) as end, self._ring(0, sender) as due:
                found += [end[n % self.capacity] - due[n % self.capacity] for n in range(first, last)]
        return found

    def close(self) -> None:
        """Unmap the memory."""
        self._words.release()
        self._memory.close()
