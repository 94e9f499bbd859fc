"""recv(2) into one reused buffer, then pwrite(2) to a file in memory: two copies by the CPU. An upload handler does this.

The file's pages are allocated before the run and overwritten from the start when its end is reached, so every window costs the
same. A receiver that creates a new file also pays for fresh pages (docs/sinks.md).
"""

from __future__ import annotations

import os
import socket
from typing import ClassVar

from zcload.linux.descriptors import memory_file
from zcload.sinks.base import BUFFER_OFFSET, Copies, Sink, Unavailable, probe_transfer

FILE_BYTES = 256 << 20  # larger than the last-level cache of most machines: overwriting a smaller file would be too cheap


class FileSink(Sink):
    """Store the bytes in a file in memory, over and over. Beside the way into it, this is what the sinks with a file share."""

    remedy: ClassVar[str]  # where the probe fails

    def __init__(self, chunk: int, file_bytes: int) -> None:
        super().__init__(chunk)
        self.fd = memory_file(file_bytes)
        self._end = file_bytes
        self._at = 0

    @classmethod
    def probe(cls) -> Unavailable | None:
        return probe_transfer(lambda: cls(65_536, file_bytes=65_536), cls.remedy)

    @classmethod
    def private_bytes(cls, chunk: int) -> int:
        """Return the size of the whole file."""
        return FILE_BYTES

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class File(FileSink):
    """Copy the bytes out, copy them into a file."""

    name = "file"
    summary = "recv, then pwrite to a file in memory: two copies by the CPU"
    copies = Copies(2, 2)
    calls = ("recv", "pwrite")
    takes_tls = True
    options = BUFFER_OFFSET
    remedy = "allow memfd_create(2) in this container, or free memory"

    def __init__(self, chunk: int, *, file_bytes: int = FILE_BYTES, buffer_offset: int = 0) -> None:
        """Prepare to store the received bytes in a file of *file_bytes*, over and over."""
        super().__init__(chunk, file_bytes)
        self.payload = self.allocate(min(chunk, file_bytes), buffer_offset)

    def receive(self, sock: socket.socket) -> int:
        return self.receive_up_to(sock, self._end)

    def receive_up_to(self, sock: socket.socket, most: int) -> int:
        at, view = self._at, self.payload
        # Never across the end of the file, so that one receive is one range of it.
        got = sock.recv_into(view, min(most, len(view), self._end - at))
        self.counts[0] += 1
        stored = 0
        while stored < got:
            stored += os.pwrite(self.fd, view[stored:got], at + stored)
            self.counts[1] += 1
        at += got
        self._at = 0 if at == self._end else at
        return got

    @classmethod
    def private_bytes(cls, chunk: int) -> int:
        """Return the size of the whole file and the buffer."""
        return FILE_BYTES + chunk
