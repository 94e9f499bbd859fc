"""The senders of the demo: the two of 2015, and the copy done well, twice."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from zcload.mechanisms.read_send import ReadSend

SLURP, SENDFILE, READ, READ_256 = "slurp_send", "sendfile-64k", "read_send-64k", "read_send-256k"
NOTE_STEP = 65536  # bytes: what the note's sendfile sender and its receiver move a call

# The note's own figures: wall seconds of two runs each, 2.4 GB over loopback, in 2015.
NOTE_BYTES = 2_400_000_000
NOTE_SECONDS = {SLURP: (1.2538435459136963, 1.0714919567108154), SENDFILE: (0.5658297538757324, 0.5623219013214111)}

Send = Callable[[socket.socket, str], object]


@dataclass(frozen=True, slots=True)
class DemoContender:
    """One sender. *send(sock, path)* opens, reads and sends; what it returns is kept alive until the clock has stopped."""

    name: str
    what: str
    send: Send
    holds_file: bool = False  # needs as much private memory as the file is long


def _slurp(sock: socket.socket, path: str) -> object:
    with open(path, "rb") as file:
        content = file.read()
        sock.sendall(content)
    return content


def _sendfile(sock: socket.socket, path: str) -> object:
    with open(path, "rb") as file:
        offset = 0
        while moved := os.sendfile(sock.fileno(), file.fileno(), offset, NOTE_STEP):
            offset += moved
    return None


def _read_send(chunk: int) -> Send:
    def send(sock: socket.socket, path: str) -> object:
        with open(path, "rb", buffering=0) as file:
            size, offset = os.fstat(file.fileno()).st_size, 0
            mechanism = ReadSend(sock, file.fileno(), size, chunk)
            while offset < size:
                offset += mechanism.send(offset, min(chunk, size - offset))
        return mechanism

    return send


CONTENDERS = (
    DemoContender(SLURP, "the whole file into fresh memory, then sendall: the note's first sender", _slurp, holds_file=True),
    DemoContender(SENDFILE, "sendfile in steps of 64 KiB: the note's second sender", _sendfile),
    DemoContender(READ, "read and send in steps of 64 KiB through one reused buffer", _read_send(64 << 10)),
    DemoContender(READ_256, "the same in steps of 256 KiB", _read_send(256 << 10)),
)
