"""sendfile(2) on a kernel TLS socket: pages of the page cache are encrypted on their way into the socket's queue.

The CPU passes over the bytes once: it encrypts them into fresh pages, because the page cache must keep the plain text. A record
holds up to 16 KiB.
"""

from __future__ import annotations

from zcload.mechanisms.base import Copies
from zcload.mechanisms.ktls_base import KtlsBase
from zcload.mechanisms.sendfile import Sendfile


class KtlsSendfile(KtlsBase, Sendfile):
    """Let the kernel encrypt and send the file.

    A call never asks for more than the file holds: before June 2021 the kernel then kept the last record open (fixed by commit
    d452d48b9f8b).
    """

    name = "ktls_sendfile"
    summary = "sendfile on a kernel TLS socket: the kernel encrypts the file's pages, one pass by the CPU"
    copies = Copies(1, 1, "the encryption")
    unencrypted = "sendfile"
