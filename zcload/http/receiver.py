"""The body of an HTTP receiver: at the coordinator's orders, keep connections to a server busy with one request each.

It parks between windows as a sender does, and takes the payload through one sink as a receiver does; while a window is open
a single connection makes no system calls but the request, the head and the sink's.
"""

from __future__ import annotations

import hashlib
import os
import resource
import select
import socket
import time
from collections.abc import Callable, Iterable

from zcload.errors import StudyError
from zcload.http.connection import CALLS, SILENCE_S, Connection, give_up_after_silence
from zcload.http.target import Target
from zcload.lane.board import BYTES, COUNTS, GATE, ITERATIONS, LAST_NS, MEASURES, NUMBER, ORDER, PARKED, REPORT, RUN, STOP, VERIFY, Board
from zcload.lane.tcp_info import tcp_info
from zcload.sinks import SINKS, Sink
from zcload.sinks.recv import Recv
from zcload.worker import tell

Span = tuple[int, int]


def call_names(sink: str, tls: bool = False) -> tuple[str, ...]:
    """Return the kinds of system calls that an HTTP receiver counts, in the order of its words on the board.

    With *tls* none: the library reads record by record, and the turns that the receiver counts are not the calls it makes.
    """
    if tls:
        return ()
    return (*SINKS[sink].calls, *CALLS, "epoll_wait")


class Fetcher:
    """The connections of one receiver and what takes their payload; counts on the board's block *index*."""

    def __init__(
        self, connections: list[tuple[int, socket.socket | None]], target: Target, sink: str, chunk: int, board: Board, index: int
    ) -> None:
        self.target, self.words, self.base = target, board.words, board.base(index)
        self.encrypt = _encrypting(target, SINKS[sink]) if target.tls else None
        self.taker = SINKS[sink](chunk)
        self.counts = [0] * (len(CALLS) + 1)  # of the calls that are not the sink's
        self.iterations = 0  # whole answers
        self.total = 0  # bytes of payload
        self.poller = select.epoll() if len(connections) > 1 or target.tls else None
        self.by_fd: dict[int, Connection] = {}
        self.served: list[Connection] = []  # in the last turn: with TLS they may hold bytes that no poll tells of
        self.digests: dict[int, hashlib._Hash] | None = None
        self.connections = []
        for number, sock in connections:
            connection = Connection(
                number, sock, target, waits=self.poller is None, counts=self.counts, opened=self._opened, closing=self._closing
            )
            self.connections.append(connection)
            if sock is not None:
                self._opened(connection)
        self.next = {c.number: target.part(c.number).start for c in self.connections}  # where each goes on in windows

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

    def _ready(self) -> Iterable[Connection]:
        """Wait until connections can be read; the only one is simply read, and waits by itself."""
        if self.poller is None:
            return self.connections
        if self.encrypt is not None:
            self.served = [c for c in self.served if c.sock is not None and c.sock.pending()]  # type: ignore[attr-defined]
            if self.served:
                return self.served
        found = self.poller.poll(SILENCE_S)
        self.counts[-1] += 1
        if not found:
            silent = next(c for c in self.connections if not c.idle)
            raise silent.broken(f"no byte for {SILENCE_S:.0f} s on any connection")
        self.served = [self.by_fd[fd] for fd, _ in found]
        return self.served

    def fetch(self, taker: Sink, more: Callable[[Connection], Span | None]) -> None:
        """Fetch what *more* names for each connection, one request at a time, until it names nothing; raises StudyError."""
        words, bytes_at, last_at, now = self.words, self.base + BYTES, self.base + LAST_NS, time.monotonic_ns
        receive, up_to, digests = taker.receive, taker.receive_up_to, self.digests
        busy = 0
        for connection in self.connections:
            span = more(connection)
            if span is not None:
                connection.ask(*span)
                busy += 1
        while busy:
            for connection in self._ready():
                if connection.left:
                    sock = connection.sock
                    try:
                        got = up_to(sock, connection.left) if connection.bounded else receive(sock)  # type: ignore[arg-type]
                    except BlockingIOError:
                        if connection.waits:
                            raise connection.broken(f"no byte for {SILENCE_S:.0f} s") from None
                        continue
                    except ConnectionError as error:
                        raise connection.broken(f"the connection broke ({error.strerror})") from None
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
                    span = more(connection)
                    if span is None:
                        busy -= 1
                    else:
                        connection.ask(*span)

    def verify(self) -> dict[int, str]:
        """Fetch the part of each connection and return the SHA-256 of each by number; raises StudyError.

        Through the lane's own sink, where that sees the payload; where it does not, through recv, on the same connections.
        """
        taker = self.taker if self.taker.sees_payload else Recv(self.taker.chunk)
        self.digests = {c.number: hashlib.sha256() for c in self.connections}
        parts = {c.number: self.target.part(c.number) for c in self.connections}
        at = {number: part.start for number, part in parts.items()}
        step = self.target.bytes_per_request

        def more(connection: Connection) -> Span | None:
            start, end = at[connection.number], parts[connection.number].end
            at[connection.number] = stop = min(start + step, end) if self.target.ranges else end
            return (start, stop) if start < end else None

        self.fetch(taker, more)
        found = {number: digest.hexdigest() for number, digest in self.digests.items()}
        self.digests = None
        return found

    def run(self, number: int) -> None:
        """Keep every connection busy while the gate is open for window *number*, then finish what was asked for; raises StudyError."""
        words, where, size = self.words, self.next, self.target.size
        step = size if self.target.whole else self.target.bytes_per_request

        def more(connection: Connection) -> Span | None:
            if words[GATE] != number:
                return None
            if step == size:
                return (0, size)
            start = where[connection.number]
            end = start + step
            if end >= size:
                end, where[connection.number] = size, 0
            else:
                where[connection.number] = end
            return (start, end)

        self.fetch(self.taker, more)

    def park(self, number: int) -> None:
        """Publish all counts, then that order *number* has been carried out: whoever sees that sees the rest."""
        words, base = self.words, self.base
        words[base + BYTES], words[base + ITERATIONS] = self.total, self.iterations
        for kind, count in enumerate(self.taker.measured):
            words[base + MEASURES + kind] = count
        for kind, count in enumerate([*self.taker.counts, *self.counts]):
            words[base + COUNTS + kind] = count
        words[base + PARKED] = number

    def report(self) -> dict[str, object]:
        """Return what only the worker itself can read: its resource usage (user, system in s), its connections, the state of the first."""
        cpu_ns = time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        first = next((c.sock for c in self.connections if c.sock is not None), None)
        return {
            "cpu_ns": cpu_ns,
            "voluntary": usage.ru_nvcsw,
            "involuntary": usage.ru_nivcsw,
            "minor_faults": usage.ru_minflt,
            "major_faults": usage.ru_majflt,
            "tcp_info": tcp_info(first) if first is not None else {},
            "connections_made": self.counts[CALLS.index("connect")],
        }

    def close(self) -> None:
        """Give everything back; harmless when called twice."""
        for connection in self.connections:
            connection.close()
        self.taker.close()
        if self.poller is not None:
            self.poller.close()


def _encrypting(target: Target, taker: type[Sink]) -> Callable[[socket.socket], socket.socket]:
    """Return what makes a connection to *target* a TLS one; raises StudyError."""
    from zcload.http.tls import encrypt, wrapper  # slow to import, and most lanes are plain

    trust = target.tls
    assert trust is not None
    if not taker.takes_tls:
        takers = " or ".join(name for name, sink in SINKS.items() if sink.takes_tls)
        raise StudyError(f"{taker.name} works below TLS, where the bytes are still encrypted: use the sink {takers}")
    context = wrapper(trust)
    return lambda sock: encrypt(context, sock, trust, SILENCE_S)


def fetch_file(
    control: socket.socket,
    *,
    board: Board,
    index: int,
    sink: str,
    chunk: int,
    connections: list[tuple[int, socket.socket | None]],
    target: Target,
    gate: int,
) -> None:
    """Carry out the coordinator's orders until it says stop. *index* is the worker's block on the board, *gate* its eventfd.

    *connections* are numbers and sockets that are connected to the server; None for a socket is made when it is needed, as those
    are that the server closes. Raises StudyError that names connection, request, and what was got and expected.
    """
    words = board.words
    fetcher = Fetcher(connections, target, sink, chunk, board, index)
    try:
        tell(control, ready=True)
        while True:
            os.eventfd_read(gate)
            number, order = words[NUMBER], words[ORDER]
            if order == RUN:
                fetcher.run(number)
            elif order == VERIFY:
                tell(control, digests=fetcher.verify())
                # The counts begin with the first window: the calls of verification would all fall into that.
                fetcher.taker.counts[:], fetcher.taker.measured[:] = [0] * len(fetcher.taker.counts), [0] * len(fetcher.taker.measured)
                fetcher.counts[:] = [0] * len(fetcher.counts)
                tell(control, ready=True)
            elif order == REPORT:
                tell(control, **fetcher.report())
            elif order == STOP:
                break
            fetcher.park(number)
    finally:
        fetcher.close()
