"""TCP_INFO: the kernel's counters of a connection (struct tcp_info of linux/tcp.h, which only grows at its end)."""

from __future__ import annotations

import socket
import struct

_FIELDS = {  # name: (format, offset in bytes)
    "snd_mss": ("=I", 16),
    "rtt_us": ("=I", 68),
    "snd_cwnd": ("=I", 80),
    "total_retrans": ("=I", 100),
    "data_segs_out": ("=I", 156),
    "busy_time_us": ("=Q", 168),
    "rwnd_limited_us": ("=Q", 176),
    "sndbuf_limited_us": ("=Q", 184),
}


def tcp_info(sock: socket.socket) -> dict[str, int]:
    """Return the fields that this kernel has; times in microseconds, counted since the connection was made."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    return {name: struct.unpack_from(form, raw, at)[0] for name, (form, at) in _FIELDS.items() if at + struct.calcsize(form) <= len(raw)}
