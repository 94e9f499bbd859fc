"""Connect a TCP pair on this host, for probes that move a few bytes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_S = 2.0  # a probe that hangs is a "no", not a hang
_TIMEVAL = struct.pack("ll", int(_PATIENCE_S), 0)  # struct timeval: socket(7), SO_RCVTIMEO


@contextmanager
def connected_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect two TCP sockets over 127.0.0.1 for the length of the block: (sender's end, receiver's end); raises OSError.

    Both block, and give up after two seconds.
    """
    with socket.socket() as listener, socket.socket() as sender:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        listener.settimeout(_PATIENCE_S)
        sender.settimeout(_PATIENCE_S)
        sender.connect(listener.getsockname())
        receiver, _ = listener.accept()
        with receiver:
            for sock in (sender, receiver):
                sock.settimeout(None)  # a timeout of the socket module would make the descriptor non-blocking
                for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                    sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)
            yield sender, receiver
