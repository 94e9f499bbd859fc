"""io_uring SEND_ZC from a mapping of the file: pages of the page cache are pinned into the socket's queue.

System calls: one io_uring_enter a chunk, which also returns notifications of earlier chunks. CPU copies by the sender: none with
a network card that supports scatter-gather; on loopback and veth the kernel copies later, as for MSG_ZEROCOPY (msg_zerocopy.rst,
"Loopback", "Testing"). One send is under way at a time; any number of notifications may be pending.
"""

from __future__ import annotations

from zcload.errors import os_error
from zcload.linux.uring_abi import SEND, SEND_ZC
from zcload.mechanisms.base import Copies
from zcload.mechanisms.kept_mapping import KeptMapping
from zcload.mechanisms.uring_base import Notified


class UringSendZc(Notified, KeptMapping):
    """Send the file's own pages through a ring."""

    name = "uring_send_zc"
    summary = "io_uring SEND_ZC from a kept mapping: no copy with a network card, a late one on loopback"
    copies = Copies(0, 1, "late")
    operations = (SEND, SEND_ZC)

    def send(self, offset: int, count: int) -> int:
        sent = self._send_memory(self._address + offset, count)
        if sent <= 0:
            raise self._explained(os_error(-sent))
        return sent

    def close(self) -> None:
        Notified.close(self)
        KeptMapping.close(self)
