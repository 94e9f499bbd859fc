"""The load of small files: open, send and close each, one after another or on a schedule.

In a closed loop the sender begins a file when the receiver has confirmed the last, as a client's next request does. In an open loop only
the schedule decides when; a sender that is late catches up, without a limit, until all arrivals of the window are served.
"""

from __future__ import annotations

import os
import socket
import time

from zcload.lane.board import GATE, OPENED_NS, UNTIL_NS
from zcload.lane.loads.load import Means, SenderLoad
from zcload.lane.small_files.arrivals import LEAD_NS
from zcload.lane.small_files.header import CALLS as HEADER_CALLS
from zcload.lane.small_files.header import HeaderSender, header_of
from zcload.linux.process import wake_on_time
from zcload.model.study import Point

# The system calls of a transfer that are not its mechanism's. "connect" stands for the five that make and greet a fresh connection.
OPEN, CLOSE, RECV, CONNECT, SLEEP = range(5)
CALLS = ("open", "close", "recv", "connect", "clock_nanosleep")


class Transfers(SenderLoad):
    """Send small files."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        assert means.transfer_plan is not None
        transfer_plan, mechanism = means.transfer_plan, means.mechanism
        self.counts = [0] * len(self.calls(means.point))
        self._transfer_plan, self._mechanism = transfer_plan, mechanism
        self._sock = mechanism.sock  # the persistent connection
        self._waits = transfer_plan.closed and mechanism.moves_payload  # what moves nothing is not answered
        self._path = f"/proc/self/fd/{mechanism.fd}"
        self._offsets, self._sizes = transfer_plan.catalogue.offsets, transfer_plan.catalogue.sizes
        self._at = transfer_plan.start(means.index)
        self._due, self._begun = transfer_plan.log.due(means.index), transfer_plan.log.begun(means.index)
        self._connector = transfer_plan.connector if mechanism.moves_payload else None
        header = header_of(means.point.header_bytes) if means.header else b""  # what moves nothing has no way to send one
        self._header_bytes = len(header)
        self._gathered = header if means.header == "writev" else b""  # what goes in one call with the first bytes of a file
        self._header: HeaderSender | None = None
        if header and means.header and not self._gathered:
            self._header = HeaderSender(header, means.header, self.counts, len(CALLS))
        self._schedule = None
        if not transfer_plan.closed:
            self._schedule = transfer_plan.schedule(means.index)
            wake_on_time()

    @classmethod
    def calls(cls, point: Point) -> tuple[str, ...]:
        return CALLS + HEADER_CALLS if point.header_bytes else CALLS

    def verify(self) -> dict[int, str]:
        for _ in range(self._transfer_plan.verified):
            self._transfer()
        return {}

    def run(self, number: int) -> None:
        if self._schedule is None:
            self._run_closed(number)
        else:
            self._run_scheduled()

    def _run_closed(self, number: int) -> None:
        words, due, now, capacity = self.means.words, self._due, time.monotonic_ns, self._transfer_plan.log.capacity
        last = self.transfers + capacity  # when its records are full, a sender parks before the window ends
        while words[GATE] == number and self.transfers < last:
            due[self.transfers % capacity] = now()
            self._transfer()

    def _run_scheduled(self) -> None:
        words, due, begun, capacity = self.means.words, self._due, self._begun, self._transfer_plan.log.capacity
        now, sleep, schedule, counts = time.monotonic_ns, time.sleep, self._schedule, self.counts
        assert schedule is not None
        until, last = words[UNTIL_NS], self.transfers + capacity
        schedule.begin(words[OPENED_NS] + LEAD_NS)
        at = schedule.due()
        while at < until and self.transfers < last:
            left = at - now()
            if left > 0:
                counts[SLEEP] += 1
                sleep(left / 1e9)
            due[self.transfers % capacity] = at
            begun[self.transfers % capacity] = now()
            self._transfer()
            schedule.advance()
            at = schedule.due()

    def _transfer(self) -> None:
        """Send the next file of the catalogue, and in a closed loop wait until the receiver has it."""
        mechanism, counts, at = self._mechanism, self.counts, self._at
        offset, left = self._offsets[at], self._sizes[at]
        if self._connector is not None:
            counts[CONNECT] += 1
            sock = self._connector.connect(self.means.index, self.transfers)
            mechanism.reconnect(sock)
        else:
            sock = self._sock
        fd = os.open(self._path, os.O_RDONLY)
        send, step = mechanism.send, mechanism.chunk
        header = self._header
        if header is not None:
            header.send(sock)
        mechanism.begin(fd, offset, left)
        if self._gathered:
            moved = mechanism.send_with_header(self._gathered, offset, step if left > step else left)
            self.iterations += 1
            offset += moved
            left -= moved
        while left:
            moved = send(offset, step if left > step else left)
            self.iterations += 1
            offset += moved
            left -= moved
        mechanism.end()
        if header is not None:
            header.end(sock)
        os.close(fd)
        counts[OPEN] += 1
        counts[CLOSE] += 1
        self.sent += self._header_bytes + self._sizes[at]
        self.transfers += 1
        self._at = at + 1 if at + 1 < len(self._sizes) else 0
        if self._waits:
            self._hear(sock)
        if self._connector is not None:
            mechanism.drain()
            counts[CLOSE] += 1
            sock.close()

    def _hear(self, sock: socket.socket) -> None:
        """Wait for the receiver's answer: a byte on a connection that stays, the end of one that does not."""
        self.counts[RECV] += 1
        answer = sock.recv(1)
        if not answer and self._connector is None:
            raise ConnectionError("the receiver ended the connection")
