"""Kernel TLS: have the kernel encrypt and decrypt a TLS 1.3 connection (Documentation/networking/tls.rst, linux/tls.h)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcload.linux.tls13 import TrafficKey

TCP_ULP = 31  # linux/tcp.h; the socket module has no name for these
SOL_TLS = 282  # linux/socket.h
TLS_TX, TLS_RX = 1, 2  # linux/tls.h
TLS_1_3_VERSION = 0x0304  # linux/tls.h
TLS_CIPHERS = {"TLS_AES_128_GCM_SHA256": 51, "TLS_AES_256_GCM_SHA384": 52}  # linux/tls.h: TLS_CIPHER_AES_GCM_128 and _256
_NAME_BYTES = 16  # TCP_ULP_NAME_MAX: net/tcp.h


def crypto_info(key: TrafficKey, record: int = 0) -> bytes:
    """Return the bytes that TLS_TX and TLS_RX take for *key*, from record number *record* on.

    struct tls12_crypto_info_aes_gcm_128 or _256 of linux/tls.h: version, cipher, iv, key, salt, record number. The first 4 bytes of the
    12 that TLS 1.3 calls iv are the salt, the last 8 the iv; the kernel combines them with the record number (net/tls/tls.h,
    tls_xor_iv_with_seq).
    """
    layout = struct.Struct(f"=HH8s{len(key.key)}s4s8s")
    return layout.pack(TLS_1_3_VERSION, TLS_CIPHERS[key.cipher], key.iv[4:], key.key, key.iv[:4], record.to_bytes(8, "big"))


def upgrade(sock: socket.socket) -> None:
    """Put the TLS layer onto *sock*, which must be connected; raises OSError, ENOENT where the kernel has no TLS."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")


def encrypt(sock: socket.socket, sending: TrafficKey, receiving: TrafficKey) -> None:
    """Have the kernel encrypt what *sock* sends from here on, and decrypt what it receives; it must be upgraded. Raises OSError.

    No record may have been sent or received with these keys yet.
    """
    sock.setsockopt(SOL_TLS, TLS_TX, crypto_info(sending))
    sock.setsockopt(SOL_TLS, TLS_RX, crypto_info(receiving))


def is_tls(sock: socket.socket) -> bool:
    """Say whether *sock* carries the TLS layer; raises OSError."""
    return sock.getsockopt(socket.IPPROTO_TCP, TCP_ULP, _NAME_BYTES).rstrip(b"\0") == b"tls"
