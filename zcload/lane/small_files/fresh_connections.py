"""Fresh connections: a sender makes one for each transfer, and a receiver accepts those that authenticate.

The sender connects, where a server would accept. So the CPU of both ends includes all of the set-up, but the sender pays for connecting and
the receiver for accepting, unlike with a server. Another program that connects does not know the secret: its connection is rejected and
counted, in every window.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import socket
import struct
from dataclasses import dataclass

from zcload.errors import StudyError
from zcload.lane.connections import listen, prepare
from zcload.lane.network import Network
from zcload.model.study import Point

GREETING = struct.Struct("=32sIQ")  # the lane's secret, the sender's number, the number of its transfer
_AHEAD = 4096  # how far the transfers of a sender may be ahead of one that has not come: its sockets wait in one queue


@dataclass(frozen=True, slots=True)
class FreshConnector:
    """Where the receivers of a lane listen, and the lane's own secret."""

    point: Point
    congestion: str | None
    family: int
    addresses: tuple[tuple[str, int], ...]
    secret: bytes

    def connect(self, sender: int, transfer: int) -> socket.socket:
        """Return a connection of *sender* for its *transfer*, greeted; raises OSError, StudyError."""
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        try:
            prepare(sock, self.point, self.congestion)
            sock.connect(self.addresses[sender % len(self.addresses)])
            # MSG_MORE: the greeting waits for the file's first bytes, as a server's header does.
            sock.send(GREETING.pack(self.secret, sender, transfer), socket.MSG_MORE)
        except OSError as error:
            sock.close()
            raise _explained(error) from None
        return sock

    def read_greeting(self, heard: bytes) -> tuple[int, int] | None:
        """Return the numbers of sender and transfer in a whole greeting; None if it does not have the lane's secret."""
        token, sender, transfer = GREETING.unpack(heard)
        return (sender, transfer) if hmac.compare_digest(token, self.secret) and sender < self.point.senders else None


class Arrived:
    """Which transfers have greeted: a greeting counts once, so that one that was overheard cannot be replayed."""

    def __init__(self, senders: int) -> None:
        self._next = [0] * senders  # all transfers of a sender before this one have come
        self._early: list[set[int]] = [set() for _ in range(senders)]  # what came before its turn

    def take(self, sender: int, transfer: int) -> bool:
        """Record *transfer* of *sender*; return whether it is accepted: it comes for the first time, and about when it is due."""
        due, early = self._next[sender], self._early[sender]
        if transfer != due:
            if transfer < due or transfer > due + _AHEAD or transfer in early:
                return False
            early.add(transfer)
            return True
        due += 1
        while early and due in early:
            early.remove(due)
            due += 1
        self._next[sender] = due
        return True


def open_fresh_connector(point: Point, congestion: str | None, network: Network) -> tuple[FreshConnector, list[socket.socket]]:
    """Return the connector of a lane at *point*, and a listener for each of its receivers; raises ConfigError."""
    listeners: list[socket.socket] = []
    try:
        for _ in range(point.receiver_count):
            listeners.append(listen(point, congestion, 4096, network))  # noqa: PERF401 - one that fails must not lose the others
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    addresses = tuple(listener.getsockname()[:2] for listener in listeners)
    return FreshConnector(point, congestion, listeners[0].family, addresses, secrets.token_bytes(32)), listeners


def _explained(error: OSError) -> Exception:
    """Return the error for a connection that failed because too many were made."""
    if error.errno != errno.EADDRNOTAVAIL:
        return error
    return StudyError(
        f"no port is left for another connection ({os.strerror(error.errno)}): closed ones keep theirs for a minute (TIME_WAIT); "
        "fewer transfers a second, arrivals = 'closed', or sysctl net.ipv4.tcp_tw_reuse=1 and a wider net.ipv4.ip_local_port_range"
    )
