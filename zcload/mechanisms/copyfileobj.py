"""shutil.copyfileobj into socket.makefile("wb"): read(2) into a new bytes object, then send(2): two copies, an allocation a chunk.

This is what http.server does for a file (Lib/http/server.py, `copyfile`). The socket's file is a BufferedWriter over a SocketIO: it
copies chunks below its 8 KiB once more and hands larger ones on as they are.
"""

from __future__ import annotations

import io
import shutil
import socket
from typing import TYPE_CHECKING

from zcload.mechanisms.base import Copies, Mechanism

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _CountedSocket(socket.SocketIO):
    """What socket.makefile writes to, with a count of its sends."""

    sends = 0

    def write(self, data: ReadableBuffer) -> int | None:
        self.sends += 1
        return super().write(data)


class _Part:
    """The next *left* bytes of a file as a file of their own; reads are counted."""

    def __init__(self, file: io.FileIO) -> None:
        self._file, self.left, self.reads = file, 0, 0

    def read(self, size: int = -1, /) -> bytes:
        if not self.left:
            return b""
        data = self._file.read(min(size, self.left))
        self.reads += 1
        self.left -= len(data)
        return data


class Copyfileobj(Mechanism):
    """Copy from a file object to a socket's file object."""

    name = "copyfileobj"
    summary = 'Python\'s shutil.copyfileobj into socket.makefile("wb"): two copies and an allocation a chunk'
    copies = Copies(2, 2)
    calls = ("lseek", "read", "send")

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._at = -1  # where the file stands; unknown
        self._open(fd)
        self._connect(sock)

    def _open(self, fd: int) -> None:
        self._file = io.FileIO(fd, closefd=False)
        self._part, self._at = _Part(self._file), -1

    def _connect(self, sock: socket.socket) -> None:
        self._raw = _CountedSocket(sock, "wb")
        self._writer = io.BufferedWriter(self._raw)  # as socket.makefile makes it

    def send(self, offset: int, count: int) -> int:
        if self._at != offset:
            self._file.seek(offset)
            self.counts[0] += 1
        part, raw = self._part, self._raw
        part.left, reads, sends = count, part.reads, raw.sends
        shutil.copyfileobj(part, self._writer, self.chunk)
        self._writer.flush()
        moved = count - part.left
        self.counts[1] += part.reads - reads
        self.counts[2] += raw.sends - sends
        self._at = offset + moved
        if not moved:
            raise self.ended_early(offset)
        return moved

    def begin(self, fd: int, offset: int, count: int) -> None:
        super().begin(fd, offset, count)
        self._file.close()
        self._open(fd)

    def reconnect(self, sock: socket.socket) -> None:
        super().reconnect(sock)
        self._connect(sock)

    def close(self) -> None:
        self._file.close()
