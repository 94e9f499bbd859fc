"""read(2) of the whole file into fresh memory, then send(2): what `sock.sendall(f.read())` does.

Two copies by the CPU. Before them the kernel zeroes every fresh page, after a page fault for each: one fault per 4 KiB, far fewer with
transparent huge pages (docs/mechanisms.md). This costs more than the copies do, so a window always holds whole passes.
"""

from __future__ import annotations

import io
import os
import socket

from zcload.mechanisms.base import MAX_COUNT, Copies, Mechanism


class SlurpSend(Mechanism):
    """Read the whole file, send it."""

    name = "slurp_send"
    summary = "sendall(f.read()): read the whole file into fresh memory, then send; mostly page faults"
    copies = Copies(2, 2, "and the zeroing of every page")
    calls = ("fstat", "lseek", "read", "send")
    whole_pass = True
    uses_chunk = False

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._file = io.FileIO(fd, closefd=False)
        self._view: memoryview | None = None
        self._start, self._small = 0, False  # offset of the view in the file; whether the view is a small file

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """The whole file, once for each sender."""
        return size

    def _slurp(self) -> memoryview:
        self._file.seek(0)
        data = self._file.readall()  # what f.read() of a binary file runs: one allocation, then read(2) into it
        # FileIO.readall asks fstat and lseek for the size, then reads until a read returns nothing (CPython Modules/_io/fileio.c).
        for kind, calls in enumerate((1, 2, -(-len(data) // MAX_COUNT) + 1, 0)):
            self.counts[kind] += calls
        if len(data) < self.size:
            raise self.ended_early(len(data))
        return memoryview(data)

    def begin(self, fd: int, offset: int, count: int) -> None:
        parts, at = [], offset
        while at < offset + count:
            self.counts[2] += 1
            part = os.pread(fd, offset + count - at, at)  # not read: the small file is a part of a large one, at an offset
            if not part:
                raise self.ended_early(at)
            parts.append(part)
            at += len(part)
        self._view, self._start = memoryview(parts[0] if len(parts) == 1 else b"".join(parts)), offset
        self._small = True

    def end(self) -> None:
        self._view, self._start, self._small = None, 0, False

    def send(self, offset: int, count: int) -> int:
        if not self._small and (offset == 0 or self._view is None):
            self._view = None  # free the old pass before reading the next: one file in memory, not two
            self._view = self._slurp()
        self.counts[3] += 1
        assert self._view is not None
        start = offset - self._start
        sent = self.sock.send(self._view[start : start + count])
        if offset + sent == self.size:
            self._view = None
        return sent

    def close(self) -> None:
        self._view = None
        self._file.close()
