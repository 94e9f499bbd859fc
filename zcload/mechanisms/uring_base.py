"""What the mechanisms share that work through io_uring: a ring of their own and one group of linked operations under way at a time.

Sends of one socket that are submitted side by side have no order among each other (io_uring_enter(2): operations may run in any
order unless linked), so no chunk is started before the one before it has its result.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import ClassVar

from zcload.errors import StudyError, os_error
from zcload.linux import uring, uring_abi
from zcload.mechanisms.base import Mechanism, Unavailable
from zcload.mechanisms.probe_transfer import probe_transfer
from zcload.mechanisms.zerocopy_socket import DRAIN_TIMEOUT_S

# MSG_WAITALL: the kernel goes on after a part has gone [5.19]; before, and after an error, a send may be short, which breaks links.
SEND_FLAGS = socket.MSG_WAITALL | socket.MSG_NOSIGNAL
AGAIN = (-errno.EINTR, -errno.EAGAIN, -512)  # 512: ERESTARTSYS, linux/errno.h, which splice inside io_uring does not translate
CANCELED = -errno.ECANCELED


class Ringed(Mechanism):
    """Hand chunks to a ring of one's own; `counts` has the io_uring_enter calls."""

    calls: ClassVar[tuple[str, ...]] = ("io_uring_enter",)
    overhead = "uring_null"
    operations: ClassVar[tuple[int, ...]]  # Required: what `send` submits

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._out = sock.fileno()
        self._tag = 0
        self._results: dict[int, int] = {}
        self.short = self.broken_links = 0
        self._ring = uring.Ring()

    @classmethod
    def probe(cls) -> Unavailable | None:
        why = uring.why_not(cls.operations)
        if why is not None:
            return Unavailable(*why)
        return probe_transfer(cls, Unavailable("io_uring of this kernel lacks a flag that is needed", "Linux 6.2 or newer"))

    def reconnect(self, sock: socket.socket) -> None:
        self.sock, self._out = sock, sock.fileno()

    def _run(self, number: int) -> None:
        """Submit what is prepared and wait for the results of *number* operations; they are in `_results`, by tag."""
        ring, results = self._ring, self._results
        results.clear()
        while len(results) < number:
            ring.enter(number - len(results))
            for tag, result, flags in ring.reap():
                self._take(tag, result, flags)
        self.counts[0] = ring.enters

    def _take(self, tag: int, result: int, flags: int) -> None:
        self._results[tag] = result

    def _failed(self, offset: int, asked: int, got: int, sent: int) -> int:
        """Say how many bytes to ask for next after a pair of operations that moved nothing out: *asked* of the file, *got*, *sent*.

        Raises what the pair failed with.
        """
        if sent == CANCELED:
            self.broken_links += 1
        if got == 0:
            raise self.ended_early(offset)
        if 0 < got < asked and sent == CANCELED:
            return got  # the file gave less, which broke the link: ask for what there is
        result = got if got < 0 and got != CANCELED else sent
        if result in AGAIN:
            return asked
        raise os_error(-result) if result < 0 else OSError(errno.EIO, "the socket took nothing")

    def completions(self) -> dict[str, int]:
        return {"short": self.short, "broken_links": self.broken_links}

    def close(self) -> None:
        self._ring.close()


class Notified(Ringed):
    """Send with SEND_ZC and keep account of the notifications: a buffer is the kernel's until its own has come."""

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._pending: dict[int, int] = {}  # tag -> bytes that its send accepted
        self._void: set[int] = set()  # tags of sends that handed nothing over: their notifications say nothing
        self.pinned_bytes = self.pinned_bytes_max = 0
        self.notifications = self.copied = self.enomem = self.fallback_sends = self.fallback_bytes = self.waits = 0

    def _take(self, tag: int, result: int, flags: int) -> None:
        if not flags & uring_abi.CQE_F_NOTIF:
            self._results[tag] = result
            if result <= 0:
                self._void.add(tag)
            elif flags & uring_abi.CQE_F_MORE:
                self._pending[tag] = result
                self.pinned_bytes += result
                self.pinned_bytes_max = max(self.pinned_bytes_max, self.pinned_bytes)
        elif tag in self._pending:
            self.pinned_bytes -= self._pending.pop(tag)
            self.notifications += 1
            self.copied += 1 if result & uring_abi.NOTIF_USAGE_ZC_COPIED else 0
        elif tag in self._void:
            # A send that failed or was cancelled with its link is notified too: as copied, since nothing was used
            # (io_uring/notif.c), and the cancelled one without F_MORE in its result (measured on 6.18). It is no send.
            self._void.discard(tag)
        else:
            raise StudyError(f"io_uring notified send {tag}, which is not out: notified twice, or never made")

    def _no_room(self, result: int) -> bool:
        """Say whether *result* means that no more memory may be pinned (io_uring/rsrc.c, __io_account_mem: RLIMIT_MEMLOCK); counted."""
        if result not in (-errno.ENOMEM, -errno.ENOBUFS):
            return False
        self.enomem += 1
        return True

    def _look(self, wait: int, timeout_s: float | None = None) -> bool:
        """Take the notifications that are there, after waiting for *wait* of them; say if there were any."""
        before = len(self._pending)
        self._ring.enter(wait, timeout_s)
        for completion in self._ring.reap():
            self._take(*completion)
        self.counts[0] = self._ring.enters
        return len(self._pending) < before

    def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while self._pending:
            if self._look(1, max(0.0, deadline - time.monotonic())):
                deadline = time.monotonic() + timeout_s
            elif time.monotonic() >= deadline:
                raise StudyError(
                    f"the kernel still holds {len(self._pending)} sends with {self.pinned_bytes} bytes,"
                    f" {timeout_s:g} s after the last notification of io_uring: the receiver takes nothing, or a notification was lost"
                )

    def completions(self) -> dict[str, int]:
        return {
            "completions": self.notifications,
            "copied": self.copied,
            "pinned_bytes_max": self.pinned_bytes_max,
            "enomem": self.enomem,
            "fallback_sends": self.fallback_sends,
            "fallback_bytes": self.fallback_bytes,
            "waits": self.waits,
            **super().completions(),
        }

    def close(self) -> None:
        self._ring.close(held=bool(self._pending))
