"""TCP_ZEROCOPY_RECEIVE: whole pages of the receive queue are mapped into this process, the rest is copied with recv(2).

No copy by the CPU for what is mapped, but a page-table entry and its removal for every 4 KiB. The kernel maps a fragment only
if it is exactly one page, not part of a compound page, not of the page cache (net/ipv4/tcp.c, can_map_frag): on loopback that
is what a MSG_ZEROCOPY sender leaves in the queue, and nothing else (docs/sinks.md). `mapped_bytes` counts the mapped bytes.
"""

from __future__ import annotations

import select
import socket

from zcload.errors import StudyError
from zcload.linux.ktls import is_tls
from zcload.linux.zerocopy_receive import SocketMapping, whole_pages
from zcload.sinks.base import BUFFER_OFFSET, Copies, Sink, Unavailable, probe_transfer


class _MappedConnection:
    """The state of one connection: *room* bytes to map into, and what the next receive must do first."""

    __slots__ = ("mapped", "mapping", "poll", "rest")

    def __init__(self, sock: socket.socket, room: int) -> None:
        self.mapping = SocketMapping(sock, room)
        self.mapped = 0  # bytes mapped now, handed out by the last receive
        self.rest = 0  # bytes at the head of the queue that only recv can take
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        self.poll = poller.poll


class ZerocopyReceive(Sink):
    """Map the bytes where possible, copy the rest."""

    name = "zerocopy_receive"
    summary = "TCP_ZEROCOPY_RECEIVE: map whole pages of the queue, copy the rest with recv"
    copies = Copies(0, 0, "1 for what is not mapped")
    calls = ("getsockopt", "madvise", "recv", "poll")
    measures = ("mapped_bytes",)
    options = BUFFER_OFFSET

    def __init__(self, chunk: int, *, buffer_offset: int = 0) -> None:
        super().__init__(chunk)
        self._buffer = self.allocate(chunk, buffer_offset)
        self._room = whole_pages(chunk)  # 0: a chunk below a page can only be copied
        self._connections: dict[socket.socket, _MappedConnection] = {}

    def attach(self, sock: socket.socket) -> None:
        if is_tls(sock):
            # TCP's own option, below the TLS layer (net/tls/tls_main.c, tls_getsockopt): it would map encrypted records.
            raise StudyError(f'{self.name} cannot read a kernel TLS connection: it would map encrypted bytes; use sink = "recv"')
        if self._room:
            self._connections[sock] = _MappedConnection(sock, self._room)

    def detach(self, sock: socket.socket) -> None:
        connection = self._connections.pop(sock, None)
        if connection is not None:
            self.payload = memoryview(b"")
            connection.mapping.close()

    def receive(self, sock: socket.socket) -> int:
        if not self._room:
            return self._copy(sock, self.chunk)
        connection = self._connections[sock]
        mapping, counts = connection.mapping, self.counts
        if connection.mapped:
            # Now, and not only when the next getsockopt replaces the mapping: the wait may be long.
            mapping.drop(connection.mapped)
            counts[1] += 1
            connection.mapped = 0
        if not connection.rest:
            mapped = mapping.take()
            counts[0] += 1
            if not mapped and not mapping.next:
                connection.poll()
                mapped = mapping.take()
                counts[3] += 1
                counts[0] += 1
            # Readable but empty: the connection was reset. recv raises the error.
            connection.rest = mapping.next or (0 if mapped else self.chunk)
            if mapped:
                connection.mapped = mapped
                self.measured[0] += mapped
                self.payload = mapping.view
                return mapped
        got = self._copy(sock, min(connection.rest, self.chunk))
        connection.rest -= got
        return got

    def _copy(self, sock: socket.socket, most: int) -> int:
        self.payload = self._buffer
        self.counts[2] += 1
        return sock.recv_into(self._buffer, most)

    @classmethod
    def probe(cls) -> Unavailable | None:
        return probe_transfer(lambda: cls(65_536), "use Linux 4.18 or newer; user-space network stacks such as gVisor's do not have it")

    def close(self) -> None:
        self.payload = memoryview(b"")
        for connection in self._connections.values():
            connection.mapping.close()
        self._connections.clear()
