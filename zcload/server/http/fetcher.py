"""The connections of one HTTP receiver: read what is ready through the sink, and let the load choose the next request.

While a window is open a single connection makes only these system calls: the request, the head and the sink's.
"""

from __future__ import annotations

import hashlib
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence

from zcload.errors import StudyError, reason_of
from zcload.lane.board import BYTES, COUNTS, ITERATIONS, LAST_NS, MEASURES, PARKED, Board
from zcload.linux.process import own_usage
from zcload.linux.sockets import tcp_info
from zcload.server.http.connection import CALLS, SILENCE_S, Connection, give_up_after_silence
from zcload.server.http.target import Target
from zcload.sinks import SINKS, Sink, new_sink


def call_names(sink: str) -> tuple[str, ...]:
    """Return the kinds of system calls that a fetcher counts, in the order of its words on the board."""
    return (*SINKS[sink].calls, *CALLS, "epoll_wait")


class Fetcher:
    """The connections of one receiver and what takes their payload; counts on the board's block *index*."""

    def __init__(
        self,
        connections: list[tuple[int, socket.socket | None]],
        target: Target,
        sink: str,
        chunk: int,
        board: Board,
        index: int,
        buffer_offset: int = 0,
    ) -> None:
        self.target, self.words, self.base = target, board.words, board.base(index)
        self.encrypt = _encrypting(target, SINKS[sink]) if target.tls else None
        self.taker = new_sink(sink, chunk, buffer_offset)
        self.counts = [0] * (len(CALLS) + 1)  # of the calls that are not the sink's
        self.iterations = 0  # whole answers
        self.total = 0  # bytes of payload
        self.poller = select.epoll() if len(connections) > 1 or target.tls else None
        self.by_fd: dict[int, Connection] = {}
        self.served: list[Connection] = []  # in the last turn: with TLS they may hold bytes that no poll tells of
        self.digests: dict[int, hashlib._Hash] | None = None
        self.busy = 0  # connections that are asked or will be in this window
        self.connections = []
        connection_class = _connection_class(target)
        for number, sock in connections:
            connection = connection_class(
                number, sock, target, waits=self.poller is None, counts=self.counts, opened=self._opened, closing=self._closing
            )
            self.connections.append(connection)
            if sock is not None:
                self._opened(connection)

    def _opened(self, connection: Connection) -> None:
        sock = connection.sock
        assert sock is not None
        if self.encrypt is not None:
            sock = connection.sock = self.encrypt(sock)
        self.taker.attach(sock)
        if self.poller is None:
            give_up_after_silence(sock)
        else:
            self.by_fd[sock.fileno()] = connection
            self.poller.register(sock.fileno(), select.EPOLLIN)

    def _closing(self, connection: Connection) -> None:
        sock = connection.sock
        assert sock is not None
        self.taker.detach(sock)
        if self.poller is not None:
            self.poller.unregister(sock.fileno())
            del self.by_fd[sock.fileno()]

    def ready(self) -> Iterable[Connection]:
        """Wait until connections can be read. A single connection is returned at once: its read waits."""
        if self.poller is None:
            return self.connections
        if self.encrypt is not None and self.pending():
            return self.served
        found = self.poller.poll(SILENCE_S)
        self.counts[-1] += 1
        if not found:
            raise self.silence()
        self.served = [self.by_fd[fd] for fd, _ in found]
        return self.served

    def silence(self) -> StudyError:
        """Return the error for a server that has not answered a request for SILENCE_S."""
        silent = next(c for c in self.connections if not c.idle)
        return silent.broken(f"no byte for {SILENCE_S:.0f} s on any connection")

    def pending(self) -> list[Connection]:
        """Return the connections of the last turn that have decrypted bytes, which no poll shows."""
        self.served = [c for c in self.served if c.sock is not None and c.sock.pending()]  # type: ignore[attr-defined]
        return self.served

    def fetch(self, taker: Sink, more: Callable[[Connection], bool], ready: Callable[[], Iterable[Connection]] | None = None) -> None:
        """Take answers until no connection is busy any more; raises StudyError.

        *more* is called for each connection at first and after each of its answers: it requests the next, or schedules that request, and
        returns whether there is one. *ready* returns connections that can be read, in place of the method.
        """
        words, bytes_at, last_at, now = self.words, self.base + BYTES, self.base + LAST_NS, time.monotonic_ns
        receive, up_to, digests = taker.receive, taker.receive_up_to, self.digests
        ready = ready or self.ready
        self.busy = len(self.connections)
        for connection in self.connections:
            if not more(connection):
                self.busy -= 1
        while self.busy:
            for connection in ready():
                if connection.left:
                    sock = connection.sock
                    try:
                        got = up_to(sock, connection.left) if connection.bounded else receive(sock)  # type: ignore[arg-type]
                    except BlockingIOError:
                        if connection.waits:
                            raise connection.broken(f"no byte for {SILENCE_S:.0f} s") from None
                        continue
                    except ConnectionError as error:
                        raise connection.broken(f"the connection broke ({reason_of(error)})") from None
                    if not got:
                        connection.ended()
                    if digests is not None:
                        digests[connection.number].update(taker.payload[:got])
                    connection.took(got)
                else:
                    idle = connection.idle
                    try:
                        stray = connection.listen()
                    except BlockingIOError:
                        continue
                    if idle:
                        continue  # the server has closed one that was not asked
                    got = len(stray)
                    if digests is not None:
                        digests[connection.number].update(stray)
                if got:
                    self.total += got
                    words[last_at] = now()
                    words[bytes_at] = self.total
                if connection.idle:
                    self.iterations += 1
                    if not more(connection):
                        self.busy -= 1

    def forget_counts(self) -> None:
        """Reset the counts: those of verification would all count in the first window."""
        for counts in (self.taker.counts, self.taker.measured, self.counts):
            counts[:] = [0] * len(counts)

    def park(self, number: int, load_counts: Sequence[int]) -> None:
        """Publish all counts, the load's last, then that order *number* has been carried out: a reader of the number sees all counts."""
        words, base = self.words, self.base
        words[base + BYTES], words[base + ITERATIONS] = self.total, self.iterations
        for kind, count in enumerate(self.taker.measured):
            words[base + MEASURES + kind] = count
        for kind, count in enumerate([*self.taker.counts, *self.counts, *load_counts]):
            words[base + COUNTS + kind] = count
        words[base + PARKED] = number

    def report(self) -> dict[str, object]:
        """Return what only the worker can read: its resource usage (user, system in s), its connections, the state of the first."""
        usage = own_usage()
        first = next((c.sock for c in self.connections if c.sock is not None), None)
        return {
            **usage,
            "tcp_info": tcp_info(first) if first is not None else {},
            "connections_made": self.counts[CALLS.index("connect")],
        }

    def close(self) -> None:
        """Close everything; harmless when called twice."""
        for connection in self.connections:
            connection.close()
        self.taker.close()
        if self.poller is not None:
            self.poller.close()


def _connection_class(target: Target) -> type[Connection]:
    if target.http2_window is None:
        return Connection
    from zcload.server.http.http2_connection import Http2Connection  # an extra, and slow to import

    return Http2Connection


def _encrypting(target: Target, taker: type[Sink]) -> Callable[[socket.socket], socket.socket]:
    """Return what makes a connection to *target* a TLS one; raises StudyError."""
    from zcload.server.http.tls import encrypt, wrapper  # slow to import, and most lanes are plain

    trust = target.tls
    assert trust is not None
    if not taker.takes_tls:
        takers = " or ".join(name for name, sink in SINKS.items() if sink.takes_tls)
        raise StudyError(f"{taker.name} works below TLS, where the bytes are still encrypted: use the sink {takers}")
    context = wrapper(trust, target.http2_window is not None)
    return lambda sock: encrypt(context, sock, trust, SILENCE_S)
