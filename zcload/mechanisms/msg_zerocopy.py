"""send(2) with MSG_ZEROCOPY from a mapping of the file: pages of the page cache are pinned into the socket's queue.

System calls: one send a chunk, recvmsg for completions. CPU copies by the sender: none with a network card that supports scatter-gather.
The kernel copies later wherever a packet enters a receiving stack of this machine: loopback, veth (msg_zerocopy.rst, "Loopback",
"Testing"; skb_orphan_frags_rx in net/core/dev.c). Whichever process delivers the packet pays for that copy. The completions
report it.
"""

from __future__ import annotations

import socket

from zcload.mechanisms import zerocopy_socket
from zcload.mechanisms.base import Copies, Unavailable
from zcload.mechanisms.kept_mapping import KeptMapping
from zcload.mechanisms.probe_transfer import probe_transfer
from zcload.mechanisms.zerocopy_socket import DRAIN_TIMEOUT_S, ZeroCopySocket


class MsgZerocopy(KeptMapping):
    """Send the file's own pages."""

    name = "msg_zerocopy"
    summary = "send with MSG_ZEROCOPY from a kept mapping: no copy with a network card, a late one on loopback"
    copies = Copies(0, 1, "late")
    calls = zerocopy_socket.CALLS

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._zc = ZeroCopySocket(sock, self.counts)

    @classmethod
    def probe(cls) -> Unavailable | None:
        return probe_transfer(cls, zerocopy_socket.TOO_OLD)

    def send(self, offset: int, count: int) -> int:
        # These are the file's own pages: a later write to the file changes bytes that are on their way.
        try:
            return self._zc.send(self._cut(offset, count))[0]
        except OSError as error:
            raise self._explained(error) from None

    def reconnect(self, sock: socket.socket) -> None:
        super().reconnect(sock)
        self._zc.move_to(sock)

    def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        self._zc.drain(timeout_s)

    def completions(self) -> dict[str, int]:
        return self._zc.completions()
