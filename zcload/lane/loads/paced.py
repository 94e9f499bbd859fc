"""The load of a rate: send a burst of the file whenever the rate allows one. The senders share the lane's rate.

A burst is a chunk of the point's, the same number of bytes in all lanes: a lane with smaller chunks sends several after one wake-up, one
with larger chunks sends one. The sender sleeps until a burst is due and sends it late if that has passed: a sender that is behind does not
sleep until it has caught up. Beside the mechanism's calls it makes one kind of call, the sleep (clock_nanosleep), counted in its area; a
clock is read without a system call (vdso(7)).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from zcload.lane.board import GATE, OPENED_NS
from zcload.lane.loads.load import Means, SenderLoad
from zcload.model.schedule import BURSTS, BYTES, LATENESS, LATEST_NS, SLEEPS, WORDS, Schedule, bucket, burst_bytes, kept
from zcload.model.study import Point


class Paced(SenderLoad):
    """Send at the point's rate, from where the last window ended."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        point = means.point
        assert point.rate_bps is not None
        # What has no use for a chunk is handed over in chunks all the same: at a rate nobody gets a whole file at once.
        self._step = min(means.mechanism.chunk, means.chunk)
        self._burst = burst_bytes(self._step, point.chunk)
        self._schedule = Schedule(point.rate_bps, self._burst, point.senders, means.index)
        self._offset = 0 if means.mechanism.whole_pass else means.share.start

    @classmethod
    def areas(cls, point: Point) -> tuple[int, int]:
        return point.senders, WORDS

    def run(self, number: int) -> None:
        means = self.means
        words, area, size, whole_pass = means.words, means.area, means.size, means.mechanism.whole_pass
        step, burst, send = self._step, self._burst, means.mechanism.send
        now_ns, sleep, bucket_of = time.monotonic_ns, time.sleep, bucket
        first_ns = words[OPENED_NS] + self._schedule.first_ns
        ns_per_byte = self._schedule.ns_per_byte
        offset, begun_with, iterations = self._offset, self.sent, self.iterations
        sent = next_burst = sleeps = bursts = latest_ns = 0
        while words[GATE] == number or (whole_pass and offset):
            if sent >= next_burst:
                late_ns = now_ns() - int(first_ns + sent * ns_per_byte)
                if late_ns < 0:
                    sleep(late_ns * -1e-9)
                    sleeps += 1
                    if words[GATE] != number and not (whole_pass and offset):
                        break
                    late_ns = now_ns() - int(first_ns + sent * ns_per_byte)
                    if late_ns < 0:  # no sleep returns early but one of a clock that was set: time.sleep
                        late_ns = 0
                next_burst = sent + burst
                bursts += 1
                area[LATENESS + bucket_of(late_ns)] += 1
                if late_ns > latest_ns:
                    latest_ns = late_ns
            left = size - offset
            moved = send(offset, step if left > step else left)
            iterations += 1
            sent += moved
            offset += moved
            if offset == size:
                offset = 0
        self._offset, self.sent, self.iterations = offset, begun_with + sent, iterations
        area[SLEEPS] += sleeps
        area[BURSTS] += bursts
        area[BYTES] += sent
        area[LATEST_NS] = latest_ns

    @classmethod
    def record(cls, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> dict[str, Any]:
        return kept(before, after)
