"""Kernel TLS: the bytes that the kernel is given, the order of the calls, and what is said where there is none."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import shutil
import socket
import struct
import subprocess
import threading
from contextlib import closing

import pytest

from zcload.errors import StudyError
from zcload.linux import ktls
from zcload.linux.ktls import SOL_TLS, TCP_ULP, TLS_RX, TLS_TX, crypto_info, is_tls, random_crypto_info
from zcload.mechanisms import FileEndedEarly, ktls_sendfile
from zcload.mechanisms.ktls_sendfile import KtlsSendfile
from zcload.sinks import SINKS

KEY, SALT, IV = bytes(range(16)), b"salt", bytes(range(100, 108))


class AesGcm128(ctypes.Structure):
    """struct tls12_crypto_info_aes_gcm_128, written down from linux/tls.h."""

    _fields_ = [
        ("version", ctypes.c_uint16),
        ("cipher_type", ctypes.c_uint16),
        ("iv", ctypes.c_ubyte * 8),
        ("key", ctypes.c_ubyte * 16),
        ("salt", ctypes.c_ubyte * 4),
        ("rec_seq", ctypes.c_ubyte * 8),
    ]


class RecordingSocket:
    """A socket that only notes its options."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def setsockopt(self, level, option, value):
        self.log.append((self.name, level, option, value))


def refuses(code):
    """Return a function that fails with an error number."""

    def fail(*args):
        raise OSError(code, "refused")

    return fail


def test_crypto_info_has_the_kernels_layout():
    """Each field is where linux/tls.h has it, and nothing else is there."""
    packed = crypto_info(KEY, SALT, IV, 0x0102)
    fields = AesGcm128.from_buffer_copy(packed)
    assert len(packed) == ctypes.sizeof(AesGcm128) == 40
    assert (fields.version, fields.cipher_type) == (0x0303, 51)
    assert (bytes(fields.iv), bytes(fields.key), bytes(fields.salt)) == (IV, KEY, SALT)
    assert bytes(fields.rec_seq) == b"\0\0\0\0\0\0\1\2"
    assert bytes(fields) == packed


def test_crypto_info_is_these_bytes():
    """The bytes are those that the kernel's layout gives, in the machine's own order where a number has one."""
    assert crypto_info(KEY, SALT, IV) == struct.pack("=HH", 0x0303, 51) + IV + KEY + SALT + bytes(8)


def test_numbers_are_those_of_the_headers(tmp_path):
    """Options, version, cipher and offsets are what this machine's linux/tls.h and linux/tcp.h say."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: install one to hold the numbers against this machine's linux/tls.h")
    numbers = [
        *("TLS_TX", "TLS_RX", "TLS_1_2_VERSION", "TLS_CIPHER_AES_GCM_128", "TCP_ULP"),
        "(int)sizeof(struct tls12_crypto_info_aes_gcm_128)",
        *(f"(int)offsetof(struct tls12_crypto_info_aes_gcm_128, {name})" for name in ("iv", "key", "salt", "rec_seq")),
    ]
    source = tmp_path / "numbers.c"
    prints = "".join(f'printf("%d ", {number}); ' for number in numbers)
    headers = "".join(f"#include <{name}>\n" for name in ("stddef.h", "stdio.h", "linux/tcp.h", "linux/tls.h"))
    source.write_text(f"{headers}int main(void) {{ {prints}return 0; }}\n")
    subprocess.run([compiler, "-o", tmp_path / "numbers", source], check=True, capture_output=True)
    told = subprocess.run([tmp_path / "numbers"], check=True, capture_output=True, text=True).stdout
    offsets = [getattr(AesGcm128, name).offset for name in ("iv", "key", "salt", "rec_seq")]
    ours = [TLS_TX, TLS_RX, ktls.TLS_1_2_VERSION, ktls.TLS_CIPHER_AES_GCM_128, TCP_ULP, ctypes.sizeof(AesGcm128), *offsets]
    assert [int(number) for number in told.split()] == ours


@pytest.mark.parametrize(("key", "salt", "iv"), [(b"", SALT, IV), (KEY, b"salty", IV), (KEY, SALT, b"7 bytes")])
def test_wrong_lengths_are_refused(key, salt, iv):
    """A key, salt or iv of the wrong length is refused instead of being filled up with zeros."""
    with pytest.raises(ValueError, match="must have"):
        crypto_info(key, salt, iv)


def test_every_key_is_a_new_one():
    """Two connections never share key, salt and iv."""
    one, two = random_crypto_info(), random_crypto_info()
    assert one[:4] == two[:4]
    assert one[12:28] != two[12:28]
    assert one[32:] == bytes(8)


def test_prepare_sets_up_both_ends_with_one_key():
    """Both ends get the TLS layer first; then the receiver's key and the sender's, which are the same."""
    log = []
    KtlsSendfile.prepare(RecordingSocket("sender", log), RecordingSocket("receiver", log))
    info = log[-1][3]
    assert log == [
        ("sender", socket.IPPROTO_TCP, TCP_ULP, b"tls"),
        ("receiver", socket.IPPROTO_TCP, TCP_ULP, b"tls"),
        ("receiver", SOL_TLS, TLS_RX, info),
        ("sender", SOL_TLS, TLS_TX, info),
    ]
    assert len(info) == 40


def test_no_kernel_tls_is_a_reason_with_a_remedy(monkeypatch):
    """Where TCP_ULP says ENOENT the probe says that, and what would help."""
    monkeypatch.setattr(ktls_sendfile, "upgrade", refuses(errno.ENOENT))
    why = KtlsSendfile.probe()
    assert why.reason == 'this kernel has no TLS (TCP_ULP "tls": ENOENT)'
    assert "modprobe tls" in why.remedy
    assert "CONFIG_TLS" in why.remedy


def test_another_refusal_keeps_its_own_name(monkeypatch):
    """Another error of TCP_ULP is told as what it is, without a remedy that would not help."""
    monkeypatch.setattr(ktls_sendfile, "upgrade", refuses(errno.EPERM))
    why = KtlsSendfile.probe()
    assert why.reason == 'this kernel has no TLS (TCP_ULP "tls": EPERM)'
    assert why.remedy is None


def test_a_refused_key_is_told_apart(monkeypatch):
    """A kernel with TLS but without the cipher says ENOENT too; the probe tells the two apart."""
    monkeypatch.setattr(ktls_sendfile, "upgrade", lambda sock: None)
    monkeypatch.setattr(ktls_sendfile, "encrypt", refuses(errno.ENOENT))
    why = KtlsSendfile.probe()
    assert why.reason == "kernel TLS rejects AES-128-GCM: refused"
    assert "CONFIG_CRYPTO_GCM" in why.remedy


def test_a_plain_connection_is_refused(pair, source_file):
    """A connection that was not prepared is an error: plain sendfile must not pass for an encrypted one."""
    file = source_file(10)
    sender, _ = pair()
    assert not is_tls(sender)
    with pytest.raises(StudyError, match="not set up for kernel TLS"):
        KtlsSendfile(sender, file.fd, file.size, 4096)


def test_sends_exact_counts(monkeypatch, pair, source_file):
    """It asks sendfile for exactly what the loop asks of it, counts the calls, and tells a truncated file."""
    monkeypatch.setattr(ktls_sendfile, "is_tls", lambda sock: True)
    file = source_file(10_000)
    sender, receiver = pair()
    with closing(KtlsSendfile(sender, file.fd, file.size, 4096)) as mechanism:
        assert [mechanism.send(0, 4096), mechanism.send(4096, 4096), mechanism.send(8192, 1808)] == [4096, 4096, 1808]
        assert mechanism.counts == [3]
        assert receiver.recv(10_000, socket.MSG_WAITALL) == file.data
        with pytest.raises(FileEndedEarly, match="of 10000"):
            mechanism.send(10_000, 1)


@pytest.mark.parametrize("sink", ["recv", "discard", "splice_null", "file", "splice_file"])
def test_the_file_arrives_through_kernel_tls(sink, pair, source_file):
    """Through prepared connections the file arrives decrypted, whole and in order, at every sink that can take it."""
    why = KtlsSendfile.probe()
    if why is not None:
        pytest.skip(f"ktls_sendfile: {why.reason} ({why.remedy})")
    file = source_file(1_000_003)
    sender, receiver = pair()
    KtlsSendfile.prepare(sender, receiver)
    assert is_tls(sender)
    assert is_tls(receiver)

    def send():
        with closing(KtlsSendfile(sender, file.fd, file.size, 65_536)) as mechanism:
            offset = 0
            while offset < file.size:
                offset += mechanism.send(offset, min(65_536, file.size - offset))
        sender.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    digest, taken = hashlib.sha256(), 0
    with closing(SINKS[sink](65_536)) as taker:
        taker.attach(receiver)
        thread.start()
        while got := taker.receive(receiver):
            taken += got
            digest.update(taker.payload[:got] if taker.sees_payload else b"")
        thread.join()
    assert taken == file.size
    assert digest.digest() == hashlib.sha256(file.data if SINKS[sink].sees_payload else b"").digest()
