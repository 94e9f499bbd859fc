"""io_uring SEND_ZC from a mapping of the file: pages of the page cache are pinned into the socket's queue.

System calls: one io_uring_enter a chunk, which also returns notifications of earlier chunks. CPU copies by the sender: none with
a network card that supports scatter-gather; on loopback and veth the kernel copies later, as for MSG_ZEROCOPY (msg_zerocopy.rst,
"Loopback", "Testing"). One send is under way at a time; any number of notifications may be pending.
"""

from __future__ import annotations

from zcload.errors import os_error
from zcload.linux.uring_abi import SEND, SEND_ZC, SEND_ZC_REPORT_USAGE
from zcload.mechanisms.base import Copies
from zcload.mechanisms.kept_mapping import KeptMapping
from zcload.mechanisms.uring_base import AGAIN, SEND_FLAGS, Notified


class UringSendZc(Notified, KeptMapping):
    """Send the file's own pages through a ring."""

    name = "uring_send_zc"
    summary = "io_uring SEND_ZC from a kept mapping: no copy with a network card, a late one on loopback"
    copies = Copies(0, 1, "late")
    operations = (SEND, SEND_ZC)

    def send(self, offset: int, count: int) -> int:
        sent = self._send_zc(offset, count)
        if self._no_room(sent):
            self._look(0)
            sent = self._send_zc(offset, count)
            if self._no_room(sent):
                sent = self._submit(SEND, offset, count, 0)
                self.fallback_sends += 1
                self.fallback_bytes += max(sent, 0)
        if sent > 0:
            if sent < count:
                self.short += 1
            return sent
        raise self._explained(os_error(-sent))

    def _send_zc(self, offset: int, count: int) -> int:
        return self._submit(SEND_ZC, offset, count, SEND_ZC_REPORT_USAGE)

    def _submit(self, op: int, offset: int, count: int, priority: int) -> int:
        """Send from the mapping and return the result: bytes, or an error number below zero."""
        while True:
            self._tag += 1
            self._ring.prepare(op, self.out, self._address + offset, count, tag=self._tag, op_flags=SEND_FLAGS, priority=priority)
            self._run(1)
            result = self._results[self._tag]
            if result not in AGAIN:
                return result

    def close(self) -> None:
        Notified.close(self)
        KeptMapping.close(self)
