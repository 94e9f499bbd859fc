"""The contract of a relay: one way a proxy passes bytes on from one connection to another.

All relays run in the same loop (zcload/lane/relay.py), so they differ in `move` and in nothing else. What sends to a relay is the
workload's `origin`, the same in all lanes.
"""

from __future__ import annotations

import socket

from zcload.mechanisms.base import Mechanism


class Relay(Mechanism):
    """Move bytes from *source*, a connected TCP socket, to *sock*, another; both block.

    It declares what a mechanism does: a name, options, the kinds of calls, copies. The file is not its business.
    """

    overhead = None  # no mechanism that moves nothing runs in its loop

    def __init__(self, source: socket.socket, sock: socket.socket, chunk: int) -> None:
        """Take both ends, and how many bytes a call moves at most."""
        super().__init__(sock, source.fileno(), 0, chunk)
        self.source = source

    def move(self) -> int:
        """Required. Wait for bytes on `source`, pass up to a chunk of them on; return their number, 0 at the end of the stream.

        Every byte that was taken is on its way when it returns, so that a relay which waits for more holds nothing back.
        """
        raise NotImplementedError
