"""recv(2) into one reused buffer: socket buffer -> user buffer, one copy by the CPU, as most receivers do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

from zcload.sinks.base import BUFFER_OFFSET, Copies, Sink


class Recv(Sink):
    """Copy the bytes out."""

    name = "recv"
    summary = "recv into one reused buffer: one copy by the CPU"
    copies = Copies(1, 1)
    takes_tls = True
    one_call = True
    options = BUFFER_OFFSET

    def __init__(self, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(chunk)
        self._buffer = self.allocate(chunk, buffer_offset)
        self.payload = self._buffer

    def receive(self, sock: socket.socket) -> int:
        self.counts[0] += 1
        return sock.recv_into(self._buffer)

    def receiver(self, sock: socket.socket) -> Callable[[], int]:
        return partial(sock.recv_into, self._buffer)

    def receive_up_to(self, sock: socket.socket, most: int) -> int:
        self.counts[0] += 1
        return sock.recv_into(self._buffer, min(most, self.chunk))


def payload_reader(taker: Sink) -> Sink:
    """Return what verification takes the payload with: *taker* itself where it sees the bytes, else recv, on the same connections."""
    return taker if taker.sees_payload else Recv(taker.chunk)
