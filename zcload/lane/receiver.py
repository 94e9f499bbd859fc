"""The receiver process: take bytes off its connections through one sink, count them, and stamp the last one."""

from __future__ import annotations

import hashlib
import select
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from zcload.errors import StudyError
from zcload.lane.board import BYTES, COUNTS, ITERATIONS, LAST_NS, MAX_MEASURES, MEASURES, Board
from zcload.lane.worker import send_message
from zcload.sinks import SINKS, Sink, new_sink
from zcload.sinks.recv import payload_reader

if TYPE_CHECKING:
    from hashlib import _Hash as Hash


def receive_file(
    control: socket.socket,
    *,
    board: Board,
    index: int,
    sink: str,
    chunk: int,
    buffer_offset: int,
    connections: list[tuple[int, socket.socket]],
    expected: dict[int, int],
) -> None:
    """Drain *connections* (number and socket) until all have ended. First digest *expected[number]* bytes of each, if it names any."""
    taker = new_sink(sink, chunk, buffer_offset)
    for _, sock in connections:
        taker.attach(sock)
    if expected:
        send_message(control, digests=_digest(taker, connections, expected, board, index))
        # The board's counts begin with the first window: the calls of verification would all fall into that.
        taker.counts[:], taker.measured[:] = [0] * len(taker.counts), [0] * len(taker.measured)
    send_message(control, ready=True)
    drain(taker, [sock for _, sock in connections], board, index, len(connections) > 1)
    taker.close()
    send_message(control, ended=True)


def drain(taker: Sink, socks: list[socket.socket], board: Board, index: int, poll: bool) -> None:
    """Receive from *socks* until all have ended; with *poll* wait for readable ones, without it there is a single socket."""
    if poll:
        _drain_many(taker, socks, board, index)
    else:
        (sock,) = socks
        _drain_one(taker, sock, board, index)


def _drain_one(taker: Sink, sock: socket.socket, board: Board, index: int) -> None:
    """Drain one connection: what is published after a receive is there before the next one waits."""
    words, base, now = board.words, board.base(index), time.monotonic_ns
    bytes_at, last_at, iterations_at, calls_at = base + BYTES, base + LAST_NS, base + ITERATIONS, base + COUNTS
    receive = publishing(taker.receiver(sock), taker, board, index)
    total, turns = words[bytes_at], 0
    # Every statement here is CPU time of the receiver's, paid for each 64 KiB or so: the loops below differ in the counts alone.
    if taker.one_call:
        while got := receive():
            turns += 1
            total += got
            words[last_at] = now()
            words[iterations_at] = words[calls_at] = turns
            words[bytes_at] = total
        return
    counts = taker.counts
    while got := receive():
        turns += 1
        total += got
        words[last_at] = now()
        words[iterations_at] = turns
        at = calls_at
        for count in counts:
            words[at] = count
            at += 1
        words[bytes_at] = total


def _drain_many(taker: Sink, socks: list[socket.socket], board: Board, index: int) -> None:
    """Drain several connections in turn as they become readable (level-triggered: a receive after it never waits).

    What a wake-up brought is published once, before the next wait.
    """
    words, base, now = board.words, board.base(index), time.monotonic_ns
    bytes_at, last_at, iterations_at, calls_at = base + BYTES, base + LAST_NS, base + ITERATIONS, base + COUNTS
    waits_at = calls_at + len(taker.counts)
    total, turns, waits = words[bytes_at], 0, 0
    receivers = {sock.fileno(): emptying(publishing(taker.receiver(sock), taker, board, index), sock) for sock in socks}
    one_call, counts, counted = taker.one_call, taker.counts, taker.waits_with is not None
    with taker.poller() as poller:
        for fd in receivers:
            poller.register(fd, select.EPOLLIN)
        poll = poller.poll
        while receivers:
            before = total
            for fd, _ in poll():
                got = receivers[fd]()
                if got:
                    turns += 1
                    total += got
                else:
                    poller.unregister(fd)
                    del receivers[fd]
            if total != before:
                words[last_at] = now()
            if counted:
                waits += 1
                words[waits_at] = waits
            words[iterations_at] = turns
            if one_call:
                words[calls_at] = turns
            else:
                for kind, count in enumerate(counts):
                    words[calls_at + kind] = count
            words[bytes_at] = total


def publishing(receive: Callable[..., int], taker: Sink, board: Board, index: int) -> Callable[..., int]:
    """Return *receive*, which takes bytes through *taker*, wrapped only if *taker* measures something that the board must show.

    The measures are written before the loop writes the bytes they belong to, so whoever sees the bytes sees them too.
    """
    kinds = len(taker.measures)
    if not kinds:
        return receive
    if kinds > MAX_MEASURES:
        raise AssertionError(f"{taker.name} declares more measures than the board has words for")
    measured = taker.measured
    words, measures_at = board.words, board.base(index) + MEASURES

    def receive_and_publish(*connection: socket.socket) -> int:
        got = receive(*connection)
        for kind in range(kinds):
            words[measures_at + kind] = measured[kind]
        return got

    return receive_and_publish


def emptying(receive: Callable[[], int], sock: socket.socket) -> Callable[[], int]:
    """Return *receive*, repeated on a TLS connection until it holds nothing decrypted: epoll sees only what is in the socket."""
    pending = getattr(sock, "pending", None)
    if pending is None:
        return receive

    def receive_all() -> int:
        total = got = receive()
        while got and pending():
            total += (got := receive())
        return total

    return receive_all


def call_names(sink: str, connections: int) -> tuple[str, ...]:
    """Return the kinds of system calls that a receiver counts, in the order of its words on the board."""
    calls, waits_with = SINKS[sink].calls, SINKS[sink].waits_with
    return calls if connections == 1 or waits_with is None else (*calls, waits_with)


def _digest(
    taker: Sink, connections: list[tuple[int, socket.socket]], expected: dict[int, int], board: Board, index: int
) -> dict[int, str]:
    """Take exactly the expected bytes of each connection and return their SHA-256 by connection number.

    Through *taker*, the lane's own sink, where that sees the payload; where it does not, through recv, on the same connections.
    """
    reader = payload_reader(taker)
    words, base = board.words, board.base(index)
    left = dict(expected)
    digests = {number: hashlib.sha256() for number, _ in connections}
    by_fd: dict[int, tuple[int, Callable[[], int]]] = {}
    for number, sock in connections:
        by_fd[sock.fileno()] = number, emptying(partial(_digest_some, reader, sock, digests[number]), sock)
    poller = reader.poller()
    for fd, (number, _) in by_fd.items():
        if left[number]:
            poller.register(fd, select.EPOLLIN)
    while any(left.values()):
        for fd, _ in poller.poll():
            number, receive = by_fd[fd]
            got = receive()
            if not got:
                raise ConnectionError(f"connection {number} ended {left[number]} bytes early")
            left[number] -= got
            if left[number] < 0:
                raise StudyError(f"connection {number} brought {-left[number]} bytes too many")
            if not left[number]:
                poller.unregister(fd)
            words[base + BYTES] += got
    poller.close()
    return {number: digest.hexdigest() for number, digest in digests.items()}


def _digest_some(reader: Sink, sock: socket.socket, digest: Hash) -> int:
    """Receive once and add the bytes to *digest*; return their number."""
    got = reader.receive(sock)
    digest.update(reader.payload[:got])
    return got
