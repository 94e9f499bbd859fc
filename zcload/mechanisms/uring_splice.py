"""io_uring SPLICE from the file into a pipe linked to SPLICE from the pipe into the socket: no copy by the CPU on the sending side.

System calls: one io_uring_enter a chunk instead of two splices. The kernel runs every SPLICE in a worker thread (io_uring/splice.c
sets REQ_F_FORCE_ASYNC), at two context switches each, which cost more than the saved calls.
"""

from __future__ import annotations

import os
import socket

from zcload.errors import os_error
from zcload.linux.descriptors import sized_pipe
from zcload.linux.uring_abi import IOSQE_IO_LINK, SPLICE
from zcload.mechanisms.base import Copies
from zcload.mechanisms.uring_base import AGAIN, Ringed

_NO_OFFSET = -1


class UringSplice(Ringed):
    """Move pages through a pipe, with one call."""

    name = "uring_splice"
    summary = "io_uring SPLICE file -> pipe linked to SPLICE pipe -> socket: no copy, one call a chunk, worker threads"
    copies = Copies(0, 0)
    operations = (SPLICE,)

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        try:
            self._reader, self._writer, self.pipe_bytes = sized_pipe(min(chunk, size))
        except BaseException:
            self._ring.close()
            raise

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: the pipe holds references to the page cache."""
        return 0

    def send(self, offset: int, count: int) -> int:
        ring, asked = self._ring, min(count, self.pipe_bytes)
        while True:
            self._tag = fill = self._tag + 2
            ring.prepare(SPLICE, self._writer, offset, asked, _NO_OFFSET, tag=fill, entry_flags=IOSQE_IO_LINK, splice_from=self.fd)
            ring.prepare(SPLICE, self.out, _NO_OFFSET, asked, _NO_OFFSET, tag=fill + 1, splice_from=self._reader)
            self._run(2)
            filled, moved = self._results[fill], self._results[fill + 1]
            if filled > 0:
                break
            asked = self._failed(offset, asked, filled, moved)
        if filled < asked:
            self.broken_links += 1
        if moved != filled:
            self._empty(filled, moved)
        return filled

    def _empty(self, filled: int, moved: int) -> None:
        """Splice what is left in the pipe to the socket: all of it after a broken link, a part after a short splice."""
        left = filled - max(moved, 0)
        if moved > 0:
            self.short += 1
        while left:
            self._tag += 1
            self._ring.prepare(SPLICE, self.out, _NO_OFFSET, left, _NO_OFFSET, tag=self._tag, splice_from=self._reader)
            self._run(1)
            moved = self._results[self._tag]
            if moved > 0:
                left -= moved
            elif moved not in AGAIN:
                raise os_error(-moved)  # the connection is gone, so what is left in the pipe is lost

    def completions(self) -> dict[str, int]:
        return {**super().completions(), "pipe_bytes": self.pipe_bytes}

    def close(self) -> None:
        super().close()
        for fd in (self._reader, self._writer):
            if fd >= 0:
                os.close(fd)
        self._reader = self._writer = -1
