"""The connections of `zcload receive`: a stream is taken when its first byte is there, so that one that says nothing holds up nobody."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from zcload.errors import StudyError, reason_of
from zcload.linux import interrupt
from zcload.linux.sockets import ACCEPT_AGAIN
from zcload.oneshot.address import format_address

LOOK_S = 0.2  # how often a wait without bytes looks whether the end was asked for
_SHORT_LOOK_S = 0.01  # the same while an error of another socket would end the wait
SILENT_S = 10.0  # a connection without its first byte is closed after this
MOST_SILENT = 64  # and so is the oldest of more than these
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))  # s, s, probes


@dataclass(frozen=True, slots=True)
class Arrival:
    """A connection, the address of its *peer*, and when it was accepted (monotonic, s)."""

    sock: socket.socket
    peer: str
    since_s: float


class Arrivals:
    """Accepts connections and hands them over one by one, each when it has a byte to be read.

    *refused* gets what is closed without a byte, as an error that says who and why.
    """

    def __init__(self, listener: socket.socket, refused: Callable[[StudyError], None]) -> None:
        self._listener, self._refused = listener, refused
        self._waiting: list[Arrival] = []
        self._first: Arrival | None = None

    def close(self) -> None:
        """Close what is still waiting."""
        for arrival in (*self._waiting, *([self._first] if self._first else [])):
            arrival.sock.close()

    def put_back(self, arrival: Arrival) -> None:
        """Make *arrival*, whose bytes have not been read, the next one again."""
        self._first = arrival

    def next(self, deadline_s: float | None = None, other: socket.socket | None = None) -> Arrival | None:
        """Return the next connection that has a byte; None at *deadline_s* (monotonic), at a signal, or when *other* has an error."""
        if self._first is not None:
            found, self._first = self._first, None
            return found
        while interrupt.requested is None and (deadline_s is None or time.monotonic() < deadline_s):
            ready = self._ready(LOOK_S if other is None else _SHORT_LOOK_S)
            if other is not None and other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return None
            if self._listener.fileno() in ready:
                self._accept()
            for arrival in self._waiting[:]:
                if arrival.sock.fileno() in ready and self._has_byte(arrival):
                    self._waiting.remove(arrival)
                    return arrival
            self._drop_silent()
        return None

    def _ready(self, seconds: float) -> set[int]:
        """Wait for a connection or a byte, *seconds* at most, and return the descriptors that have one."""
        poller = select.poll()
        for sock in (self._listener, *(arrival.sock for arrival in self._waiting)):
            poller.register(sock, select.POLLIN)
        return {fd for fd, _ in poller.poll(1000 * seconds)}

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except OSError as error:
            if error.errno not in ACCEPT_AGAIN:
                raise
            return
        sock.setblocking(True)
        # One system call a chunk, and still a look around while none comes: with SO_RCVTIMEO recv gives EAGAIN (socket(7)).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(LOOK_S * 1e6)))
        # A sender whose host vanished says nothing ever again; one that is only slow answers the probes.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._waiting.append(Arrival(sock, format_address(*peer[:2]), time.monotonic()))

    def _has_byte(self, arrival: Arrival) -> bool:
        """Say whether the first byte is there; close a connection that has ended without one."""
        try:
            if arrival.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                return True
            why = "closed its connection without sending a byte"
        except BlockingIOError:
            return False
        except OSError as error:
            why = f"broke off after 0 bytes: {reason_of(error)}"
        self._drop(arrival, why)
        return False

    def _drop_silent(self) -> None:
        oldest_s = time.monotonic() - SILENT_S
        for arrival in self._waiting[:]:
            if arrival.since_s < oldest_s:
                self._drop(arrival, f"sent nothing for {SILENT_S:g} s and was disconnected")
            elif len(self._waiting) > MOST_SILENT:
                self._drop(arrival, f"was disconnected: more than {MOST_SILENT} connections send nothing")

    def _drop(self, arrival: Arrival, why: str) -> None:
        self._waiting.remove(arrival)
        arrival.sock.close()
        self._refused(StudyError(f"{arrival.peer} {why}"))
