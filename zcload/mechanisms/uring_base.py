"""The base of the io_uring mechanisms: a ring for each sender and one group of linked operations under way at a time.

Unlinked sends of one socket may run in any order (io_uring_enter(2)), so no chunk starts before the one before has its result.
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

# MSG_WAITALL: the kernel retries a partial send (io_uring/net.c). A send may still be short (axboe/liburing#1337), which breaks links.
SEND_FLAGS = socket.MSG_WAITALL | socket.MSG_NOSIGNAL
AGAIN = (-errno.EINTR, -errno.EAGAIN, -512)  # 512: ERESTARTSYS, linux/errno.h, which splice inside io_uring does not translate
CANCELED = -errno.ECANCELED


class Ringed(Mechanism):
    """Submit chunks to a ring; `counts` has the io_uring_enter calls."""

    calls: ClassVar[tuple[str, ...]] = ("io_uring_enter",)
    overhead = "uring_null"
    locks_memory = True
    operations: ClassVar[tuple[int, ...]]  # Required: what `send` submits
    since: ClassVar[str] = "6.2"  # Optional: the Linux that has the flags of these operations

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._tag = 0
        self._results: dict[int, int] = {}
        self.short = self.broken_links = 0
        self._ring = uring.Ring()

    @classmethod
    def probe(cls) -> Unavailable | None:
        why = uring.why_not(cls.operations)
        if why is not None:
            return Unavailable(*why)
        return probe_transfer(cls, Unavailable("this kernel's io_uring lacks a flag that zcload needs", f"use Linux {cls.since} or newer"))

    def _run(self, number: int) -> None:
        """Submit the prepared operations and wait for *number* results; they are in `_results`, by tag."""
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
        """Return how many bytes to ask for after a pair of operations that sent nothing: *asked* of the file, *got*, *sent*.

        Raises the error that the pair failed with.
        """
        if sent == CANCELED:
            self.broken_links += 1
        if got == 0:
            raise self.ended_early(offset)
        if 0 < got < asked and sent == CANCELED:
            return got  # the short read broke the link: ask for what is there
        result = got if got < 0 and got != CANCELED else sent
        if result in AGAIN:
            return asked
        raise os_error(-result) if result < 0 else OSError(errno.EIO, "the socket accepted no bytes")

    def completions(self) -> dict[str, int]:
        return {"short": self.short, "broken_links": self.broken_links}

    def close(self) -> None:
        self._ring.close()


class Notified(Ringed):
    """Send with SEND_ZC and account for the notifications: the kernel owns a buffer until its notification."""

    def __init__(self, sock: socket.socket, fd: int, size: int, chunk: int) -> None:
        super().__init__(sock, fd, size, chunk)
        self._pending: dict[int, int] = {}  # tag -> bytes that its send accepted
        self._void: set[int] = set()  # tags of sends that queued nothing: their notifications mean nothing
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
            # A failed or cancelled send is notified too, as copied, since nothing was used (io_uring/notif.c). The cancelled one had no
            # F_MORE (measured on 6.18), against io_uring_enter(2). It is not counted as a send.
            self._void.discard(tag)
        else:
            raise StudyError(f"io_uring notified send {tag}, which is not pending: report this as a bug")

    def _no_room(self, result: int) -> bool:
        """Return whether *result* says that no more memory may be pinned (RLIMIT_MEMLOCK: io_uring/rsrc.c, __io_account_mem); counts it."""
        if result not in (-errno.ENOMEM, -errno.ENOBUFS):
            return False
        self.enomem += 1
        return True

    def _send_memory(self, address: int, count: int, buffer: int | None = None) -> int:
        """Send *count* bytes at *address*, which *buffer* registers if it is one; return the bytes, or an error number below zero.

        Where no more memory may be pinned, notifications are read, and if that does not help the bytes are copied.
        """
        priority = uring_abi.SEND_ZC_REPORT_USAGE | (0 if buffer is None else uring_abi.RECVSEND_FIXED_BUF)
        sent = self._submit(uring_abi.SEND_ZC, address, count, priority, buffer or 0)
        if self._no_room(sent):
            self._look(0)
            sent = self._submit(uring_abi.SEND_ZC, address, count, priority, buffer or 0)
            if self._no_room(sent):
                sent = self._submit(uring_abi.SEND, address, count, 0, 0)
                self.fallback_sends += 1
                self.fallback_bytes += max(sent, 0)
        self.short += 0 < sent < count
        return sent

    def _submit(self, op: int, address: int, count: int, priority: int, buffer: int) -> int:
        while True:
            self._tag += 1
            self._ring.prepare(op, self.out, address, count, tag=self._tag, op_flags=SEND_FLAGS, priority=priority, buffer=buffer)
            self._run(1)
            result = self._results[self._tag]
            if result not in AGAIN:
                return result

    def _look(self, wait: int, timeout_s: float | None = None) -> bool:
        """Read the notifications, after waiting for *wait* of them; return whether there were any."""
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
                    f" {timeout_s:g} s after the last notification of io_uring: the receiver does not read, or a notification was lost"
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
