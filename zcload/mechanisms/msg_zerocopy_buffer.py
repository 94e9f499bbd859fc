"""preadv(2) into a ring of page-aligned buffers, then send(2) with MSG_ZEROCOPY: page cache -> buffer -> socket's queue.

System calls: preadv and send a chunk, recvmsg for completions, poll where the ring is full. CPU copies by the sender: one, into
the buffer; on loopback and veth the kernel adds a late one (msg_zerocopy.rst, "Loopback", "Testing"). A server that builds or encrypts
its payload works like this. A buffer is reused only after the completion of its last send.
"""

from __future__ import annotations

import os
import socket

from zcload.linux.memory import slots
from zcload.mechanisms import zerocopy_socket
from zcload.mechanisms.base import BUFFER_OFFSET, Copies, Mechanism, Unavailable
from zcload.mechanisms.probe_transfer import probe_transfer
from zcload.mechanisms.zerocopy_socket import DRAIN_TIMEOUT_S, ZeroCopySocket

_PREADV = len(zerocopy_socket.CALLS)


class MsgZerocopyBuffer(Mechanism):
    """Read a chunk into a free buffer, send the buffer."""

    name = "msg_zerocopy_buffer"
    summary = "preadv into a ring of buffers, send with MSG_ZEROCOPY: one copy, a second, late one on loopback"
    copies = Copies(1, 2, "one of them late")
    calls = (*zerocopy_socket.CALLS, "preadv")
    options = BUFFER_OFFSET

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(sock, fd, size, chunk)
        self._zc = ZeroCopySocket(sock, self.counts)
        self._slot, number = slots(size, chunk)
        view = self.allocate(self._slot * number, buffer_offset)
        self._slots = [view[start : start + self._slot] for start in range(0, self._slot * number, self._slot)]
        view.release()
        self._sends: list[int | None] = [None] * number  # the id of the last send from each slot
        self._at = 0
        self._part = memoryview(b"")

    @classmethod
    def probe(cls) -> Unavailable | None:
        return probe_transfer(cls, zerocopy_socket.TOO_OLD)

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """The ring."""
        slot, number = slots(size, chunk)
        return slot * number

    def send(self, offset: int, count: int) -> int:
        at = self._at
        last = self._sends[at]
        if last is not None and last in self._zc.ledger.pending:
            self._zc.reap()
            self._zc.wait_for(last)
        view = self._slots[at] if count == self._slot else self._cut(at, count)
        got = os.preadv(self.fd, (view,), offset)
        self.counts[_PREADV] += 1
        if not got:
            raise self.ended_early(offset)
        sent, self._sends[at] = self._zc.send(view if got == count else self._cut(at, got))
        self._at = (at + 1) % len(self._slots)
        return sent  # after a short send the loop comes back for the rest, which is read again, into another slot

    def _cut(self, at: int, count: int) -> memoryview:
        """Return the first *count* bytes of a slot; `close` releases them even if a traceback still holds them."""
        self._part.release()
        self._part = self._slots[at][:count]
        return self._part

    def reconnect(self, sock: socket.socket) -> None:
        super().reconnect(sock)
        self._zc.move_to(sock)

    def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        self._zc.drain(timeout_s)

    def completions(self) -> dict[str, int]:
        return {**self._zc.completions(), "slots": len(self._sends)}

    def close(self) -> None:
        # Pages that are still on their way stay the kernel's until it is done: nobody writes to them any more.
        for view in (self._part, *self._slots):
            view.release()
        self._slots = []
