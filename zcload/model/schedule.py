"""When bytes are due at a given rate, and how late they were. Pure arithmetic, no clock.

The schedule is absolute: it counts from the opening of the gate, without credit for the time before, and never from the last send.
What is late leaves the rest due when it was, so a sender that was held up catches up; and what was not due before a window
closed is not owed to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEAST_BURSTS = 200  # of a lane in a window: evenly spaced, so the one that is or is not in it changes the rate by half a percent
LEAST_OF_EACH = 20  # of these of every sender: a window of few is mostly its edges
LONGEST_WINDOW_S = 5.0  # so long may a window be for the sake of that

# Lateness is counted in buckets, eight to each power of two of nanoseconds: no wider than an eighth of what they hold.
_BITS = 3
BUCKETS = 40 << _BITS  # up to 2^42 ns, over an hour

# What is counted of whoever keeps to a schedule, in words of its own on the board: from the last on its bursts by lateness.
SLEEPS, BURSTS, BYTES, LATEST_NS, LATENESS = range(5)
WORDS = LATENESS + BUCKETS


@dataclass(frozen=True, slots=True)
class Schedule:
    """One sender's part of a lane's *rate_bps*: every *senders*-th burst of *burst* bytes, beginning with number *index* (from 0).

    The lane's bursts are spaced evenly, each due when the rate has earned it: its first one burst after the opening of the gate.
    """

    rate_bps: float
    burst: int
    senders: int = 1
    index: int = 0

    @property
    def first_ns(self) -> float:
        """Return when this sender's first burst is due, after the opening."""
        return (self.index + 1) * self.burst * 8e9 / self.rate_bps

    @property
    def ns_per_byte(self) -> float:
        """Return what each byte that this sender has sent adds to that."""
        return self.senders * 8e9 / self.rate_bps

    def due_ns(self, sent: int) -> int:
        """Return when the sender's next burst is due after it has sent *sent* bytes in this window, in ns after the opening."""
        return int(self.first_ns + sent * self.ns_per_byte)


def burst_bytes(chunk: int, point_chunk: int) -> int:
    """Return how many bytes a lane with *chunk* sends at once at a point of *point_chunk*: chunks, but never more wake-ups than others."""
    return max(chunk, point_chunk)


def window_s(rate_bps: float, burst: int, senders: int) -> float:
    """Return how long a window must be for the lane, and for each of its *senders*, to have their least numbers of bursts in it."""
    return max(LEAST_BURSTS, LEAST_OF_EACH * senders) * burst * 8 / rate_bps


def bucket(late_ns: int) -> int:
    """Return the number of the bucket that counts a lateness of *late_ns* (0 or more)."""
    if late_ns < 2 << _BITS:
        return late_ns
    power = late_ns.bit_length() - _BITS - 1
    return min((power << _BITS) + (late_ns >> power), BUCKETS - 1)


def bucket_end_ns(number: int) -> int:
    """Return the largest lateness that bucket *number* counts."""
    if number < 2 << _BITS:
        return number
    power = (number >> _BITS) - 1
    return (((number & ((1 << _BITS) - 1)) + (1 << _BITS) + 1) << power) - 1


def percentile_ns(counts: Mapping[int, int], level: float) -> int | None:
    """Return the end of the bucket in which the percentile at *level* (0..1) lies; None if *counts* (by bucket) are of nothing."""
    left = level * sum(counts.values())
    for number in sorted(counts):
        left -= counts[number]
        if left <= 0:
            return bucket_end_ns(number)
    return None


def kept(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return what a window's record says of its pacing, from the words of each that kept to a schedule before and after it."""

    def of_each(word: int) -> list[int]:
        return [b[word] - a[word] for a, b in zip(before, after, strict=True)]

    late: dict[str, int] = {}
    for number in range(BUCKETS):
        count = sum(of_each(LATENESS + number))
        if count:
            late[str(number)] = count
    return {
        "pacing": {
            "sleeps": of_each(SLEEPS),
            "bursts": of_each(BURSTS),
            "bytes": of_each(BYTES),
            "late_max_ns": max((b[LATEST_NS] for b in after), default=0),
            "late": late,
        }
    }
