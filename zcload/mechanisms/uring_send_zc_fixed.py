"""io_uring READ_FIXED linked to SEND_ZC, in a ring of registered buffers: page cache -> buffer -> socket's queue.

System calls: one io_uring_enter a chunk. CPU copies by the sender: one, into the buffer; on loopback and veth the kernel adds a late
one (msg_zerocopy.rst, "Loopback", "Testing"). Registered buffers are pinned once, so no page is looked up per send. They count against
RLIMIT_MEMLOCK. A buffer is reused only after its notification.
"""

from __future__ import annotations

import errno
import socket

from zcload.errors import StudyError
from zcload.linux.memory import address_of, slots
from zcload.linux.uring_abi import IOSQE_IO_LINK, READ_FIXED, RECVSEND_FIXED_BUF, SEND, SEND_ZC, SEND_ZC_REPORT_USAGE
from zcload.mechanisms.base import BUFFER_OFFSET, Copies
from zcload.mechanisms.uring_base import SEND_FLAGS, Notified

_LARGEST_SLOT = 1 << 29  # a registered buffer is at most 1 GiB (io_uring_register(2)), and it holds two slots
_NO_SEND = -1


class UringSendZcFixed(Notified):
    """Read a chunk into a registered buffer and send the buffer, with one call."""

    name = "uring_send_zc_fixed"
    summary = "io_uring READ_FIXED linked to SEND_ZC, registered buffers: one copy, a second, late one on loopback"
    copies = Copies(1, 2, "one of them late")
    operations = (READ_FIXED, SEND, SEND_ZC)
    options = BUFFER_OFFSET

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(sock, fd, size, chunk)
        self._slot, number = slots(size, chunk, _LARGEST_SLOT)
        try:
            number = self._register(number, buffer_offset)
        except BaseException:
            self._ring.close()
            raise
        self._sends = [_NO_SEND] * number  # the tag of the last send from each slot
        self._at = 0

    def _register(self, number: int, offset: int) -> int:
        """Register *number* slots that begin *offset* bytes into a page, or as many as may be pinned; return how many."""
        while True:
            self._memory = self.allocate(self._slot * number, offset)
            self._address = address_of(self._memory)
            try:
                self._ring.register_buffers((self._address, self._slot * number))
                return number
            except OSError as error:
                self._memory.release()
                if error.errno != errno.ENOMEM:
                    raise
                if number == 2:
                    raise StudyError(
                        f"{self.name}: cannot pin two buffers of {self._slot} bytes: RLIMIT_MEMLOCK is used up; run `ulimit -l unlimited`"
                    ) from None
                number = max(2, number // 2)

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """The ring of buffers."""
        slot, number = slots(size, chunk, _LARGEST_SLOT)
        return slot * number

    def send(self, offset: int, count: int) -> int:
        at = self._at
        while self._sends[at] in self._pending:
            self.waits += 1
            self._look(1)
        ring, address = self._ring, self._address + at * self._slot
        asked = count = min(count, self._slot)
        op, priority = SEND_ZC, SEND_ZC_REPORT_USAGE | RECVSEND_FIXED_BUF
        refused = 0
        while True:
            self._tag = read = self._tag + 2
            ring.prepare(READ_FIXED, self.fd, address, asked, offset, tag=read, entry_flags=IOSQE_IO_LINK)
            ring.prepare(op, self.out, address, asked, tag=read + 1, op_flags=SEND_FLAGS, priority=priority)
            self._run(2)
            got, sent = self._results[read], self._results[read + 1]
            if sent > 0:
                break
            if op == SEND_ZC and self._no_room(sent):
                refused += 1
                self._look(0)
                if refused == 2:
                    op, priority = SEND, 0
                continue
            # A failed or cancelled send queued nothing: fill the same buffer again.
            asked = self._failed(offset, asked, got, sent)
        if op == SEND:
            self.fallback_sends += 1
            self.fallback_bytes += sent
        if sent < count:
            self.short += 1
        self._sends[at] = read + 1
        self._at = (at + 1) % len(self._sends)
        return sent

    def completions(self) -> dict[str, int]:
        return {**super().completions(), "slots": len(self._sends), "registered_bytes": self._slot * len(self._sends)}

    def close(self) -> None:
        super().close()
        self._memory.release()
