"""recv(2) into one reused buffer, then send(2) until all of it is sent: what most proxies do."""

from __future__ import annotations

import socket

from zcload.mechanisms.base import BUFFER_OFFSET, Copies
from zcload.mechanisms.relay import Relay


class RelayReadSend(Relay):
    """Copy the bytes out of one socket and into the other."""

    name = "relay_read_send"
    summary = "recv into one reused buffer, then send: two copies in the relay"
    copies = Copies(2, 2)
    calls = ("recv", "send")
    options = BUFFER_OFFSET

    def __init__(self, source: socket.socket, sock: socket.socket, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(source, sock, chunk)
        self._buffer = self.allocate(chunk, buffer_offset)

    def move(self) -> int:
        buffer, counts, send = self._buffer, self.counts, self.sock.send
        got = self.source.recv_into(buffer)
        counts[0] += 1
        sent = 0
        while sent < got:  # sendall, with its calls counted
            sent += send(buffer[sent:got])
            counts[1] += 1
        return got
