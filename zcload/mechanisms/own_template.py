"""The file that `zcload init --mechanism FILE` writes: a mechanism of one's own, commented, that runs as it is.

Compare it with zcload's own:

    zcload run read_send sendfile --mechanism own_template.py:OwnTemplate

zcload refuses a class that breaks the contract and says which rule. The whole contract: zcload/mechanisms/base.py.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import ClassVar

from zcload.mechanisms.base import Copies, Mechanism, OptionKind


class OwnTemplate(Mechanism):
    """Read a chunk into one buffer and send it. Change `send` to your own loop."""

    name = "own_template"  # in configs, tables and results
    summary = "pread into one buffer, then send"  # for `zcload mechanisms`
    calls = ("preadv", "send")  # the system calls that `send` makes, in the order of self.counts
    copies = Copies(card=2, local=2)  # copies of the payload by the CPU; leave it out if you do not know
    options: ClassVar[Mapping[str, OptionKind]] = {}  # config keys of its own, {"my_flag": bool}: keyword arguments of __init__

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)  # sets self.sock, self.out (its descriptor), self.fd, self.counts
        self._buffer = self.allocate(chunk)  # memory that begins at a page; allocate here, not in `send`

    def send(self, offset: int, count: int) -> int:
        """Send up to *count* bytes of the file from *offset*; return how many the socket accepted, 1 to *count*."""
        buffer = self._buffer[:count]
        got = os.preadv(self.fd, [buffer], offset)
        self.counts[0] += 1  # count every call, also one that fails
        if not got:
            raise self.ended_early(offset)
        self.counts[1] += 1
        return self.sock.send(buffer[:got])  # the socket blocks: it waits for room

    # def drain(self) -> None:
    #     Wait here until the kernel has released your buffers. What is left to do would count in the next window.

    # def close(self) -> None:
    #     Release what __init__ or `send` opened. zcload closes the socket and the file.
