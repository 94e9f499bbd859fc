"""sendfile(2) on a kernel TLS socket: pages of the page cache are encrypted on their way into the socket's queue.

The CPU passes over the bytes once: it encrypts them into fresh pages, because the page cache must keep the plain text. A record
holds up to 16 KiB.
"""

from __future__ import annotations

import os

from zcload.mechanisms.base import Copies
from zcload.mechanisms.ktls_base import KtlsBase


class KtlsSendfile(KtlsBase):
    """Let the kernel encrypt and send the file."""

    name = "ktls_sendfile"
    summary = "sendfile on a kernel TLS socket: the kernel encrypts the file's pages, one pass by the CPU"
    copies = Copies(1, 1, "the encryption")
    calls = ("sendfile",)
    unencrypted = "sendfile"

    @classmethod
    def private_bytes(cls, size: int, chunk: int) -> int:
        """None: records are in socket memory."""
        return 0

    def send(self, offset: int, count: int) -> int:
        self.counts[0] += 1
        # Never past the file's end: before June 2021 the kernel then kept the last record open (fixed by commit d452d48b9f8b).
        sent = os.sendfile(self.out, self.fd, offset, count)
        if not sent:
            raise self.ended_early(offset)
        return sent
