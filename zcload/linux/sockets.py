"""TCP sockets beyond the socket module: TCP_INFO, a connected pair for probes, the family of a numeric address."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_FIELDS = {  # of struct tcp_info (linux/tcp.h, which only ever grows at its end): name: (format, offset in bytes)
    "snd_mss": ("=I", 16),
    "rtt_us": ("=I", 68),
    "snd_cwnd": ("=I", 80),
    "total_retrans": ("=I", 100),
    "segs_out": ("=I", 136),
    "data_segs_out": ("=I", 156),
    "busy_time_us": ("=Q", 168),
    "rwnd_limited_us": ("=Q", 176),
    "sndbuf_limited_us": ("=Q", 184),
}
# What accept(2) answers that is wrong with the connection it was to accept, or with nobody: the listener goes on. Its page lists them, and
# tells to treat them like EAGAIN.
_OF_NETWORK = (errno.ENETDOWN, errno.EHOSTDOWN, errno.ENONET, errno.EHOSTUNREACH, errno.ENETUNREACH)
ACCEPT_AGAIN = frozenset(
    (errno.EAGAIN, errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, *_OF_NETWORK),
)
_PATIENCE_S = 2.0  # a probe that hangs is a "no", not a hang
_TIMEVAL = struct.pack("ll", int(_PATIENCE_S), 0)  # struct timeval: socket(7), SO_RCVTIMEO


def tcp_info(sock: socket.socket) -> dict[str, int]:
    """Return the fields that this kernel has; times in microseconds, counted since the connection was made."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    return {name: struct.unpack_from(form, raw, at)[0] for name, (form, at) in _FIELDS.items() if at + struct.calcsize(form) <= len(raw)}


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


def numeric_family(address: str) -> socket.AddressFamily:
    """Return AF_INET6 or AF_INET for a numeric *address*."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET
