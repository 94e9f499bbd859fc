"""send(2) from a mapping of the file: page cache -> socket buffer, one copy by the CPU, and the page faults of the mapping.

Linux maps up to 64 KiB around a fault (fault_around_bytes, mm/memory.c), or a whole large folio. So a pass over a fresh mapping
takes a fault for each 16 pages in tmpfs and fewer on ext4 (docs/mechanisms.md). The file is mapped once per pass, or once per small
file, then unmapped, as a simple server does. The option `keep_mapping` keeps the mapping, as a server with a cache of mappings does.
Unmapping happens in the window in which the pass ends: medians over windows leave it out, the ratio of sums includes it.
"""

from __future__ import annotations

import mmap
import os
import socket

from zcload.mechanisms.base import Copies, Mechanism


class MmapSend(Mechanism):
    """Map the file, send from the mapping."""

    name = "mmap_send"
    summary = "send from a mapping of the file: one copy by the CPU, plus page faults"
    copies = Copies(1, 1)
    calls = ("fstat", "fcntl", "mmap", "munmap", "close", "send")
    options = {"keep_mapping": bool}

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, keep_mapping: bool = False) -> None:
        super().__init__(sock, fd, size, chunk)
        self._keep = keep_mapping
        self._map: mmap.mmap | None = None
        self._view = memoryview(b"")
        self._start = 0  # of the mapping in the file

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: the mapping is the page cache itself."""
        return 0

    def _open(self, start: int, size: int) -> None:
        try:
            self._map = mmap.mmap(self.fd, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ, offset=start)
        except ValueError:  # CPython's: the file is shorter; mapped beyond its end, touching it would be a SIGBUS
            raise self.ended_early(os.fstat(self.fd).st_size) from None
        self._view, self._start = memoryview(self._map), start
        for kind in range(3):  # mmap.mmap asks for the size and duplicates the descriptor (CPython Modules/mmapmodule.c)
            self.counts[kind] += 1

    def send(self, offset: int, count: int) -> int:
        if self._map is None:
            self._open(0, self.size)
        self.counts[5] += 1
        # The kernel reads the mapping, so a truncated file gives EFAULT here and never a SIGBUS.
        start = offset - self._start
        sent = self.sock.send(self._view[start : start + count])
        if offset + sent == self.size and not self._keep:
            self.close()
        return sent

    def begin(self, fd: int, offset: int, count: int) -> None:
        self.fd = fd
        if not self._keep:
            self.close()
            self._open(offset, count)

    def end(self) -> None:
        if not self._keep:
            self.close()

    def forget(self) -> None:
        # The mapping stays; only its page table entries go, as they do when the kernel reclaims the pages (madvise(2)).
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        if self._map is not None:
            self._view.release()
            self._map.close()
            self._map = None
            for kind in (3, 4):  # and closes the duplicate
                self.counts[kind] += 1
