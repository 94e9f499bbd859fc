"""The header before a small file, and the ways to send it apart from the mechanism."""

from __future__ import annotations

import socket

from zcload.mechanisms import mechanism_of
from zcload.model.study import Contender

CALLS = ("send_header", "cork")  # what a sender makes for headers: send(2), or setsockopt(2) of TCP_CORK
_START, _END = b"HTTP/1.1 200 OK\r\nX-Filler: ", b"\r\n\r\n"


def header_of(size: int) -> bytes:
    """Return a header of *size* bytes: the same for all files, so that it is made outside windows."""
    return (_START + b"." * size)[: max(size - len(_END), 0)] + _END[:size]


def way_of(variant: Contender) -> str | None:
    """Return how *variant* sends a header; None if it moves no payload."""
    mechanism = mechanism_of(variant)
    return variant.header or mechanism.headers[0] if mechanism.moves_payload and mechanism.headers else None


class HeaderSender:
    """Send *header* before a file: with MSG_MORE, between two settings of TCP_CORK, or without either.

    MSG_MORE and TCP_CORK hold it back until the file's first bytes fill the packet (tcp(7), send(2)). Without them it is a packet of its
    own: TCP_NODELAY is set on these connections. Calls are counted in *counts*, from *first* on.
    """

    def __init__(self, header: bytes, way: str, counts: list[int], first: int) -> None:
        self._header, self._flags, self._corks = header, socket.MSG_MORE if way == "more" else 0, way == "cork"
        self._counts, self._sent, self._corked = counts, first, first + 1

    def send(self, sock: socket.socket) -> None:
        """Send the header over *sock*, which blocks; raises OSError."""
        if self._corks:
            self._cork(sock, 1)
        left = self._header
        while left:
            self._counts[self._sent] += 1
            left = left[sock.send(left, self._flags) :]

    def end(self, sock: socket.socket) -> None:
        """Send the rest of the file, although the last packet is not full."""
        if self._corks:
            self._cork(sock, 0)

    def _cork(self, sock: socket.socket, value: int) -> None:
        self._counts[self._corked] += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, value)
