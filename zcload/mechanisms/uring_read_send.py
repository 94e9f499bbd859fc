"""io_uring READ linked to SEND: page cache -> user buffer -> socket's queue, two copies by the CPU, as read_send.

System calls: one io_uring_enter a chunk instead of two calls. It shows what the calls cost; it saves no copy. A READ of a file that
cannot be read without blocking (tmpfs) runs in a kernel worker thread, at two context switches each.
"""

from __future__ import annotations

import socket

from zcload.linux.memory import address_of
from zcload.linux.uring_abi import IOSQE_IO_LINK, READ, SEND
from zcload.mechanisms.base import BUFFER_OFFSET, Copies
from zcload.mechanisms.uring_base import SEND_FLAGS, Ringed


class UringReadSend(Ringed):
    """Read a chunk and send it, with one call."""

    name = "uring_read_send"
    summary = "io_uring READ linked to SEND, one buffer: two copies by the CPU, one call a chunk"
    copies = Copies(2, 2)
    operations = (READ, SEND)
    options = BUFFER_OFFSET

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(sock, fd, size, chunk)
        self._memory = self.allocate(min(chunk, size), buffer_offset)
        self._address = address_of(self._memory)

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """The buffer."""
        return min(size, chunk)

    def send(self, offset: int, count: int) -> int:
        ring, asked = self._ring, count
        while True:
            self._tag = read = self._tag + 2
            ring.prepare(READ, self.fd, self._address, asked, offset, tag=read, entry_flags=IOSQE_IO_LINK)
            ring.prepare(SEND, self.out, self._address, asked, tag=read + 1, op_flags=SEND_FLAGS)
            self._run(2)
            got, sent = self._results[read], self._results[read + 1]
            if sent > 0:
                if sent < count:
                    self.short += 1
                return sent
            asked = self._failed(offset, asked, got, sent)

    def close(self) -> None:
        super().close()  # first: it ends what still writes into the buffer
        self._memory.release()
