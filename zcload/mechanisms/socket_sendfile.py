"""socket.socket.sendfile of Python: os.sendfile, with what the method does around it; where sendfile cannot, it reads and sends.

For each call it asks for the file's size and moves the file's position to where it stopped (CPython Lib/socket.py,
`_sendfile_use_sendfile`): two system calls more than os.sendfile alone. Its fall-back reads 8 KiB at a time (`_sendfile_use_send`) and
says nothing; here it is counted.
"""

from __future__ import annotations

import io
import socket

from zcload.mechanisms.base import MAX_COUNT, Copies, Mechanism


class _CountedFile(io.FileIO):
    """A file that counts what the fall-back reads; sendfile goes by its descriptor and reads nothing."""

    reads = read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(-1 if size is None else size)
        self.reads += 1
        self.read_bytes += len(data)
        return data


class SocketSendfile(Mechanism):
    """Let Python's socket send the file."""

    name = "socket_sendfile"
    summary = "Python's socket.sendfile: sendfile, fstat and lseek a chunk; it falls back to read and send"
    copies = Copies(0, 0)
    calls = ("fstat", "sendfile", "lseek")

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._file = _CountedFile(fd, closefd=False)
        self._sends = self._fallbacks = self._fallback_bytes = 0

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: the kernel moves the page cache's own pages."""
        return 0

    def send(self, offset: int, count: int) -> int:
        sent = self.sock.sendfile(self._file, offset, min(count, MAX_COUNT))  # more would take calls that are not counted
        self._sends += 1
        for kind in range(3):
            self.counts[kind] += 1
        if self._file.read_bytes:
            self._fallbacks += 1
            self._fallback_bytes += self._file.read_bytes
            self._file.reads = self._file.read_bytes = 0
        if not sent:
            raise self.ended_early(offset)
        return sent

    def begin(self, fd: int, offset: int, count: int) -> None:
        super().begin(fd, offset, count)
        self._file.close()
        self._file = _CountedFile(fd, closefd=False)

    def completions(self) -> dict[str, int]:
        return {"fallbacks": self._fallbacks, "fallback_bytes": self._fallback_bytes} if self._fallbacks else {}

    def close(self) -> None:
        self._file.close()
