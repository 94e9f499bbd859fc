"""The load of a closed loop over HTTP: request the next range or file as soon as the last has arrived."""

from __future__ import annotations

import hashlib

from zcload.lane.board import GATE
from zcload.server.http.connection import Connection
from zcload.server.http.loads.request_load import RequestLoad, RequestMeans
from zcload.sinks.recv import payload_reader


class Stream(RequestLoad):
    """Send requests without a pause, each connection from where it ended in the last window."""

    def __init__(self, means: RequestMeans) -> None:
        super().__init__(means)
        self.step = self.target.size if self.target.whole else self.target.bytes_per_request
        self._next = {c.number: self.target.part(c.number).start for c in self.fetcher.connections}

    def verify(self) -> dict[int, str]:
        """Fetch the part of each connection."""
        fetcher, target = self.fetcher, self.target
        taker = payload_reader(fetcher.taker)
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
        words, fetcher, ask = self.fetcher.words, self.fetcher, self.ask

        def more(connection: Connection) -> bool:
            if words[GATE] != number:
                return False
            ask(connection)
            return True

        fetcher.fetch(fetcher.taker, more)

    def ask(self, connection: Connection) -> int:
        """Ask for the next range, or for the whole file."""
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
