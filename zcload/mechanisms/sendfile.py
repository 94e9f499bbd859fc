"""sendfile(2): the page cache's own pages go into the socket's queue, no copy by the CPU on the sending side.

On loopback the receiver's recv copies from those same pages: sendfile saves the copy into the socket, not the copy out of it.
Inside, the kernel splices through a pipe of the calling thread, 16 slots as a rule (fs/splice.c, splice_direct_to_actor).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from zcload.mechanisms.base import Copies, Mechanism


class Sendfile(Mechanism):
    """Let the kernel move the file."""

    name = "sendfile"
    summary = "sendfile: queue the file's own pages; no copy on the sending side"
    copies = Copies(0, 0)
    calls = ("sendfile",)
    one_call = True

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None."""
        return 0

    def send(self, offset: int, count: int) -> int:
        self.counts[0] += 1
        sent = os.sendfile(self.out, self.fd, offset, count)
        if not sent:
            raise self.ended_early(offset)
        return sent

    def sender(self) -> Callable[[int, int], int]:
        return partial(os.sendfile, self.out, self.fd)
