"""splice(2) from the socket into a pipe and from the pipe into a file in memory: one copy by the CPU, into the page cache.

The socket's pages are not moved into the file: SPLICE_F_MOVE has done nothing since Linux 2.6.21 (splice(2)), so the second
call copies. The file is that of the sink `file`: allocated before the run, overwritten from the start.
"""

from __future__ import annotations

import mmap
import os
import socket

from zcload.linux.memory_file import memory_file
from zcload.linux.pipes import sized_pipe
from zcload.sinks.base import Copies, Sink, Unavailable
from zcload.sinks.file import FILE_BYTES
from zcload.sinks.probe_sink import describe_error, probe_transfer


class SpliceFile(Sink):
    """Move pages through a pipe into a file."""

    name = "splice_file"
    summary = "splice socket -> pipe -> file in memory: one copy by the CPU, none through user space"
    copies = Copies(1, 1)
    calls = ("splice",)

    def __init__(self, chunk: int, *, file_bytes: int = FILE_BYTES) -> None:
        """Prepare to store the received bytes in a file of *file_bytes*, over and over."""
        super().__init__(chunk)
        self.fd = memory_file(file_bytes)
        self._end = file_bytes
        self._at = 0
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

    @classmethod
    def probe(cls) -> Unavailable | None:
        try:
            error = probe_transfer(cls(65_536, file_bytes=65_536))
        except OSError as found:
            error = found
        return (
            None
            if error is None
            else Unavailable(describe_error(error), "allow splice(2) and memfd_create(2) in this container, or free memory")
        )

    @classmethod
    def private_bytes(cls, chunk: int) -> int:
        """The whole file."""
        return FILE_BYTES

    def close(self) -> None:
        if self.fd >= 0:
            self.payload = memoryview(b"")
            self._stored.release()
            self._map.close()
            for fd in (self.fd, self._reader, self._writer):
                os.close(fd)
            self.fd = -1
