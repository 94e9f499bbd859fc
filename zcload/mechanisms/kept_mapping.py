"""A mapping of the whole file, made once and kept: the base of the mechanisms that send its pages.

It is populated when it is made, outside of every window, as in a server that keeps its mappings. On tmpfs the page faults cost some
80 ms of CPU per GB (measured), which short windows would add to the cost of the sends. Before a window that begins with a cold
cache the pages are dropped from the mapping.

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
        """Return *count* bytes of the mapping; the next call or `close` releases them, even if a traceback still holds them."""
        self._part.release()
        self._part = self._view[offset : offset + count]
        return self._part

    def _explained(self, error: OSError) -> Exception:
        """Return what *error* means: EFAULT says that the file was truncated under its mapping."""
        now = os.fstat(self.fd).st_size
        return self.ended_early(now) if error.errno == errno.EFAULT and now < self.size else error

    def forget(self) -> None:
        # The mapping stays; only its page table entries go, as they do when the kernel reclaims the pages (madvise(2)).
        self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        # The kernel keeps pages that are still on their way pinned: unmapping does not release them.
        self._part.release()
        self._view.release()
        self._map.close()
