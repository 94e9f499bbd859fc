"""Kernel TLS: the bytes that the kernel is given, the order of the calls, and what is said where there is none."""

from __future__ import annotations

import ctypes
import errno
import shutil
import socket
import subprocess
from contextlib import closing

import pytest

from zcload.errors import StudyError
from zcload.linux import ktls
from zcload.linux.ktls import TCP_ULP, TLS_RX, TLS_TX, crypto_info, is_tls
from zcload.linux.tls13 import TrafficKey
from zcload.mechanisms import FileEndedEarly
from zcload.mechanisms.ktls_send import KtlsSend
from zcload.mechanisms.ktls_sendfile import KtlsSendfile

SHORT = TrafficKey("TLS_AES_128_GCM_SHA256", bytes(range(16)), b"salt" + bytes(range(100, 108)))
LONG = TrafficKey("TLS_AES_256_GCM_SHA384", bytes(range(32)), b"salt" + bytes(range(100, 108)))


def layout(key_bytes):
    """Return struct tls12_crypto_info_aes_gcm_128 or _256, written down from linux/tls.h."""
    fields = [("iv", 8), ("key", key_bytes), ("salt", 4), ("rec_seq", 8)]
    numbers = [("version", ctypes.c_uint16), ("cipher_type", ctypes.c_uint16)]
    return type("Info", (ctypes.Structure,), {"_fields_": numbers + [(name, ctypes.c_ubyte * size) for name, size in fields]})


FIELDS = ("iv", "key", "salt", "rec_seq")
LAYOUTS = [(layout(16), SHORT), (layout(32), LONG)]


def refuses(code):
    """Return a function that fails with an error number."""

    def fail(*args):
        raise OSError(code, "refused")

    return fail


@pytest.mark.parametrize(("cls", "key"), LAYOUTS)
def test_crypto_info_has_the_kernels_layout(cls, key):
    """Each field is where linux/tls.h has it, and nothing else is there."""
    packed = crypto_info(key, 0x0102)
    fields = cls.from_buffer_copy(packed)
    assert len(packed) == ctypes.sizeof(cls)
    assert (fields.version, fields.cipher_type) == (0x0304, {16: 51, 32: 52}[len(key.key)])
    assert (bytes(fields.salt) + bytes(fields.iv), bytes(fields.key)) == (key.iv, key.key)
    assert bytes(fields.rec_seq) == b"\0\0\0\0\0\0\1\2"
    assert bytes(fields) == packed


def test_numbers_are_those_of_the_headers(tmp_path):
    """Options, version, cipher and offsets are what this machine's linux/tls.h and linux/tcp.h say."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc, to hold the numbers against this machine's linux/tls.h")
    numbers = [
        *("TLS_TX", "TLS_RX", "TLS_1_3_VERSION", "TLS_CIPHER_AES_GCM_128", "TLS_CIPHER_AES_GCM_256", "TCP_ULP"),
        *(f"(int)sizeof(struct tls12_crypto_info_aes_gcm_{bits})" for bits in (128, 256)),
        *(f"(int)offsetof(struct tls12_crypto_info_aes_gcm_{bits}, {name})" for bits in (128, 256) for name in FIELDS),
    ]
    source = tmp_path / "numbers.c"
    prints = "".join(f'printf("%d ", {number}); ' for number in numbers)
    headers = "".join(f"#include <{name}>\n" for name in ("stddef.h", "stdio.h", "linux/tcp.h", "linux/tls.h"))
    source.write_text(f"{headers}int main(void) {{ {prints}return 0; }}\n")
    subprocess.run([compiler, "-o", tmp_path / "numbers", source], check=True, capture_output=True)
    told = subprocess.run([tmp_path / "numbers"], check=True, capture_output=True, text=True).stdout
    sizes = [ctypes.sizeof(cls) for cls, _ in LAYOUTS]
    offsets = [getattr(cls, name).offset for cls, _ in LAYOUTS for name in FIELDS]
    ours = [TLS_TX, TLS_RX, ktls.TLS_1_3_VERSION, *ktls.TLS_CIPHERS.values(), TCP_ULP, *sizes, *offsets]
    assert [int(number) for number in told.split()] == ours


def test_no_kernel_tls_is_a_reason_with_a_remedy(monkeypatch):
    """Where TCP_ULP says ENOENT the probe says that, and what would help."""
    monkeypatch.setattr(ktls, "upgrade", refuses(errno.ENOENT))
    why = KtlsSendfile.probe()
    assert why.reason == 'this kernel has no TLS (TCP_ULP "tls": ENOENT)'
    assert "modprobe tls" in why.remedy
    assert "CONFIG_TLS" in why.remedy


def test_another_refusal_keeps_its_own_name(monkeypatch):
    """Another error of TCP_ULP is told as what it is, without a remedy that would not help."""
    monkeypatch.setattr(ktls, "upgrade", refuses(errno.EPERM))
    why = KtlsSendfile.probe()
    assert why.reason == 'this kernel has no TLS (TCP_ULP "tls": EPERM)'
    assert why.remedy is None


def test_a_refused_key_is_told_apart(monkeypatch):
    """A kernel with TLS but without the cipher says ENOENT too; the probe tells the two apart."""
    monkeypatch.setattr(ktls, "upgrade", lambda sock: None)
    monkeypatch.setattr(ktls, "encrypt", refuses(errno.ENOENT))
    why = KtlsSendfile.probe()
    assert why.reason == "kernel TLS rejects AES-GCM of TLS 1.3: refused"
    assert "CONFIG_CRYPTO_GCM" in why.remedy


def test_a_plain_connection_is_refused(pair, source_file):
    """A connection that was not prepared is an error: plain sendfile must not pass for an encrypted one."""
    file = source_file(10)
    sender, _ = pair()
    assert not is_tls(sender)
    for cls in (KtlsSend, KtlsSendfile):
        with pytest.raises(StudyError, match="not set up for kernel TLS"):
            cls(sender, file.fd, file.size, 4096)


def test_sends_exact_counts(monkeypatch, pair, source_file):
    """It asks sendfile for exactly what the loop asks of it, counts the calls, and tells a truncated file."""
    monkeypatch.setattr(ktls, "is_tls", lambda sock: True)
    file = source_file(10_000)
    sender, receiver = pair()
    with closing(KtlsSendfile(sender, file.fd, file.size, 4096)) as mechanism:
        assert [mechanism.send(0, 4096), mechanism.send(4096, 4096), mechanism.send(8192, 1808)] == [4096, 4096, 1808]
        assert mechanism.counts == [3]
        assert receiver.recv(10_000, socket.MSG_WAITALL) == file.data
        with pytest.raises(FileEndedEarly, match="size was 10000"):
            mechanism.send(10_000, 1)
