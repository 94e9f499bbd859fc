"""The receiver's body: take bytes off its connections through one sink, count them, stamp the last one."""

from __future__ import annotations

import hashlib
import select
import socket
import time
from collections.abc import Callable

from zcload.errors import StudyError
from zcload.lane.board import BYTES, COUNTS, ITERATIONS, LAST_NS, MAX_MEASURES, MEASURES, Board
from zcload.lane.worker import send_message
from zcload.sinks import SINKS, Sink
from zcload.sinks.recv import Recv


def receive_file(
    control: socket.socket,
    *,
    board: Board,
    index: int,
    sink: str,
    chunk: int,
    connections: list[tuple[int, socket.socket]],
    expected: dict[int, int],
) -> None:
    """Drain *connections* (number and socket) until all have ended. First digest *expected[number]* bytes of each, if it names any."""
    taker = SINKS[sink](chunk)
    for _, sock in connections:
        taker.attach(sock)
    if expected:
        send_message(control, digests=_digest(taker, connections, expected, board, index))
        # The board's counts begin with the first window: the calls of verification would all fall into that.
        taker.counts[:], taker.measured[:] = [0] * len(taker.counts), [0] * len(taker.measured)
    words, base = board.words, board.base(index)
    total = words[base + BYTES]
    send_message(control, ready=True)
    if len(connections) == 1:
        sock = connections[0][1]
        receive, now = publishing(taker, board, index), time.monotonic_ns
        bytes_at, last_at, iterations_at, calls_at = base + BYTES, base + LAST_NS, base + ITERATIONS, base + COUNTS
        kinds, counts = len(taker.counts), taker.counts
        turns = 0
        while True:
            got = receive(sock)
            if not got:
                break
            turns += 1
            total += got
            words[last_at] = now()
            words[iterations_at] = turns
            for kind in range(kinds):
                words[calls_at + kind] = counts[kind]
            words[bytes_at] = total
    else:
        _drain_many(taker, [sock for _, sock in connections], board, index)
    taker.close()
    send_message(control, ended=True)


def _drain_many(taker: Sink, socks: list[socket.socket], board: Board, index: int) -> None:
    """Drain several connections in turn as they become readable (epoll, level-triggered: a receive after it never waits)."""
    receive, counts = publishing(taker, board, index), taker.counts
    kinds = len(counts)
    words, base, now = board.words, board.base(index), time.monotonic_ns
    bytes_at, last_at, iterations_at, calls_at = base + BYTES, base + LAST_NS, base + ITERATIONS, base + COUNTS
    total, turns, waits = words[bytes_at], 0, 0
    by_fd = {sock.fileno(): sock for sock in socks}
    poller = select.epoll()
    for fd in by_fd:
        poller.register(fd, select.EPOLLIN)
    while by_fd:
        ready = poller.poll()
        waits += 1
        words[calls_at + kinds] = waits
        for fd, _ in ready:
            got = receive(by_fd[fd])
            if not got:
                poller.unregister(fd)
                del by_fd[fd]
                continue
            turns += 1
            total += got
            words[last_at] = now()
            words[iterations_at] = turns
            for kind in range(kinds):
                words[calls_at + kind] = counts[kind]
            words[bytes_at] = total
    poller.close()


def publishing(taker: Sink, board: Board, index: int) -> Callable[[socket.socket], int]:
    """Return what receives through *taker*: its own method, wrapped only if it measures something that the board must show.

    The measures are written before the loop writes the bytes they belong to, so whoever sees the bytes sees them too.
    """
    kinds = len(taker.measures)
    if not kinds:
        return taker.receive
    if kinds > MAX_MEASURES:
        raise AssertionError(f"{taker.name} declares more measures than the board has words for")
    receive, measured = taker.receive, taker.measured
    words, measures_at = board.words, board.base(index) + MEASURES

    def receive_and_publish(sock: socket.socket) -> int:
        got = receive(sock)
        for kind in range(kinds):
            words[measures_at + kind] = measured[kind]
        return got

    return receive_and_publish


def call_names(sink: str, connections: int) -> tuple[str, ...]:
    """Return the kinds of system calls that a receiver counts, in the order of its words on the board."""
    return SINKS[sink].calls if connections == 1 else (*SINKS[sink].calls, "epoll_wait")


def _digest(
    taker: Sink, connections: list[tuple[int, socket.socket]], expected: dict[int, int], board: Board, index: int
) -> dict[int, str]:
    """Take exactly the expected bytes of each connection and return their SHA-256 by connection number.

    Through *taker*, the lane's own sink, where that sees the payload; where it does not, through recv, on the same connections.
    """
    reader = taker if taker.sees_payload else Recv(taker.chunk)
    words, base = board.words, board.base(index)
    left = dict(expected)
    digests = {number: hashlib.sha256() for number, _ in connections}
    by_fd = {sock.fileno(): (number, sock) for number, sock in connections}
    poller = select.epoll()
    for fd, (number, _) in by_fd.items():
        if left[number]:
            poller.register(fd, select.EPOLLIN)
    while any(left.values()):
        for fd, _ in poller.poll():
            number, sock = by_fd[fd]
            got = reader.receive(sock)
            if not got:
                raise ConnectionError(f"connection {number} ended {left[number]} bytes early")
            digests[number].update(reader.payload[:got])
            left[number] -= got
            if left[number] < 0:
                raise StudyError(f"connection {number} brought {-left[number]} bytes too many")
            if not left[number]:
                poller.unregister(fd)
            words[base + BYTES] += got
    poller.close()
    return {number: digest.hexdigest() for number, digest in digests.items()}
