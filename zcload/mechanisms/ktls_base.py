"""What the ways of kernel TLS share: a real handshake in user space, whose keys the sender's kernel then encrypts with.

The receiver keeps its TLS connection and decrypts in user space, as that of `tls_send` does: the senders are the only difference.
Written from the kernel's headers and never run: no machine of the project has kernel TLS.
"""

from __future__ import annotations

import errno
import socket
from contextlib import closing

from zcload.errors import StudyError, reason_of
from zcload.linux.certificate import no_openssl
from zcload.linux.sockets import connected_pair
from zcload.mechanisms.base import Mechanism, Unavailable

_PROBE = b"0123456789"


class KtlsBase(Mechanism):
    """Have the kernel encrypt. Subclasses say how the bytes come to the socket."""

    encrypts = True
    reconnects = False  # a new connection would need a handshake between both ends

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        from zcload.linux.ktls import is_tls

        if not is_tls(sock):
            # The calls would still work, and send the file unencrypted.
            raise StudyError(f"{self.name}: the connection is not set up for kernel TLS")

    @classmethod
    def wrap(cls, sender: socket.socket, receiver: socket.socket) -> tuple[socket.socket, socket.socket]:
        """Shake hands in user space, then take the sender's end to the kernel; return it and the receiver's TLS connection."""
        from zcload.linux.ktls import encrypt, upgrade
        from zcload.linux.tls13 import CLIENT_SECRET, SERVER_SECRET, connect, key_log, traffic_key

        with key_log() as log:
            server, client = connect(sender, receiver)
            secrets = log.secrets()
        cipher = (server.cipher() or ("no cipher",))[0]
        plain = socket.socket(fileno=server.detach())
        try:
            upgrade(plain)
            encrypt(plain, traffic_key(cipher, secrets[SERVER_SECRET]), traffic_key(cipher, secrets[CLIENT_SECRET]))
        except BaseException:
            plain.close()
            client.close()
            raise
        return plain, client

    @classmethod
    def probe(cls) -> Unavailable | None:
        if (absent := no_openssl()) is not None:
            return Unavailable(*absent)
        from zcload.linux.ktls import upgrade

        try:
            with connected_pair() as (sender, _):
                upgrade(sender)
        except OSError as error:
            return _no_tls(error)
        try:
            with connected_pair() as ends:
                sender, receiver = cls.wrap(*ends)
                with closing(sender), closing(receiver):
                    sender.sendall(_PROBE)
                    if receiver.recv(100) == _PROBE:
                        return None
        except OSError as error:
            reason = f"kernel TLS rejects AES-GCM of TLS 1.3: {reason_of(error)}"
            return Unavailable(reason, "use Linux 5.1 or newer with CONFIG_CRYPTO_AES and CONFIG_CRYPTO_GCM")
        return Unavailable("kernel TLS delivered other bytes than were sent")


def _no_tls(error: OSError) -> Unavailable:
    code = errno.errorcode.get(error.errno or 0, str(error.errno))
    remedy = "run `modprobe tls`; if there is no such module, use a kernel with CONFIG_TLS" if error.errno == errno.ENOENT else None
    return Unavailable(f'this kernel has no TLS (TCP_ULP "tls": {code})', remedy)
