"""Waiting for what the other end of a TCP connection on this host has done, instead of for a time."""

from __future__ import annotations

import array
import fcntl
import select
import socket
import termios
import time
from pathlib import Path

WITHIN_S = 60.0


def _unread(sock: socket.socket) -> int | None:
    """Return how many bytes the other end has received and not read (proc(5), /proc/net/tcp); None where it is not connected."""

    def text(address: tuple[str, int]) -> str:
        host, port = address
        return f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"  # as the kernel of a little-endian machine prints it

    ends = [text(sock.getpeername()), text(sock.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return int(fields[4].partition(":")[2], 16)
    return None


def _unacknowledged(sock: socket.socket) -> int:
    """Return how many bytes have been sent and not arrived (tcp(7), SIOCOUTQ)."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, count)
    return count[0]


def wait_until_read(sock: socket.socket) -> None:
    """Wait until the other end, over IPv4, has read all that was sent."""
    deadline = time.monotonic() + WITHIN_S
    while _unacknowledged(sock) or _unread(sock) != 0:
        assert time.monotonic() < deadline, "the other end did not read what was sent"
        time.sleep(0.005)


def wait_until_broken(sock: socket.socket) -> None:
    """Wait until the other end has reset the connection, though nobody reads; return after WITHIN_S without."""
    poll = select.poll()
    poll.register(sock, 0)
    poll.poll(WITHIN_S * 1000)
