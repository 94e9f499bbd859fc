"""io_uring RECV, multishot, into a ring of provided buffers: one copy by the CPU, and no call that asks for the next bytes.

One operation a connection stays armed. Each time bytes have come, the kernel takes a free buffer, copies into it and posts a completion.
One io_uring_enter returns all that are there. A connection is armed again when no buffer was free (`rearms`).
"""

from __future__ import annotations

import errno
import select
import socket
from collections import deque
from types import TracebackType

from zcload.errors import os_error
from zcload.linux import uring
from zcload.linux.memory import address_of, slots
from zcload.linux.uring_abi import (
    CQE_BUFFER_SHIFT,
    CQE_F_MORE,
    IOSQE_BUFFER_SELECT,
    MOST_BUFFERS,
    RECV,
    RECV_MULTISHOT,
)
from zcload.linux.uring_buffers import BufferRing
from zcload.sinks.base import BUFFER_OFFSET, Copies, Sink, Unavailable, probe_transfer
from zcload.sinks.poller import Poller

_ENTRIES = 64  # connections that one call arms
_RETRY = (-errno.ENOBUFS, -errno.EINTR, -errno.EAGAIN)  # nothing was taken: ask again


class _ArmedConnection:
    """What has come over one connection: (bytes, buffer) each, 0 bytes at its end, an error number below zero."""

    __slots__ = ("came", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.came: deque[tuple[int, int]] = deque()


class UringRecvMultishot(Sink):
    """Have the kernel copy into whichever buffer is free."""

    name = "uring_recv_multishot"
    summary = "io_uring multishot RECV into a ring of provided buffers: one copy by the CPU, several receives a call"
    copies = Copies(1, 1)
    calls = ("io_uring_enter",)
    waits_with = None
    takes_ahead = True
    measures = ("rearms",)
    options = BUFFER_OFFSET

    def __init__(self, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(chunk)
        self._slot, number = slots(chunk, chunk)
        self._number = min(1 << number.bit_length() - 1, MOST_BUFFERS)  # a power of two
        self._memory = self.allocate(self._slot * self._number, buffer_offset)
        self._address = address_of(self._memory)
        self._used = list(range(self._number))  # buffers to provide before the next wait
        self._connections: dict[int, _ArmedConnection] = {}
        self._unarmed: list[_ArmedConnection] = []
        self.ready: dict[int, _ArmedConnection] = {}  # by descriptor: those with something that has come
        self._ring: uring.Ring | None = None
        self._buffers: BufferRing | None = None

    @classmethod
    def private_bytes(cls, chunk: int) -> int:
        """The ring of buffers."""
        slot, number = slots(chunk, chunk)
        return slot * number

    @classmethod
    def probe(cls) -> Unavailable | None:
        why = uring.why_not((RECV,))
        return Unavailable(*why) if why else probe_transfer(lambda: cls(65_536), "use Linux 6.0 or newer")

    def attach(self, sock: socket.socket) -> None:
        if self._ring is None:  # here, because only the thread that made a ring may use it
            self._ring = uring.Ring(entries=_ENTRIES)
            try:
                self._buffers = BufferRing(self._ring, self._number)
            except OSError as error:
                if error.errno == errno.EINVAL:
                    raise OSError(errno.EINVAL, "io_uring of this kernel has no ring of provided buffers") from None
                raise
        connection = _ArmedConnection(sock.fileno())
        self._connections[connection.fd] = connection
        self._unarmed.append(connection)

    def receive(self, sock: socket.socket) -> int:
        connection = self._connections[sock.fileno()]
        came = connection.came
        while not came:
            self.wait()
        got, buffer = came[0]
        if got == -errno.EINVAL:
            raise OSError(errno.EINVAL, "io_uring of this kernel has no multishot receive")
        if got < 0:
            raise os_error(-got)
        if got:  # the end of the stream stays where it is
            came.popleft()
            if not came:
                del self.ready[connection.fd]
            at = buffer * self._slot
            self.payload = self._memory[at : at + self._slot]
            self._used.append(buffer)
        return got

    def wait(self) -> None:
        """Provide the buffers that were used, arm the connections that are not, and wait until something has come."""
        ring, buffers = self._ring, self._buffers
        assert ring is not None
        assert buffers is not None
        if self._used:
            for buffer in self._used:
                buffers.provide(self._address + buffer * self._slot, self.chunk, buffer)
            buffers.publish()
            self._used.clear()
        for _ in range(min(len(self._unarmed), _ENTRIES)):
            self._arm(ring, self._unarmed.pop(), buffers.group)
        before = ring.enters
        ring.enter(0 if self._unarmed else 1)
        for fd, result, flags in ring.reap():
            connection = self._connections[fd]
            if not flags & CQE_F_MORE and (result > 0 or result in _RETRY):
                self._unarmed.append(connection)
                self.measured[0] += 1
            if result not in _RETRY:
                connection.came.append((result, flags >> CQE_BUFFER_SHIFT))
                self.ready[fd] = connection
        self.counts[0] += ring.enters - before  # `reap` makes one too where completions found no room in the ring

    @staticmethod
    def _arm(ring: uring.Ring, connection: _ArmedConnection, group: int) -> None:
        """Prepare the operation that receives from *connection* until it ends."""
        flags, priority = IOSQE_BUFFER_SELECT, RECV_MULTISHOT
        ring.prepare(RECV, connection.fd, 0, 0, tag=connection.fd, entry_flags=flags, priority=priority, buffer=group, multishot=True)

    def poller(self) -> Poller:
        return _RingPoller(self)

    def close(self) -> None:
        self.payload = memoryview(b"")
        if self._ring is not None:
            self._ring.close()  # first: it ends what still writes into the buffers
        if self._buffers is not None:
            self._buffers.close()
        self._memory.release()


class _RingPoller:
    """Wait for connections with the ring that receives from them."""

    def __init__(self, sink: UringRecvMultishot) -> None:
        self._sink, self._polled = sink, set[int]()

    def register(self, fd: int, eventmask: int, /) -> None:
        self._polled.add(fd)

    def unregister(self, fd: int, /) -> None:
        self._polled.discard(fd)

    def poll(self) -> list[tuple[int, int]]:
        while not (found := [(fd, select.EPOLLIN) for fd in self._sink.ready if fd in self._polled]):
            self._sink.wait()
        return found

    def close(self) -> None:
        self._polled.clear()

    def __enter__(self) -> Poller:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self.close()
