"""splice(2) from the socket into a pipe and from the pipe into a file in memory: one copy by the CPU, into the page cache.

The socket's pages are not moved into the file: SPLICE_F_MOVE has done nothing since Linux 2.6.21 (splice(2)), so the second
call copies. The file is that of the sink `file`: allocated before the run, overwritten from the start.
"""

from __future__ import annotations

import mmap
import os
import socket

from zcload.linux.descriptors import sized_pipe
from zcload.sinks.base import Copies
from zcload.sinks.file import FILE_BYTES, FileSink


class SpliceFile(FileSink):
    """Move pages through a pipe into a file."""

    name = "splice_file"
    summary = "splice socket -> pipe -> file in memory: one copy by the CPU, none through user space"
    copies = Copies(1, 1)
    calls = ("splice",)
    remedy = "allow splice(2) and memfd_create(2) in this container, or free memory"

    def __init__(self, chunk: int, *, file_bytes: int = FILE_BYTES) -> None:
        """Prepare to store the received bytes in a file of *file_bytes*, over and over."""
        super().__init__(chunk, file_bytes)
        self._reader, self._writer, room = sized_pipe(chunk)
        self._most = min(chunk, room)
        # Only verification reads the stored bytes, through a mapping: unread, it costs one slice a receive.
        self._map = mmap.mmap(self.fd, file_bytes, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        self._stored = memoryview(self._map)

    def receive(self, sock: socket.socket) -> int:
        return self.receive_up_to(sock, self._most)

    def receive_up_to(self, sock: socket.socket, most: int) -> int:
        at = self._at
        got = os.splice(sock.fileno(), self._writer, min(most, self._most, self._end - at))
        self.counts[0] += 1
        stored = 0
        while stored < got:
            stored += os.splice(self._reader, self.fd, got - stored, offset_dst=at + stored)
            self.counts[0] += 1
        self.payload = self._stored[at : at + got]
        at += got
        self._at = 0 if at == self._end else at
        return got

    def close(self) -> None:
        if self.fd >= 0:
            self.payload = memoryview(b"")
            self._stored.release()
            self._map.close()
            os.close(self._reader)
            os.close(self._writer)
        super().close()
