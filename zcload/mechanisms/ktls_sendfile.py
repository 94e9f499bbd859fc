"""sendfile(2) on a kernel TLS socket: pages of the page cache are encrypted on their way into the socket's queue.

The CPU passes over the bytes once: it encrypts them into fresh pages, because the page cache must keep the plain text. A record
holds up to 16 KiB. Both ends get the same random AES-128-GCM key without a handshake, so only the transfer is measured.

Written from the kernel's headers and never run: no machine of the project has kernel TLS.
"""

from __future__ import annotations

import errno
import os
import socket

from zcload.errors import StudyError, reason_of
from zcload.linux.ktls import encrypt, is_tls, random_crypto_info, upgrade
from zcload.linux.sockets import connected_pair
from zcload.mechanisms.base import Copies, Mechanism, Unavailable

_PROBE = b"0123456789"


class KtlsSendfile(Mechanism):
    """Let the kernel encrypt and send the file."""

    name = "ktls_sendfile"
    summary = "sendfile on a kernel TLS socket: the kernel encrypts the file's pages, one pass by the CPU"
    copies = Copies(1, 1, "the encryption")
    calls = ("sendfile",)
    reconnects = False  # a new connection would need new keys on both ends

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        if not is_tls(sock):
            # sendfile would still work, and send the file unencrypted.
            raise StudyError(f"{self.name}: the connection is not set up for kernel TLS")

    @classmethod
    def prepare(cls, sender: socket.socket, receiver: socket.socket) -> None:
        for sock in (sender, receiver):
            upgrade(sock)
        encrypt(sender, receiver, random_crypto_info())

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: records are in socket memory."""
        return 0

    def send(self, offset: int, count: int) -> int:
        self.counts[0] += 1
        # Never past the file's end: before June 2021 the kernel then kept the last record open (fixed by commit d452d48b9f8b).
        sent = os.sendfile(self.sock.fileno(), self.fd, offset, count)
        if not sent:
            raise self.ended_early(offset)
        return sent

    @classmethod
    def probe(cls) -> Unavailable | None:
        try:
            with connected_pair() as (sender, receiver):
                try:
                    upgrade(sender)
                    upgrade(receiver)
                except OSError as error:
                    return _no_tls(error)
                encrypt(sender, receiver, random_crypto_info())
                sender.sendall(_PROBE)
                if receiver.recv(100) == _PROBE:
                    return None
                return Unavailable("kernel TLS delivered other bytes than were sent")
        except OSError as error:
            reason = f"kernel TLS rejects AES-128-GCM: {reason_of(error)}"
            return Unavailable(reason, "use a kernel with CONFIG_CRYPTO_AES and CONFIG_CRYPTO_GCM")


def _no_tls(error: OSError) -> Unavailable:
    code = errno.errorcode.get(error.errno or 0, str(error.errno))
    remedy = "run `modprobe tls`; if there is no such module, use a kernel with CONFIG_TLS" if error.errno == errno.ENOENT else None
    return Unavailable(f'this kernel has no TLS (TCP_ULP "tls": {code})', remedy)
