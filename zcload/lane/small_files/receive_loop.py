"""The receiver process for small files: receive each, stamp its last byte, and answer the sender where it waits."""

from __future__ import annotations

import hashlib
import select
import socket
import time
from collections.abc import Callable
from functools import partial

from zcload.errors import StudyError
from zcload.lane.board import BYTES, COUNTS, ITERATIONS, LAST_NS, MAX_COUNTS, STRANGERS, TRANSFERS, Board
from zcload.lane.connections import MOST_SILENT
from zcload.lane.receiver import emptying, publishing
from zcload.lane.small_files.fresh_connections import GREETING, Arrived, FreshConnector
from zcload.lane.small_files.header import header_of
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.lane.worker import send_message
from zcload.linux.sockets import ACCEPT_AGAIN
from zcload.sinks import Sink, new_sink
from zcload.sinks.recv import payload_reader

ANSWER = b"\x06" * 64  # ASCII's "acknowledge", one for each file that has come
_EPOLL_WAIT, _SEND, _ACCEPT, _RECV, _CLOSE = range(5)
CALLS = ("epoll_wait", "send", "accept", "recv", "close")  # beside the sink's

Digests = dict[int, dict[int, bytes]]  # by sender and number of its transfer


class IncomingFile:
    """The files expected from one sender over one connection, in the catalogue's order, from number *transfer* on."""

    def __init__(self, transfer_plan: TransferPlan, sock: socket.socket, sender: int, transfer: int) -> None:
        self._sizes = transfer_plan.catalogue.sizes
        self._at = (transfer_plan.start(sender) + transfer) % len(self._sizes)
        self._header = transfer_plan.point.header_bytes
        self._left = self._header + self._sizes[self._at]
        self._done, self._slots = transfer_plan.log.done(sender), transfer_plan.log.capacity
        self.sock, self.sender, self.transfer = sock, sender, transfer

    def take(self, got: int, now_ns: int) -> int:
        """Count *got* bytes that were received at *now_ns*; return how many files they completed."""
        left, whole = self._left - got, 0
        while left <= 0:
            self._done[self.transfer % self._slots] = now_ns
            self.transfer += 1
            whole += 1
            self._at = self._at + 1 if self._at + 1 < len(self._sizes) else 0
            left += self._header + self._sizes[self._at]
        self._left = left
        return whole


class DigestedFile(IncomingFile):
    """The same in verification: the digest of every file goes into *digests*, by sender and number, and every header is compared."""

    def __init__(
        self, transfer_plan: TransferPlan, sock: socket.socket, sender: int, transfer: int, reader: Sink, digests: Digests
    ) -> None:
        super().__init__(transfer_plan, sock, sender, transfer)
        self._reader, self._digests = reader, digests[sender]
        self._hash = hashlib.sha256()
        self._expected = header_of(self._header)

    def take(self, got: int, now_ns: int) -> int:
        payload, whole = self._reader.payload[:got], 0
        while payload:
            head = self._left - self._sizes[self._at]  # what is to come of the header
            part = payload[: head if head > 0 else self._left]
            payload = payload[len(part) :]
            if head <= 0:
                self._hash.update(part)
            elif part != self._expected[-head:][: len(part)]:
                raise StudyError(f"the header of file {self.transfer} of sender {self.sender} did not arrive as it was sent")
            number = self.transfer
            if super().take(len(part), now_ns):
                self._digests[number] = self._hash.digest()
                self._hash = hashlib.sha256()
                whole += 1
        return whole


class ReceiverState:
    """One receiver's connections, and the counts of them that it publishes."""

    def __init__(self, transfer_plan: TransferPlan, taker: Sink, board: Board, index: int) -> None:
        self.transfer_plan, self.taker = transfer_plan, taker
        self._words, self._base = board.words, board.base(index)
        self._receive = publishing(taker.receive, taker, board, index)
        self.counts = [0] * len(CALLS)
        if len(taker.counts) + len(CALLS) > MAX_COUNTS:
            raise AssertionError(f"{taker.name} declares more kinds of calls than the board has words for")
        # Bytes and files go on from what verification has taken, turns and calls do not.
        self.total, self.transfers, self.turns = self._words[self._base + BYTES], self._words[self._base + TRANSFERS], 0
        self._words[self._base + ITERATIONS] = 0
        self.publish_calls()

    def receive(self, one: IncomingFile) -> int:
        """Receive bytes of *one* and publish their number; return it, 0 at the end of its connection. Answers files that are complete."""
        got = self._receive(one.sock)
        if not got:
            return 0
        words, base, now = self._words, self._base, time.monotonic_ns()
        whole = one.take(got, now)
        answers = whole if self.transfer_plan.closed and self.transfer_plan.connector is None else 0
        self.turns += 1
        self.total += got
        self.transfers += whole
        if answers:
            self.counts[_SEND] += 1
        words[base + LAST_NS] = now
        words[base + ITERATIONS] = self.turns
        words[base + TRANSFERS] = self.transfers
        self.publish_calls()
        words[base + BYTES] = self.total
        if answers:
            one.sock.send(ANSWER[:answers])
        return got

    def publish_calls(self) -> None:
        """Write the counts of system calls."""
        words, at = self._words, self._base + COUNTS
        for count in self.taker.counts:
            words[at] = count
            at += 1
        for count in self.counts:
            words[at] = count
            at += 1

    def refuse(self, sock: socket.socket) -> None:
        """Close an unauthenticated connection, and count it."""
        self._words[self._base + STRANGERS] += 1
        sock.close()


def receive_files(
    control: socket.socket,
    *,
    board: Board,
    index: int,
    sink: str,
    chunk: int,
    buffer_offset: int,
    connections: list[tuple[int, socket.socket]],
    transfer_plan: TransferPlan,
    listener: socket.socket | None,
    verify: bool,
) -> None:
    """Take files off *connections* (number of the sender and socket) until all have ended, or those that come to *listener* instead.

    First digest, with *verify*, the files that each sender sends for that.
    """
    taker = new_sink(sink, chunk, buffer_offset)
    for _, sock in connections if listener is None else ():
        taker.attach(sock)
    loop: ReceiveLoop = Persistent(connections) if listener is None else Fresh(connections, listener, transfer_plan.connector)
    if verify:
        reader = payload_reader(taker)
        digests: Digests = {sender: {} for sender, _ in connections}
        wanted = transfer_plan.verified * len(connections)
        loop.serve(
            ReceiverState(transfer_plan, reader, board, index),
            partial(DigestedFile, transfer_plan, reader=reader, digests=digests),
            lambda: sum(map(len, digests.values())) < wanted,
        )
        # Counts begin with the first window: the calls of verification would all fall into that.
        taker.counts[:], taker.measured[:] = [0] * len(taker.counts), [0] * len(taker.measured)
        send_message(control, digests={sender: _combined(files) for sender, files in digests.items()})
    state = ReceiverState(transfer_plan, taker, board, index)
    send_message(control, ready=True)
    loop.serve(state, partial(IncomingFile, transfer_plan), None)
    loop.close()
    taker.close()
    send_message(control, ended=True)


def _combined(digests: dict[int, bytes]) -> str:
    return hashlib.sha256(b"".join(digests[number] for number in sorted(digests))).hexdigest()


class ReceiveLoop:
    """The way in which files arrive at a receiver."""

    def serve(self, state: ReceiverState, incoming: Callable[..., IncomingFile], going: Callable[[], bool] | None) -> None:
        """Take files until all senders have ended their connections, or for as long as *going* says."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what it has opened."""


class Persistent(ReceiveLoop):
    """Over connections that stay: the files of one sender each."""

    def __init__(self, connections: list[tuple[int, socket.socket]]) -> None:
        self._connections = connections
        self._begun = 0  # files of each connection that have come already

    def serve(self, state: ReceiverState, incoming: Callable[..., IncomingFile], going: Callable[[], bool] | None) -> None:
        by_fd = {sock.fileno(): incoming(sock, sender, self._begun) for sender, sock in self._connections}
        receive, counts = state.receive, state.counts
        if len(by_fd) == 1 and going is None:
            (one,) = by_fd.values()
            while receive(one):
                pass
            return
        receivers = {fd: emptying(partial(receive, one), one.sock) for fd, one in by_fd.items()}
        waits = 1 if state.taker.waits_with else 0  # 0: the sink's own calls wait, and it counts them
        with state.taker.poller() as poller:
            for fd in by_fd:
                poller.register(fd, select.EPOLLIN)
            while by_fd and (going is None or going()):
                ready = poller.poll()
                counts[_EPOLL_WAIT] += waits
                for fd, _ in ready:
                    if receivers[fd]():
                        continue
                    if going is not None:
                        raise ConnectionError(f"connection {by_fd[fd].sender} ended in mid verification")
                    poller.unregister(fd)
                    del by_fd[fd]
        self._begun = max((one.transfer for one in by_fd.values()), default=0)


class Fresh(ReceiveLoop):
    """Over a connection for each file, which must greet with the lane's secret. The first *connections* only say when all is over."""

    def __init__(self, connections: list[tuple[int, socket.socket]], listener: socket.socket, connector: FreshConnector | None) -> None:
        assert connector is not None
        self._connector, self._listener = connector, listener
        self._arrived = Arrived(connector.point.senders)
        self._staying = {sock.fileno() for _, sock in connections}
        self._silent: dict[int, tuple[socket.socket, bytes]] = {}  # connections whose greeting is incomplete
        self._poller = select.epoll()
        for fd in (listener.fileno(), *self._staying):
            self._poller.register(fd, select.EPOLLIN)

    def serve(self, state: ReceiverState, incoming: Callable[..., IncomingFile], going: Callable[[], bool] | None) -> None:
        receive, counts, poller, connector = state.receive, state.counts, self._poller, self._listener.fileno()
        pending: dict[int, IncomingFile] = {}
        while self._staying and (going is None or going()):
            ready = poller.poll()
            counts[_EPOLL_WAIT] += 1
            for fd, _ in ready:
                if fd in pending:
                    pending_file = pending[fd]
                    before = pending_file.transfer
                    if not receive(pending_file):
                        raise ConnectionError(f"a connection of sender {pending_file.sender} ended in mid file")
                    if pending_file.transfer != before:
                        del pending[fd]
                        state.taker.detach(pending_file.sock)
                        counts[_CLOSE] += 1
                        pending_file.sock.close()  # in a closed loop this is the answer that the sender waits for
                elif fd == connector:
                    counts[_ACCEPT] += 1
                    self._accept(state)
                elif fd in self._silent:
                    counts[_RECV] += 1
                    told = self._listen_to(fd, state)
                    if told:
                        state.taker.attach(told[0])
                        pending[fd] = incoming(*told)
                else:
                    poller.unregister(fd)
                    self._staying.discard(fd)

    def _accept(self, state: ReceiverState) -> None:
        """Accept the next connection; its greeting shows whether it is one of ours."""
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            if error.errno in ACCEPT_AGAIN:  # it left before it was accepted
                return
            raise
        if len(self._silent) >= MOST_SILENT:  # they come to say nothing: the one that has done so longest leaves
            state.refuse(self._silent.pop(next(iter(self._silent)))[0])
        self._silent[sock.fileno()] = sock, b""
        self._poller.register(sock.fileno(), select.EPOLLIN)

    def _listen_to(self, fd: int, state: ReceiverState) -> tuple[socket.socket, int, int] | None:
        """Read on in a greeting; return connection, sender and transfer once it is whole and right."""
        sock, heard = self._silent.pop(fd)
        try:
            more = sock.recv(GREETING.size - len(heard), socket.MSG_DONTWAIT)
        except OSError:
            more = b""
        heard += more
        if more and len(heard) < GREETING.size:
            self._silent[fd] = sock, heard
            return None
        numbers = self._connector.read_greeting(heard) if len(heard) == GREETING.size else None
        if numbers is None or not self._arrived.take(*numbers):
            state.refuse(sock)
            return None
        return sock, *numbers

    def close(self) -> None:
        for sock, _ in self._silent.values():
            sock.close()
        self._poller.close()
        self._listener.close()
