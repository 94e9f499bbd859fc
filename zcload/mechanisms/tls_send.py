"""preadv(2) into one reused buffer, then SSLSocket.send: OpenSSL encrypts in user space, as servers without kernel TLS do.

Three passes of the CPU: out of the page cache, through the cipher into OpenSSL's own buffer, from there into the socket. OpenSSL makes
records of up to 16 KiB and writes each with a write(2) of its own.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from zcload.errors import os_error
from zcload.linux.certificate import no_openssl
from zcload.mechanisms.base import BUFFER_OFFSET, Copies, Mechanism, Unavailable

if TYPE_CHECKING:
    import ssl

RECORD = 16 << 10  # the most plain text that a record holds (RFC 8446, 5.1)


class TlsSend(Mechanism):
    """Read a chunk, encrypt it in user space, send it."""

    name = "tls_send"
    summary = "Python's ssl over a read buffer: two copies and the encryption in user space"
    copies = Copies(3, 3, "one is the encryption")
    calls = ("preadv", "write")
    options = BUFFER_OFFSET
    encrypts, unencrypted = True, "read_send"
    headers = ("plain", "cork")  # SSLSocket.send takes no flags: a header is a record of its own
    reconnects = False  # a new connection would need a handshake between both ends

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(sock, fd, size, chunk)
        self._view = self.allocate(chunk, buffer_offset)

    @classmethod
    def probe(cls) -> Unavailable | None:
        absent = no_openssl()
        return Unavailable(*absent) if absent else None

    @classmethod
    def wrap(cls, sender: socket.socket, receiver: socket.socket) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        from zcload.linux.tls13 import connect

        return connect(sender, receiver)

    def send(self, offset: int, count: int) -> int:
        view = self._view if count == self.chunk else self._view[:count]
        got = os.preadv(self.fd, (view,), offset)
        self.counts[0] += 1
        if not got:
            raise self.ended_early(offset)
        self.counts[1] += -(-got // RECORD)
        try:
            return self.sock.send(view if got == count else view[:got])
        except OSError as error:
            # The ssl module has errors of its own for a peer that is gone, whose numbers are not errno's.
            raise error if error.errno in (errno.EPIPE, errno.ECONNRESET) else os_error(errno.ECONNRESET) from None
