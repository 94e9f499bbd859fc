"""io_uring SEND_ZC from a registered mapping of the whole file: nothing is read, copied or looked up per chunk.

System calls: one io_uring_enter a chunk, and an fstat a pass or small file. CPU copies by the sender: none with a network card; on
loopback and veth the kernel copies later (msg_zerocopy.rst, "Loopback", "Testing"). The kernel pins a registered buffer for writing
(io_uring/memmap.c, io_pin_pages: FOLL_WRITE), which pages of a file opened for reading do not allow. So the mapping is a private one, and
pinning it copies the file once, before the first window: what is sent is the file as it was then.
"""

from __future__ import annotations

import mmap
import os
import socket

from zcload.errors import os_error
from zcload.linux.memory import address_of
from zcload.linux.uring_abi import SEND, SEND_ZC
from zcload.mechanisms.base import Copies
from zcload.mechanisms.uring_base import Notified

_LARGEST = 1 << 30  # bytes of a registered buffer (io_uring_register(2))


class UringSendZcMapped(Notified):
    """Send from the registered file."""

    name = "uring_send_zc_mapped"
    summary = "io_uring SEND_ZC from a registered mapping of the file: no copy with a network card, a late one on loopback"
    copies = Copies(0, 1, "late")
    calls = ("io_uring_enter", "fstat")
    operations = (SEND, SEND_ZC)

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._map: mmap.mmap | None = None
        try:
            self._register()
        except BaseException:
            self.close()
            raise

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """The pinned copy of the whole file."""
        return size

    def _register(self) -> None:
        """Map the file and pin the mapping; raises OSError, FileEndedEarly."""
        self._check_size()
        self._map = mmap.mmap(self.fd, self.size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        self._address = self.buffer_address = address_of(self._map)
        starts = range(0, self.size, _LARGEST)
        self._ring.register_buffers(*((self._address + start, min(_LARGEST, self.size - start)) for start in starts))

    def _check_size(self) -> None:
        """Raise FileEndedEarly if the file was cut short: its pinned copy would not show that."""
        now = os.fstat(self.fd).st_size
        if now < self.size:
            raise self.ended_early(now)

    def begin(self, fd: int, offset: int, count: int) -> None:
        super().begin(fd, offset, count)
        if offset:  # at the file's beginning `send` looks
            self.counts[1] += 1
            self._check_size()

    def send(self, offset: int, count: int) -> int:
        if not offset:
            self.counts[1] += 1
            self._check_size()
        if self._map is None:
            self._register()
        count = min(count, _LARGEST - offset % _LARGEST)
        sent = self._send_memory(self._address + offset, count, offset // _LARGEST)
        if sent <= 0:
            raise os_error(-sent)
        return sent

    def completions(self) -> dict[str, int]:
        return {**super().completions(), "registered_bytes": self.size if self._map is not None else 0}

    def forget(self) -> None:
        # The copy has to go too: a window that begins with a cold cache reads the file.
        if self._map is not None:
            self._ring.unregister_buffers()
            self._map.close()
            self._map = None

    def close(self) -> None:
        super().close()
        if self._map is not None:
            self._map.close()
            self._map = None
