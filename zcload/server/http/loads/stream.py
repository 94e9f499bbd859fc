"""The load of a closed loop: the file over and over, the next range or file as soon as the last has come."""

from __future__ import annotations

import hashlib

from zcload.lane.board import GATE
from zcload.server.http.connection import Connection
from zcload.server.http.fetcher import Fetcher
from zcload.sinks.recv import Recv


class Stream:
    """Ask without a pause, each connection on from where it ended in the last window."""

    def __init__(self, fetcher: Fetcher) -> None:
        self.fetcher, self.target = fetcher, fetcher.target
        self.step = self.target.size if self.target.whole else self.target.bytes_per_request
        self._next = {c.number: self.target.part(c.number).start for c in fetcher.connections}

    def verify(self) -> dict[int, str]:
        """Fetch the part of each connection and return the SHA-256 of each by number; raises StudyError.

        Through the lane's own sink, where that sees the payload; where it does not, through recv, on the same connections.
        """
        fetcher, target = self.fetcher, self.target
        taker = fetcher.taker if fetcher.taker.sees_payload else Recv(fetcher.taker.chunk)
        digests = fetcher.digests = {c.number: hashlib.sha256() for c in fetcher.connections}
        parts = {c.number: target.part(c.number) for c in fetcher.connections}
        at = {number: part.start for number, part in parts.items()}
        step = target.bytes_per_request

        def more(connection: Connection) -> bool:
            start, end = at[connection.number], parts[connection.number].end
            if start >= end:
                return False
            at[connection.number] = stop = min(start + step, end) if target.ranges else end
            connection.ask(start, stop)
            return True

        fetcher.fetch(taker, more)
        fetcher.digests = None
        return {number: digest.hexdigest() for number, digest in digests.items()}

    def run(self, number: int) -> None:
        """Keep every connection busy while the gate is open for window *number*, then finish what was asked for; raises StudyError."""
        words, fetcher, ask = self.fetcher.words, self.fetcher, self.ask

        def more(connection: Connection) -> bool:
            if words[GATE] != number:
                return False
            ask(connection)
            return True

        fetcher.fetch(fetcher.taker, more)

    def ask(self, connection: Connection) -> int:
        """Ask for the next range of *connection*, or for the whole file; return how many bytes that is. Raises StudyError."""
        where, size = self._next, self.target.size
        if self.step == size:
            connection.ask(0, size)
            return size
        start = where[connection.number]
        end = start + self.step
        if end >= size:
            end, where[connection.number] = size, 0
        else:
            where[connection.number] = end
        connection.ask(start, end)
        return end - start

    def close(self) -> None:
        """Give back what it has opened."""
