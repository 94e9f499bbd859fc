"""sendmsg(2) of several parts of a kept mapping at once: one copy by the CPU, one call for all parts.

What a server does that keeps its file mapped and writes header and body, or several ranges, as an array of buffers.
"""

from __future__ import annotations

import socket

from zcload.mechanisms.base import Copies
from zcload.mechanisms.kept_mapping import KeptMapping

PART = 64 << 10  # bytes; the kernel takes up to 1024 parts a call (UIO_MAXIOV, linux/uio.h)
_MOST = 1024


class SendmsgVectors(KeptMapping):
    """Send a chunk as an array of parts."""

    name = "sendmsg_vectors"
    summary = "sendmsg of 64 KiB parts of a kept mapping: one copy, one call a chunk"
    copies = Copies(1, 1)
    calls = ("sendmsg",)
    headers = ("writev", "more", "cork", "plain")

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._parts: list[memoryview] = []

    def send(self, offset: int, count: int) -> int:
        self._release()
        whole = self._cut(offset, min(count, PART * _MOST))
        self._parts = [whole[at : at + PART] for at in range(0, len(whole), PART)]
        self.counts[0] += 1
        try:
            return self.sock.sendmsg(self._parts)
        except OSError as error:
            raise self._explained(error) from None

    def send_with_header(self, header: bytes, offset: int, count: int) -> int:
        self._release()
        try:
            return self.gather(0, header, self._cut(offset, count))
        except OSError as error:
            raise self._explained(error) from None

    def _release(self) -> None:
        for part in self._parts:
            part.release()
        self._parts = []

    def close(self) -> None:
        self._release()
        super().close()
