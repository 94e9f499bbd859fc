"""preadv(2) into one reused buffer, then send(2): page cache -> user buffer -> socket buffer, two copies by the CPU.

The fair copy baseline: nothing is allocated per chunk.
"""

from __future__ import annotations

import os
import socket

from zcload.mechanisms.base import BUFFER_OFFSET, Copies, Mechanism


class ReadSend(Mechanism):
    """Read a chunk, send it."""

    name = "read_send"
    summary = "preadv into one reused buffer, then send: two copies by the CPU"
    copies = Copies(2, 2)
    calls = ("preadv", "send")
    options = BUFFER_OFFSET
    headers = ("writev", "more", "cork", "plain")

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(sock, fd, size, chunk)
        self._view = self.allocate(chunk, buffer_offset)

    def send(self, offset: int, count: int) -> int:
        view = self._view if count == self.chunk else self._view[:count]
        got = os.preadv(self.fd, (view,), offset)
        self.counts[0] += 1
        if not got:
            raise self.ended_early(offset)
        self.counts[1] += 1
        # A short send (a signal, a full socket) is returned to the loop, which calls again for the rest.
        return self.sock.send(view if got == count else view[:got])

    def send_with_header(self, header: bytes, offset: int, count: int) -> int:
        got = os.preadv(self.fd, (self._view[:count],), offset)
        self.counts[0] += 1
        if not got:
            raise self.ended_early(offset)
        return self.gather(1, header, self._view[:got])
