"""The load of a rate over HTTP: request a burst of the file whenever the rate allows one.

The schedule and its counts are those of paced senders (zcload/model/schedule.py), with a connection in the place of a sender. A burst is
one request, or as many of smaller ones as make a chunk of the point's. A connection whose answer is still under way when its next burst is
due is late, and sends requests without a pause until it has caught up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from zcload.lane.board import GATE, OPENED_NS, UNTIL_NS
from zcload.model.schedule import BURSTS, BYTES, LATENESS, LATEST_NS, SLEEPS, WORDS, Schedule, bucket, burst_bytes, kept
from zcload.model.study import Point
from zcload.server.http.connection import Connection
from zcload.server.http.due_queue import DueQueue
from zcload.server.http.loads.request_load import RequestMeans
from zcload.server.http.loads.stream import Stream


class Paced(Stream):
    """Request at the point's rate, which all connections of the lane share, each from where it ended; one area for each receiver."""

    def __init__(self, means: RequestMeans) -> None:
        super().__init__(means)
        self._area, self._burst = means.area(means.index), burst_bytes(self.step, means.point.chunk)
        rate_bps, count = means.point.rate_bps, self.target.connections
        assert rate_bps is not None
        self._schedules = {c.number: Schedule(rate_bps, self._burst, count, c.number) for c in self.fetcher.connections}
        self._due_queue = DueQueue(self.fetcher, self._begin)
        self._number = self._latest_ns = 0
        self._sent: dict[int, int] = {}  # bytes asked for in this window, by connection
        self._up_to: dict[int, int] = {}  # bytes at which the next burst begins

    @classmethod
    def areas(cls, point: Point) -> tuple[int, int]:
        return point.receiver_count, WORDS

    @classmethod
    def record(cls, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> dict[str, Any]:
        return kept(before, after)

    def run(self, number: int) -> None:
        area, due_queue, fetcher = self._area, self._due_queue, self.fetcher
        self._number, self._latest_ns = number, 0
        self._sent = dict.fromkeys(self._schedules, 0)
        self._up_to = dict.fromkeys(self._schedules, 0)
        slept = due_queue.sleeps
        fetcher.fetch(fetcher.taker, self._more, due_queue.ready)
        area[SLEEPS] += due_queue.sleeps - slept
        area[BYTES] += sum(self._sent.values())
        area[LATEST_NS] = self._latest_ns

    def _more(self, connection: Connection) -> bool:
        """Request the rest of a burst, or the next burst now or when it is due; return whether there is one in this window."""
        number, words = connection.number, self.fetcher.words
        if words[GATE] != self._number:
            return False
        sent = self._sent[number]
        if sent < self._up_to[number]:
            self._sent[number] = sent + self.ask(connection)
            return True
        due_ns = words[OPENED_NS] + self._schedules[number].due_ns(sent)
        if due_ns > time.monotonic_ns():
            if due_ns >= words[UNTIL_NS]:
                return False
            self._due_queue.put(due_ns, connection)
        else:
            self._burst_of(connection, due_ns)
        return True

    def _begin(self, connection: Connection, due_ns: int) -> None:
        if self.fetcher.words[GATE] == self._number:
            self._burst_of(connection, due_ns)
        else:
            self.fetcher.busy -= 1
            self._due_queue.drop()

    def _burst_of(self, connection: Connection, due_ns: int) -> None:
        area, number = self._area, connection.number
        late_ns = time.monotonic_ns() - due_ns
        area[BURSTS] += 1
        area[LATENESS + bucket(late_ns)] += 1
        if late_ns > self._latest_ns:
            self._latest_ns = late_ns
        sent = self._sent[number]
        self._up_to[number] = sent + self._burst
        self._sent[number] = sent + self.ask(connection)

    def close(self) -> None:
        self._due_queue.close()
