"""The relay process: pass on what a sender sends to the receiver, and count it. One connection comes in and one goes out.

It is not gated: like a receiver it waits for bytes, and is at rest when as many have left it as the sender has sent.
"""

from __future__ import annotations

import socket

from zcload.lane.board import BYTES, COUNTS, ITERATIONS, MAX_COUNTS, Board
from zcload.lane.worker import send_message
from zcload.mechanisms import relay_of
from zcload.model.study import Contender


def relay_bytes(
    control: socket.socket, *, board: Board, index: int, variant: Contender, source: socket.socket, sock: socket.socket
) -> None:
    """Move bytes from *source* to *sock* until the stream ends. *index* is the worker's block on the board."""
    relay = relay_of(variant)(source, sock, variant.chunk, **variant.options)
    words, base = board.words, board.base(index)
    bytes_at, iterations_at, calls_at = base + BYTES, base + ITERATIONS, base + COUNTS
    move, counts = relay.move, relay.counts
    if len(counts) > MAX_COUNTS:
        raise AssertionError(f"{relay.name} declares more kinds of calls than the board has words for")
    send_message(control, ready=True)
    total = turns = 0
    while got := move():
        turns += 1
        total += got
        words[iterations_at] = turns
        at = calls_at
        for count in counts:
            words[at] = count
            at += 1
        words[bytes_at] = total  # last: whoever sees it sees the rest
    relay.close()
    send_message(control, ended=True)
