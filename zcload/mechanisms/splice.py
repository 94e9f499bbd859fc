"""splice(2) from the file into a pipe and from the pipe into the socket: no copy by the CPU on the sending side.

The pipe holds references to pages, one a slot, so its size limits what a call moves. It is sized to the chunk as far as this user
may (pipe(7)); a larger chunk moves in pieces.
"""

from __future__ import annotations

import os
import socket

from zcload.linux.descriptors import sized_pipe
from zcload.mechanisms.base import Copies, Mechanism


class Splice(Mechanism):
    """Move pages through a pipe."""

    name = "splice"
    summary = "splice file -> pipe -> socket: no copy on the sending side, two calls a chunk"
    copies = Copies(0, 0)
    calls = ("splice",)

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._reader, self._writer, self.pipe_bytes = sized_pipe(chunk)

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: the pipe holds references to the page cache."""
        return 0

    def send(self, offset: int, count: int) -> int:
        # Never more than the pipe holds: nothing drains it while this call waits for room.
        filled = os.splice(self.fd, self._writer, min(count, self.pipe_bytes), offset_src=offset)
        self.counts[0] += 1
        if not filled:
            raise self.ended_early(offset)
        left, out = filled, self.out
        while left:
            left -= os.splice(self._reader, out, left)
            self.counts[0] += 1
        return filled

    def close(self) -> None:
        for fd in (self._reader, self._writer):
            if fd >= 0:
                os.close(fd)
        self._reader = self._writer = -1
