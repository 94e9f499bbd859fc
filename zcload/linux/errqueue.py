"""Read a socket's error queue: which MSG_ZEROCOPY sends are complete, and whether the kernel copied them.

Every such send that accepts at least one byte gets the socket's next id, an unsigned number of 32 bits that wraps; failed and
empty ones get none (Documentation/networking/msg_zerocopy.rst, "Notifications"). The queue holds ranges of ids, both ends
included; ranges that follow each other are merged while they wait. A merged range keeps the copied flag of its first part
(net/core/skbuff.c, skb_zerocopy_notify_extend), so the flag is exact where a path copies always or never.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple
from weakref import WeakKeyDictionary

from zcload.errors import StudyError

SO_ZEROCOPY = 60  # asm-generic/socket.h, which every architecture follows that zcload is tested on
MSG_ZEROCOPY = 0x4000000  # linux/socket.h
SOL_IP, IP_RECVERR = 0, 11  # linux/in.h
SOL_IPV6, IPV6_RECVERR = 41, 25  # linux/in6.h
SO_EE_ORIGIN_ZEROCOPY = 5  # linux/errqueue.h
SO_EE_CODE_ZEROCOPY_COPIED = 1  # linux/errqueue.h
CONTROL_BYTES = 128  # a cmsghdr of 16, sock_extended_err of 16, the offender's sockaddr of 16 or 28

_ERR = struct.Struct("=IBBBBII")  # linux/errqueue.h, struct sock_extended_err: errno, origin, type, code, pad, info, data
_IDS = 1 << 32

Ancillary = Iterable[tuple[int, int, bytes]]


class CompletionRange(NamedTuple):
    """Ids *first* to *last*, both included, modulo 2^32; whether the kernel says that it copied."""

    first: int
    last: int
    copied: bool

    @property
    def sends(self) -> int:
        """Return how many sends these are."""
        return (self.last - self.first) % _IDS + 1


def parse(ancillary: Ancillary) -> list[CompletionRange]:
    """Return the ranges in the control messages of one recvmsg(2) with MSG_ERRQUEUE; raises StudyError for anything else in them."""
    found = []
    for level, kind, data in ancillary:
        if (level, kind) not in ((SOL_IP, IP_RECVERR), (SOL_IPV6, IPV6_RECVERR)):
            raise StudyError(f"the socket's error queue holds a control message of level {level}, type {kind}: nobody asked for it")
        if len(data) < _ERR.size:
            raise StudyError(f"the socket's error queue holds a message of {len(data)} bytes, {_ERR.size} are needed")
        number, origin, _, code, _, first, last = _ERR.unpack_from(data)
        if number or origin != SO_EE_ORIGIN_ZEROCOPY:
            raise StudyError(f"the socket's error queue reports error {number} of origin {origin}, not the completion of a send")
        found.append(CompletionRange(first, last, bool(code & SO_EE_CODE_ZEROCOPY_COPIED)))
    return found


class Ledger:
    """Which sends of one socket are still out: every id must be completed exactly once."""

    def __init__(self, first: int = 0) -> None:
        self._next = first % _IDS
        self.pending: dict[int, int] = {}  # id -> bytes
        self.pinned_bytes = self.pinned_bytes_max = 0  # in sends that are out, now and at most
        self.completions = self.copied = 0

    def hand(self, count: int) -> int:
        """Note a send that accepted *count* bytes; return its id."""
        number = self._next
        self._next = (number + 1) % _IDS
        self.pending[number] = count
        self.pinned_bytes += count
        if self.pinned_bytes > self.pinned_bytes_max:
            self.pinned_bytes_max = self.pinned_bytes
        return number

    def complete(self, done: CompletionRange) -> None:
        """Take back the sends of *done*; raises StudyError if one of them is not out: it was completed twice, or never made."""
        count, pending = done.sends, self.pending
        if count > len(pending):
            raise StudyError(f"the kernel completed the sends {done.first}..{done.last}, but only {len(pending)} are out")
        for step in range(count):
            number = (done.first + step) % _IDS
            try:
                self.pinned_bytes -= pending.pop(number)
            except KeyError:
                raise StudyError(
                    f"the kernel completed the sends {done.first}..{done.last}, but send {number} is not out: done twice, or never made"
                ) from None
        self.completions += count
        self.copied += count if done.copied else 0

    def missing(self) -> str:
        """Describe for a message what is still out."""
        if not self.pending:
            return "nothing"
        return f"{len(self.pending)} sends with {self.pinned_bytes} bytes, the oldest number {next(iter(self.pending))}"


_LEDGERS: WeakKeyDictionary[socket.socket, Ledger] = WeakKeyDictionary()


def ledger_of(sock: socket.socket) -> Ledger:
    """Return the one ledger of *sock*: its ids go on for as long as the socket lives, whoever sends on it."""
    return _LEDGERS.setdefault(sock, Ledger())
