"""A mapping of the whole file, made once and kept: what the mechanisms share that hand its pages to the socket.

It is populated when it is made, outside of every window: a server that keeps its mappings took the page faults long ago, and
on tmpfs they cost some 80 ms of CPU per GB (measured), which short windows over a fresh mapping would bill to the sends. Before
a window that begins with a cold cache it lets go of them.

Python never touches the mapping, only the kernel does: past the end of a truncated file that gives EFAULT, not SIGBUS.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket

from zcload.linux.memory import address_of
from zcload.mechanisms.base import Mechanism


class KeptMapping(Mechanism):
    """Map the file before the first send."""

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        now = os.fstat(fd).st_size
        if now < size:  # it would be mapped beyond its end
            raise self.ended_early(now)
        self._map = mmap.mmap(fd, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)
        self._view = memoryview(self._map)
        self._part = memoryview(b"")
        self._address = self.buffer_address = address_of(self._map)

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: the mapping is the page cache itself."""
        return 0

    def _cut(self, offset: int, count: int) -> memoryview:
        """Return *count* bytes of the mapping; the part is let go of by the next call, or by `close` even if a traceback still holds it."""
        self._part.release()
        self._part = self._view[offset : offset + count]
        return self._part

    def _explained(self, error: OSError) -> Exception:
        """Return what *error* means: EFAULT is a file that was truncated under its mapping."""
        now = os.fstat(self.fd).st_size
        return self.ended_early(now) if error.errno == errno.EFAULT and now < self.size else error

    def forget(self) -> None:
        # The mapping stays; only its page table entries go, as they do when the kernel reclaims the pages (madvise(2)).
        self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        # Pages that are still on their way stay pinned by the kernel: unmapping does not take them from it.
        self._part.release()
        self._view.release()
        self._map.close()
