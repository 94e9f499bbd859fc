"""sendfile(2) on a kernel TLS socket: pages of the page cache are encrypted on their way into the socket's queue.

One pass by the CPU over the bytes, the encryption, which writes into fresh pages: the file must keep its plain text. A record
holds up to 16 KiB. Both ends get the same random AES-128-GCM key, without a handshake: what is measured is the transfer.

Written from the kernel's headers and tried nowhere yet: no machine of the project's has kernel TLS.
"""

from __future__ import annotations

import errno
import os
import socket

from zcload.errors import StudyError, reason_of
from zcload.linux.ktls import encrypt, is_tls, random_crypto_info, upgrade
from zcload.linux.loopback import connected_pair
from zcload.mechanisms.base import Copies, Mechanism, Unavailable

_PROBE = b"0123456789"


class KtlsSendfile(Mechanism):
    """Let the kernel encrypt and send the file."""

    name = "ktls_sendfile"
    summary = "sendfile on a kernel TLS socket: the kernel encrypts page-cache pages, one pass by the CPU"
    copies = Copies(1, 1, "the encryption")
    calls = ("sendfile",)
    reconnects = False  # a new connection would need new keys on both ends

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        if not is_tls(sock):
            # sendfile would work all the same and send the file in the clear, under the wrong name.
            raise StudyError(f"{self.name}: the connection was not prepared for kernel TLS")

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
        # Asked for more than the file has, sendfile keeps MSG_MORE set and the last record stays unsent
        # (tools/testing/selftests/net/tls.c, multi_chunk_sendfile). The loop never asks past the file's end.
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
                return Unavailable("kernel TLS does not give back what was sent")
        except OSError as error:
            reason = f"kernel TLS does not take AES-128-GCM: {reason_of(error)}"
            return Unavailable(reason, "a kernel with CONFIG_CRYPTO_AES and CONFIG_CRYPTO_GCM")


def _no_tls(error: OSError) -> Unavailable:
    code = errno.errorcode.get(error.errno or 0, str(error.errno))
    remedy = "modprobe tls; without such a module, a kernel with CONFIG_TLS" if error.errno == errno.ENOENT else None
    return Unavailable(f'kernel TLS is not there (TCP_ULP "tls": {code})', remedy)
