"""A mapping of the file that is made with the first send and kept: what the mechanisms share that hand its pages to the socket.

Python never touches the mapping, only the kernel does: past the end of a truncated file that gives EFAULT, not SIGBUS.
"""

from __future__ import annotations

import errno
import mmap
import os

from zcload.linux.memory import address_of
from zcload.mechanisms.base import Mechanism


class KeptMapping(Mechanism):
    """Map the file once; `calls` must name mmap and munmap."""

    _map: mmap.mmap | None = None
    _view = memoryview(b"")
    _part = memoryview(b"")
    _address = 0

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: the mapping is the page cache itself."""
        return 0

    def _open(self) -> None:
        # A shorter file would be mapped beyond its end.
        if os.fstat(self.fd).st_size < self.size:
            raise self.ended_early(os.fstat(self.fd).st_size)
        self._map = mmap.mmap(self.fd, self.size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        self._view = memoryview(self._map)
        self._address = address_of(self._map)
        self.counts[self.calls.index("mmap")] += 1

    def _cut(self, offset: int, count: int) -> memoryview:
        """Return *count* bytes of the mapping; the part is let go of by the next call, or by `close` even if a traceback still holds it."""
        self._part.release()
        self._part = self._view[offset : offset + count]
        return self._part

    def _explained(self, error: OSError) -> Exception:
        """Return what *error* means: EFAULT is a file that was truncated under its mapping."""
        now = os.fstat(self.fd).st_size
        return self.ended_early(now) if error.errno == errno.EFAULT and now < self.size else error

    def close(self) -> None:
        # Pages that are still on their way stay pinned by the kernel: unmapping does not take them from it.
        if self._map is not None:
            self._part.release()
            self._view.release()
            self._map.close()
            self._map = None
            self.counts[self.calls.index("munmap")] += 1
