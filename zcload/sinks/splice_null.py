"""splice(2) from the socket into a pipe and from the pipe to /dev/null: references to pages move and are dropped, no copy.

An upper bound like `discard`: it shows what splicing from a socket costs when the bytes are not used.
"""

from __future__ import annotations

import os
import socket

from zcload.linux.descriptors import sized_pipe
from zcload.sinks.base import Copies, Sink, Unavailable, probe_transfer


class SpliceNull(Sink):
    """Move pages through a pipe to nowhere."""

    name = "splice_null"
    summary = "splice socket -> pipe -> /dev/null: pages are dropped, no copy"
    copies = Copies(0, 0)
    calls = ("splice",)
    sees_payload = False

    def __init__(self, chunk: int) -> None:
        super().__init__(chunk)
        self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._reader, self._writer, room = sized_pipe(chunk)
        self._most = min(chunk, room)

    def receive(self, sock: socket.socket) -> int:
        return self.receive_up_to(sock, self._most)

    def receive_up_to(self, sock: socket.socket, most: int) -> int:
        # The pipe is empty here, so the first call waits for the socket alone.
        got = left = os.splice(sock.fileno(), self._writer, min(most, self._most))
        self.counts[0] += 1
        while left:
            left -= os.splice(self._reader, self._null, left)
            self.counts[0] += 1
        return got

    @classmethod
    def probe(cls) -> Unavailable | None:
        return probe_transfer(lambda: cls(65_536), "allow splice(2) and /dev/null in this container")

    @classmethod
    def private_bytes(cls, chunk: int) -> int:
        """None: the pipe holds references to the socket's pages."""
        return 0

    def close(self) -> None:
        for fd in (self._null, self._reader, self._writer):
            if fd >= 0:
                os.close(fd)
        self._null = self._reader = self._writer = -1
