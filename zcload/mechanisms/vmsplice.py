"""vmsplice(2) from a kept mapping into a pipe, then splice(2) into the socket: user memory by reference, no copy by the CPU.

Over loopback it passes references all the way to the receiver's recv, where MSG_ZEROCOPY is copied late: an upper bound for what
MSG_ZEROCOPY can save where there is no network card. It has no completions: nothing tells when memory may be reused, and a change of
it arrives (measured: docs/mechanisms.md). Here that does no harm, because the mapping is the file itself, which nobody changes.
"""

from __future__ import annotations

import os
import socket

from zcload.linux.descriptors import sized_pipe
from zcload.linux.vmsplice import Vmsplice
from zcload.mechanisms.base import Copies, Unavailable
from zcload.mechanisms.kept_mapping import KeptMapping
from zcload.mechanisms.probe_transfer import probe_transfer


class VmspliceSend(KeptMapping):
    """Pass pages of a mapping by reference."""

    name = "vmsplice"
    summary = "vmsplice a kept mapping -> pipe -> socket: user memory by reference, no completions"
    copies = Copies(0, 0)
    calls = ("vmsplice", "splice")

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._reader, self._writer, self.pipe_bytes = sized_pipe(chunk)
        self._vmsplice = Vmsplice(self._writer)

    @classmethod
    def probe(cls) -> Unavailable | None:
        return probe_transfer(cls, Unavailable("vmsplice(2) does not work here", "allow vmsplice(2) and splice(2) in this container"))

    def send(self, offset: int, count: int) -> int:
        # Never more than the pipe holds: nothing drains it while this call waits for room.
        try:
            filled = self._vmsplice(self._address + offset, min(count, self.pipe_bytes))
        except OSError as error:
            raise self._explained(error) from None
        self.counts[0] += 1
        left, out = filled, self.out
        while left:
            left -= os.splice(self._reader, out, left)
            self.counts[1] += 1
        return filled

    def close(self) -> None:
        for fd in (self._reader, self._writer):
            if fd >= 0:
                os.close(fd)
        self._reader = self._writer = -1
        super().close()
