"""TLS 1.3 handshakes between two sockets, and the keys derived from them: against RFC 8448, and against a peer of the ssl module."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zcload.errors import StudyError
from zcload.linux import ktls, tls13
from zcload.linux.ktls import SOL_TLS, TCP_ULP, TLS_RX, TLS_TX
from zcload.linux.tls13 import CLIENT_SECRET, SERVER_SECRET, connect, key_log, traffic_key
from zcload.mechanisms.ktls_sendfile import KtlsSendfile

pytestmark = pytest.mark.usefixtures("leaks")


@pytest.fixture(autouse=True)
def certificate():
    """Make the certificate of this process before descriptors are counted."""
    return tls13.contexts()


@pytest.fixture
def ends(pair):
    """Return both ends of a TLS connection and the secrets of its handshake."""
    with key_log() as log:
        made = connect(*pair())
        secrets = log.secrets()
    yield *made, secrets
    for end in made:
        end.close()


class KernelTls:
    """What a kernel does with the bytes that TLS_TX and TLS_RX take, done by another library: records of one connection."""

    def __init__(self, sock):
        self.sock, self.keys, self.options = sock, {}, []

    def setsockopt(self, level, option, value):
        """Take an option as the kernel would, and note it."""
        self.options.append((level, option))
        if level == SOL_TLS:
            version, cipher = struct.unpack_from("=HH", value)
            size = {51: 16, 52: 32}[cipher]
            iv, key, salt, number = struct.unpack_from(f"=8s{size}s4s8s", value, 4)
            assert version == 0x0304
            self.keys[option] = AESGCM(key), salt + iv, int.from_bytes(number, "big")

    def _crypt(self, option):
        cipher, iv, number = self.keys[option]
        self.keys[option] = cipher, iv, number + 1
        return cipher, (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")

    def sendall(self, data):
        """Send *data* as one record of application data (RFC 8446, 5.2)."""
        cipher, nonce = self._crypt(TLS_TX)
        head = struct.pack("!BHH", 23, 0x0303, len(data) + 1 + 16)
        self.sock.sendall(head + cipher.encrypt(nonce, data + b"\x17", head))

    def recv(self):
        """Receive one record and return its plain text."""
        cipher, nonce = self._crypt(TLS_RX)
        head = self.sock.recv(5, socket.MSG_WAITALL)
        plain = cipher.decrypt(nonce, self.sock.recv(struct.unpack("!H", head[3:])[0], socket.MSG_WAITALL), head)
        assert plain[-1:] == b"\x17"
        return plain[:-1]


def test_keys_are_those_of_the_rfc():
    """Key and iv of the server's application traffic are those of the simple handshake in RFC 8448, section 3."""
    secret = bytes.fromhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
    found = traffic_key("TLS_AES_128_GCM_SHA256", secret)
    assert found.key.hex() == "9f02283b6c9c07efc26bb9f2ac92e356"
    assert found.iv.hex() == "cf782b88dd83549aadf1e984"


def test_both_ends_speak_tls_1_3_with_the_certificate_of_this_process(ends):
    """Each end reads what the other wrote, as TLS 1.3 with AES-GCM, and the client has checked the certificate's name."""
    server, client, _ = ends
    assert server.version() == client.version() == "TLSv1.3"
    assert server.cipher()[0] in tls13.CIPHERS
    assert ("DNS", tls13.NAME) in client.getpeercert()["subjectAltName"]
    server.sendall(b"to the client")
    client.sendall(b"to the server")
    assert client.recv(100) == b"to the client"
    assert server.recv(100) == b"to the server"


def test_nothing_is_on_its_way_after_the_handshake(ends):
    """No session ticket follows the handshake: the first record of each direction has number 0."""
    server, client, _ = ends
    for end in (server, client):
        end.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            end.recv(1)
        with pytest.raises(BlockingIOError):
            os.read(end.fileno(), 1)


def test_what_the_kernel_is_given_encrypts_for_a_real_peer(pair, monkeypatch):
    """The ssl module's end reads records made from the bytes that TLS_TX takes, and those of TLS_RX decrypt its answers."""
    made = []

    def upgrade(sock):
        made.append(KernelTls(sock))
        made[0].setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")

    encrypt = ktls.encrypt
    monkeypatch.setattr(ktls, "upgrade", upgrade)
    monkeypatch.setattr(ktls, "encrypt", lambda sock, *keys: encrypt(made[0], *keys))
    plain, client = KtlsSendfile.wrap(*pair())
    with plain, client:
        (kernel,) = made
        assert kernel.options == [(socket.IPPROTO_TCP, TCP_ULP), (SOL_TLS, TLS_TX), (SOL_TLS, TLS_RX)]
        for data in (b"first", bytes(16_384), b"third"):
            kernel.sendall(data)
            got = b""
            while len(got) < len(data):
                got += client.recv(1 << 16)
            assert got == data
        client.sendall(b"an answer")
        assert kernel.recv() == b"an answer"


def test_secrets_differ_by_direction_and_connection(ends, pair):
    """Each direction of each connection has a secret of its own, and the log of one handshake does not hold those of another."""
    *_, first = ends
    with key_log() as log:
        others = connect(*pair())
        second = log.secrets()
    for end in others:
        end.close()
    assert len({secrets[label] for secrets in (first, second) for label in (SERVER_SECRET, CLIENT_SECRET)}) == 4


def test_no_secret_is_logged_outside_the_block(pair):
    """After the block no key log is open: later handshakes log nothing."""
    with key_log():
        pass
    assert tls13.contexts()[0].keylog_filename is None
    for end in connect(*pair()):
        end.close()


def test_a_peer_that_ends_the_handshake_is_an_error(pair):
    """A connection that breaks before the handshake is done is an error with its cause, and both ends are closed."""
    server, client = pair()
    client.shutdown(socket.SHUT_RDWR)
    with pytest.raises(StudyError, match="no TLS handshake: "):
        connect(server, client)


def test_other_ciphers_are_refused_by_name():
    """A suite that the kernel is not given keys for is an error that names it and those that it may be."""
    with pytest.raises(StudyError, match="uses TLS_CHACHA20_POLY1305_SHA256: expected TLS_AES_128_GCM_SHA256 or TLS_AES_256_GCM_SHA384"):
        traffic_key("TLS_CHACHA20_POLY1305_SHA256", bytes(32))


def test_a_kernel_without_tls_leaves_nothing_open(pair, monkeypatch):
    """Where the kernel refuses the connection, both ends are closed and the error is the kernel's."""

    def refuse(sock):
        raise OSError(errno.ENOENT, "refused")

    monkeypatch.setattr(ktls, "upgrade", refuse)
    with pytest.raises(OSError, match="refused"):
        KtlsSendfile.wrap(*pair())
