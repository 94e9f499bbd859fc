"""preadv(2) into one reused buffer, then send(2) on a kernel TLS socket: `tls_send` with the encryption in the kernel.

The kernel encrypts whole records straight from the buffer (net/tls/tls_sw.c, tls_sw_sendmsg_locked: `zc_retry`), so one copy is less
than in user space.
"""

from __future__ import annotations

import os
import socket

from zcload.mechanisms.base import Copies
from zcload.mechanisms.ktls_base import KtlsBase


class KtlsSend(KtlsBase):
    """Read a chunk, let the kernel encrypt and send it."""

    name = "ktls_send"
    summary = "preadv, then send on a kernel TLS socket: one copy, and the kernel encrypts the buffer"
    copies = Copies(2, 2, "one is the encryption")
    calls = ("preadv", "send")
    unencrypted = "read_send"

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._view = self.allocate(chunk)

    def send(self, offset: int, count: int) -> int:
        view = self._view if count == self.chunk else self._view[:count]
        got = os.preadv(self.fd, (view,), offset)
        self.counts[0] += 1
        if not got:
            raise self.ended_early(offset)
        self.counts[1] += 1
        return self.sock.send(view if got == count else view[:got])
