"""recv(2) with MSG_TRUNC: TCP drops the bytes unread (tcp(7)), so the receiver makes no copy.

An upper bound: no real receiver does this. The socket module needs a buffer; it is never touched.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

from zcload.sinks.base import Copies, Sink


class Discard(Sink):
    """Drop the bytes in the kernel."""

    name = "discard"
    summary = "recv with MSG_TRUNC: the kernel drops the bytes, no copy"
    copies = Copies(0, 0)
    sees_payload = False
    one_call = True

    def __init__(self, chunk: int) -> None:
        super().__init__(chunk)
        self._buffer = self.allocate(chunk)

    def receive(self, sock: socket.socket) -> int:
        self.counts[0] += 1
        return sock.recv_into(self._buffer, 0, socket.MSG_TRUNC)

    def receiver(self, sock: socket.socket) -> Callable[[], int]:
        return partial(sock.recv_into, self._buffer, 0, socket.MSG_TRUNC)

    def receive_up_to(self, sock: socket.socket, most: int) -> int:
        self.counts[0] += 1
        return sock.recv_into(self._buffer, min(most, self.chunk), socket.MSG_TRUNC)
