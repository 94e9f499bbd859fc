"""splice(2) from one socket into a pipe and from the pipe into the other socket: the payload is never copied to user space.

What HAProxy does with `option splice-auto`. The pipe holds references to the pages of the receive queue, one a slot, so its size limits
what a call moves; it is sized to the chunk as far as this user may (pipe(7)).
"""

from __future__ import annotations

import os
import socket

from zcload.linux.descriptors import sized_pipe
from zcload.mechanisms.base import Copies
from zcload.mechanisms.relay import Relay


class RelaySplice(Relay):
    """Move pages from one socket through a pipe into the other."""

    name = "relay_splice"
    summary = "splice socket -> pipe -> socket: no copy in the relay, two calls or more a chunk"
    copies = Copies(0, 0)
    calls = ("splice",)

    def __init__(self, source: socket.socket, sock: socket.socket, chunk: int) -> None:
        super().__init__(source, sock, chunk)
        self._reader, self._writer, self.pipe_bytes = sized_pipe(chunk)
        self._most = min(chunk, self.pipe_bytes)

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: the pipe holds references to the sockets' pages."""
        return 0

    def move(self) -> int:
        out, splice, counts = self.out, os.splice, self.counts
        # The pipe is empty here, so the first call waits for the socket alone.
        got = left = splice(self.fd, self._writer, self._most)
        counts[0] += 1
        while left:
            left -= splice(self._reader, out, left)
            counts[0] += 1
        return got

    def close(self) -> None:
        for fd in (self._reader, self._writer):
            if fd >= 0:
                os.close(fd)
        self._reader = self._writer = -1
