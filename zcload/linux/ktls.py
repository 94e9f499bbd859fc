"""Kernel TLS with a key that zcload chooses for both ends: no handshake, no library (Documentation/networking/tls.rst, linux/tls.h)."""

from __future__ import annotations

import os
import socket
import struct

TCP_ULP = 31  # linux/tcp.h; the socket module has no name for these
SOL_TLS = 282  # linux/socket.h
TLS_TX, TLS_RX = 1, 2  # linux/tls.h
TLS_1_2_VERSION = 0x0303  # linux/tls.h
TLS_CIPHER_AES_GCM_128 = 51  # linux/tls.h
_NAME_BYTES = 16  # TCP_ULP_NAME_MAX: net/tcp.h

# struct tls12_crypto_info_aes_gcm_128 of linux/tls.h: version, cipher, iv, key, salt, record number; 40 bytes.
_AES_GCM_128 = struct.Struct("=HH8s16s4s8s")


def crypto_info(key: bytes, salt: bytes, iv: bytes, record: int = 0) -> bytes:
    """Return the bytes that TLS_TX and TLS_RX take for TLS 1.2 with AES-128-GCM: a *key* of 16, a *salt* of 4, an *iv* of 8 bytes.

    TLS 1.2, because there the receiving kernel decrypts straight into the reader's buffer; with TLS 1.3 it does so only after
    TLS_RX_EXPECT_NO_PAD (net/tls/tls_sw.c, tls_update_rx_zc_capable).
    """
    for what, value, size in (("key", key, 16), ("salt", salt, 4), ("iv", iv, 8)):
        if len(value) != size:
            raise ValueError(f"the {what} must have {size} bytes, not {len(value)}")
    return _AES_GCM_128.pack(TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, iv, key, salt, record.to_bytes(8, "big"))


def random_crypto_info() -> bytes:
    """Return a `crypto_info` with a key, salt and iv that nobody knows, for one connection in one direction."""
    return crypto_info(os.urandom(16), os.urandom(4), os.urandom(8))


def upgrade(sock: socket.socket) -> None:
    """Put the TLS layer onto *sock*, which must be connected; raises OSError, ENOENT where the kernel has no TLS."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")


def encrypt(sender: socket.socket, receiver: socket.socket, info: bytes) -> None:
    """Encrypt from here on what *sender* sends, and decrypt it at *receiver*; both must be upgraded. Raises OSError.

    Nothing may be on its way between them: the receiver takes the next byte for the head of a record.
    """
    receiver.setsockopt(SOL_TLS, TLS_RX, info)
    sender.setsockopt(SOL_TLS, TLS_TX, info)


def is_tls(sock: socket.socket) -> bool:
    """Say whether *sock* carries the TLS layer; raises OSError."""
    return sock.getsockopt(socket.IPPROTO_TCP, TCP_ULP, _NAME_BYTES).rstrip(b"\0") == b"tls"
