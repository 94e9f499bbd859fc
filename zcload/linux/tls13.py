"""TLS 1.3 between two sockets of this process: a handshake by Python's ssl module, and the keys that it agreed on (RFC 8446).

The ssl module keeps its keys to itself. The key log, which is made for debuggers, has the secrets from which RFC 8446, 7.3, derives them.
"""

from __future__ import annotations

import functools
import hmac
import os
import select
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zcload.errors import StudyError, reason_of
from zcload.linux.certificate import KEY, make_certificate

NAME = "zcload"  # whom the certificate names
SERVER_SECRET, CLIENT_SECRET = "SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0"  # in a key log; they protect what each end sends
_TIMEOUT_S, _LOOK_MS = 10.0, 100


@dataclass(frozen=True, slots=True)
class Cipher:
    """A cipher suite of TLS 1.3: the bytes of its key, and its hash."""

    key_bytes: int
    digest: str


CIPHERS = {"TLS_AES_128_GCM_SHA256": Cipher(16, "sha256"), "TLS_AES_256_GCM_SHA384": Cipher(32, "sha384")}


@dataclass(frozen=True, slots=True)
class TrafficKey:
    """What one direction of a connection is encrypted with: the suite's name, the key, and the iv of 12 bytes."""

    cipher: str
    key: bytes
    iv: bytes


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of the server and the client of this process's connections, with one certificate made for them.

    Raises StudyError where there is no openssl command. No session tickets: the first record after the handshake is the first of the file.
    """
    with tempfile.TemporaryDirectory(prefix="zcload-tls-") as folder:
        trust = make_certificate(Path(folder), NAME)
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        server.load_cert_chain(trust.certificate, Path(folder) / KEY)
        client.load_verify_locations(trust.certificate)
    server.num_tickets = 0
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    return server, client


def connect(server: socket.socket, client: socket.socket) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Shake hands over a connection whose two ends are *server* and *client*; return both ends as TLS connections that block.

    The sockets given are detached. Raises StudyError; then both ends are closed.
    """
    for_server, for_client = contexts()
    ends: list[ssl.SSLSocket] = []
    try:
        ends.append(for_server.wrap_socket(server, server_side=True, do_handshake_on_connect=False))
        ends.append(for_client.wrap_socket(client, server_hostname=NAME, do_handshake_on_connect=False))
        for end in ends:
            end.setblocking(False)
        _shake_hands(list(ends))
        for end in ends:
            end.setblocking(True)
    except OSError as error:
        for sock in (server, client, *ends):
            sock.close()
        raise StudyError(f"no TLS handshake: {reason_of(error)}") from None
    return ends[0], ends[1]


def _shake_hands(left: list[ssl.SSLSocket]) -> None:
    """Take both ends through their handshakes, each as far as what the other has sent; raises OSError."""
    deadline, poller = time.monotonic() + _TIMEOUT_S, select.poll()
    for end in left:
        poller.register(end, select.POLLIN)
    while left:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_TIMEOUT_S:.0f} s")
        for end in tuple(left):
            try:
                end.do_handshake()
                left.remove(end)
            except ssl.SSLWantReadError:
                continue
        if left:
            poller.poll(_LOOK_MS)


@contextmanager
def key_log() -> Iterator[_KeyLog]:
    """Have the handshakes in the block log their secrets, in memory that no other process can open."""
    server, _ = contexts()
    fd = os.memfd_create("zcload-keys", os.MFD_CLOEXEC)
    try:
        server.keylog_filename = f"/proc/self/fd/{fd}"
        yield _KeyLog(fd)
    finally:
        server.keylog_filename = None  # type: ignore[assignment]  # closes it; typeshed knows only names
        os.close(fd)


class _KeyLog:
    """The secrets of one handshake."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def secrets(self) -> Mapping[str, bytes]:
        """Return the secrets of the last handshake by their labels."""
        lines = (line.split() for line in os.pread(self._fd, 1 << 16, 0).decode().splitlines() if not line.startswith("#"))
        return {label: bytes.fromhex(secret) for label, _, secret in lines}


def traffic_key(cipher: str, secret: bytes) -> TrafficKey:
    """Return what a traffic *secret* of a connection with the suite *cipher* encrypts with (RFC 8446, 7.3); raises StudyError."""
    if cipher not in CIPHERS:
        raise StudyError(f"the connection uses {cipher}: expected {' or '.join(CIPHERS)}; see the system's settings of OpenSSL")
    suite = CIPHERS[cipher]
    key, iv = (expand_label(secret, label, length, suite.digest) for label, length in (("key", suite.key_bytes), ("iv", 12)))
    return TrafficKey(cipher, key, iv)


def expand_label(secret: bytes, label: str, length: int, digest: str) -> bytes:
    """Return HKDF-Expand-Label(*secret*, *label*, "", *length*) of RFC 8446, 7.1; *length* is at most that of the *digest*."""
    name = b"tls13 " + label.encode()
    info = struct.pack("!HB", length, len(name)) + name + b"\0"
    return hmac.digest(secret, info + b"\1", digest)[:length]  # one block of HKDF-Expand (RFC 5869, 2.3)
