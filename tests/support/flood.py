"""Hostile peers: a thread that connects to whatever a run listens on, silently, half, with garbage or with a wrong secret."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from contextlib import suppress

import psutil

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset
_HELD = 200  # connections that are kept open, the oldest closed first
GREETING_BYTES = 36
KINDS = ("silent", "garbage", "half", "wrong", "long", "reset", "closed")


def listening(process):
    """Return the TCP ports on which the processes below *process* listen at this moment."""
    ports = set()
    with suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error, OSError):
                ports |= {found.laddr.port for found in each.net_connections("tcp4") if found.status == psutil.CONN_LISTEN}
    return ports


class Flood:
    """Connects up to *most* times to the ports that *ports()* returns, while the block lasts; *made* counts those that came through."""

    def __init__(self, ports, most, kinds=KINDS, pause_s=0.0005):
        self.made = dict.fromkeys(kinds, 0)
        self._ports, self._most, self._pause_s, self._held = ports, most, pause_s, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()
        for sock in self._held:
            sock.close()

    @property
    def total(self):
        return sum(self.made.values())

    def _run(self):
        rng, kinds, ports, looked_s = random.Random(7), list(self.made), [], 0.0
        while not self._over.is_set() and self.total < self._most:
            if time.monotonic() > looked_s + 0.2 or not ports:
                ports, looked_s = sorted(self._ports()), time.monotonic()
            if not ports:
                time.sleep(0.01)
                continue
            kind, sock = rng.choice(kinds), socket.socket()
            sock.settimeout(1.0)
            try:
                sock.connect(("127.0.0.1", rng.choice(ports)))
                self._misbehave(kind, sock)
                self.made[kind] += 1
            except OSError:
                sock.close()
            time.sleep(self._pause_s)

    def _misbehave(self, kind, sock):
        match kind:
            case "garbage":
                sock.sendall(os.urandom(200))
            case "half":
                sock.sendall(os.urandom(GREETING_BYTES // 2))
            case "wrong":
                sock.sendall(os.urandom(32) + b"\0\0\0\0")
            case "long":
                sock.sendall(b"GET / HTTP/1.1\r\n" * 4000)
            case "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if kind in ("reset", "closed"):
            sock.close()
        else:
            self._held.append(sock)
            if len(self._held) > _HELD:
                self._held.pop(0).close()
