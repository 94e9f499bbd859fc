"""io_uring SEND of a bundle: the parts of a chunk are provided buffers, and one operation sends all of them.

System calls: one io_uring_enter a chunk. CPU copies by the sender: one, from a kept mapping of the file. This is how a server sends what
it has ready in several buffers: it provides them in order and does not wait between them (IORING_RECVSEND_BUNDLE, io_uring_enter(2)).
"""

from __future__ import annotations

import socket

from zcload.errors import os_error
from zcload.linux.uring_abi import CQE_F_MORE, IOSQE_BUFFER_SELECT, RECVSEND_BUNDLE, SEND
from zcload.linux.uring_buffers import BufferRing
from zcload.mechanisms.base import Copies
from zcload.mechanisms.kept_mapping import KeptMapping
from zcload.mechanisms.uring_base import AGAIN, SEND_FLAGS, Ringed

PART = 64 << 10  # bytes of a provided buffer, as sendmsg_vectors has parts
_MOST = 256  # buffers that one bundle takes: PEEK_MAX_IMPORT in io_uring/kbuf.c


class UringSendBundle(Ringed, KeptMapping):
    """Send a chunk as a bundle of provided buffers."""

    name = "uring_send_bundle"
    summary = "io_uring SEND of a bundle: 64 KiB parts of a kept mapping as provided buffers, one copy"
    copies = Copies(1, 1)
    operations = (SEND,)
    since = "6.10"

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        try:
            self._buffers = BufferRing(self._ring, _MOST)
        except BaseException:
            self.close()
            raise
        self._sent = 0  # by the completions of the operation under way

    def send(self, offset: int, count: int) -> int:
        count = min(count, PART * _MOST)
        while True:
            sent, failed = self._send_bundle(offset, count)
            if sent < count:
                # The kernel does not say which of the buffers that it had taken it will offer again: begin with none.
                self._buffers.reset()
            if sent:
                self.short += sent < count
                return sent
            if failed not in AGAIN:
                raise self._explained(os_error(-failed))

    def _send_bundle(self, offset: int, count: int) -> tuple[int, int]:
        """Provide the parts of a chunk and send them; return the bytes sent and the last completion's result."""
        buffers, address = self._buffers, self._address + offset
        for number, at in enumerate(range(0, count, PART)):
            buffers.provide(address + at, min(PART, count - at), number)
        buffers.publish()
        self._tag, self._sent = self._tag + 1, 0
        self._ring.prepare(
            SEND,
            self.out,
            0,
            count,
            tag=self._tag,
            op_flags=SEND_FLAGS,
            entry_flags=IOSQE_BUFFER_SELECT,
            priority=RECVSEND_BUNDLE,
            buffer=buffers.group,
            multishot=True,
        )
        self._run(1)
        return self._sent, self._results[self._tag]

    def _take(self, tag: int, result: int, flags: int) -> None:
        self._sent += max(result, 0)
        if not flags & CQE_F_MORE:  # with it the kernel goes on with the buffers that are left
            self._results[tag] = result

    def close(self) -> None:
        Ringed.close(self)
        KeptMapping.close(self)
        if hasattr(self, "_buffers"):
            self._buffers.close()
