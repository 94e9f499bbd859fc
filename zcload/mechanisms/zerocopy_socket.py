"""send(2) with MSG_ZEROCOPY, its completions and its fall-back: the part that the mechanisms that use it share.

All of them read the error queue after every 16th send, without waiting; `drain` waits until no send is pending. A send that may
not pin memory (ENOBUFS: net.core.optmem_max or RLIMIT_MEMLOCK, msg_zerocopy.rst, "Transmission") reads the error queue and tries
once more; then it sends without MSG_ZEROCOPY and counts that.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import ClassVar

from zcload.errors import StudyError, os_error
from zcload.linux.errqueue import CONTROL_BYTES, MSG_ZEROCOPY, SO_ZEROCOPY, ledger_of, parse
from zcload.mechanisms.base import Unavailable

REAP_EVERY = 16  # sends; msg_zerocopy.rst: "read without blocking every couple of send calls"
DRAIN_TIMEOUT_S = 8.0  # without a completion; a lane fails after 10 s without rest, so this error, which names the cause, comes first
SEND, RECVMSG, POLL = range(3)  # their places in `counts`
CALLS = ("send", "recvmsg", "poll")

TOO_OLD = Unavailable("this kernel has no MSG_ZEROCOPY for this kind of socket", "use Linux 4.14 or newer")


class ZeroCopySocket:
    """One socket with SO_ZEROCOPY and the ledger of its sends; *counts* begins with the kinds in CALLS."""

    counters: ClassVar[tuple[str, ...]] = ("enobufs", "eagain", "short", "fallback_sends", "fallback_bytes", "waits")

    def __init__(self, sock: socket.socket, counts: list[int]) -> None:
        """Switch the socket to zero copy; raises OSError where it cannot be."""
        self.counts = counts
        self.enobufs = self.eagain = self.short = self.fallback_sends = self.fallback_bytes = self.waits = 0
        self._done = self._copied = self._pinned_max = 0  # over the connections before this one
        self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)  # without it the kernel silently ignores the flag
        self.sock = sock
        self.ledger = ledger_of(sock)
        self._before = self.ledger.completions, self.ledger.copied
        self._sends = 0
        self._poll = select.poll()
        self._poll.register(sock.fileno(), 0)  # POLLERR is reported unasked

    def move_to(self, sock: socket.socket) -> None:
        """Switch to *sock*; no send may be pending over the old connection. Raises OSError."""
        done, copied = self._before
        self._done += self.ledger.completions - done
        self._copied += self.ledger.copied - copied
        self._pinned_max = max(self._pinned_max, self.ledger.pinned_bytes_max)
        self._take(sock)

    def send(self, view: memoryview) -> tuple[int, int | None]:
        """Send from *view*; return (bytes accepted, id). The memory must not change before the id is completed; no id: it may change."""
        self.counts[SEND] += 1
        try:
            sent = self.sock.send(view, MSG_ZEROCOPY)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return self._send_again(view)
        return self._sent(sent, view)

    def _sent(self, sent: int, view: memoryview) -> tuple[int, int]:
        number = self.ledger.hand(sent)
        if sent < len(view):
            self.short += 1
        self._sends += 1
        if self._sends == REAP_EVERY:
            self.reap()
        return sent, number

    def _send_again(self, view: memoryview) -> tuple[int, int | None]:
        """Read the error queue and try again; send a copy if that fails too."""
        self.enobufs += 1
        self.reap()
        self.counts[SEND] += 1
        try:
            return self._sent(self.sock.send(view, MSG_ZEROCOPY), view)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        self.enobufs += 1
        self.counts[SEND] += 1
        sent = self.sock.send(view)
        self.fallback_sends += 1
        self.fallback_bytes += sent
        return sent, None

    def reap(self) -> None:
        """Read the error queue without waiting, until it is empty or no send is pending; raises StudyError on a wrong completion."""
        self._sends = 0
        pending = self.ledger.pending
        while pending:
            self.counts[RECVMSG] += 1
            try:
                _, ancillary, flags, _ = self.sock.recvmsg(0, CONTROL_BYTES, socket.MSG_ERRQUEUE)
            except BlockingIOError:
                self.eagain += 1
                return
            if flags & socket.MSG_CTRUNC:
                raise StudyError("a MSG_ZEROCOPY completion was truncated: its control message did not fit; report this as a bug")
            for done in parse(ancillary):
                self.ledger.complete(done)

    def wait(self, timeout_s: float | None) -> bool:
        """Wait up to *timeout_s* for completions, read them, return whether there were any. Raises OSError if the connection broke."""
        before = len(self.ledger.pending)
        self.counts[POLL] += 1
        events = self._poll.poll(None if timeout_s is None else 1000 * timeout_s)
        self.reap()
        if len(self.ledger.pending) < before:
            return True
        if events:  # not a completion: the connection has an error or is shut down both ways
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise os_error(error)
            time.sleep(0.001)  # poll would return at once again
        return False

    def wait_for(self, number: int) -> None:
        """Wait until the send with id *number* is completed, without a time limit, as a plain send would."""
        while number in self.ledger.pending:
            self.waits += 1
            self.wait(None)

    def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Wait until no send is pending; raises StudyError after *timeout_s* without a completion, OSError if the connection broke."""
        deadline = time.monotonic() + timeout_s
        while self.ledger.pending:
            if self.wait(max(0.0, deadline - time.monotonic())):
                deadline = time.monotonic() + timeout_s
            elif time.monotonic() >= deadline:
                raise StudyError(
                    f"the kernel still holds {self.ledger.missing()}, {timeout_s:g} s after the last completion of MSG_ZEROCOPY:"
                    " the receiver does not read, or a completion was lost"
                )

    def completions(self) -> dict[str, int]:
        """Return the kernel's reports since this object was made, and the counts of refused, short and plain sends."""
        done, copied = self._before
        return {
            "completions": self._done + self.ledger.completions - done,
            "copied": self._copied + self.ledger.copied - copied,
            "pinned_bytes_max": max(self._pinned_max, self.ledger.pinned_bytes_max),
            **{name: getattr(self, name) for name in self.counters},
        }
