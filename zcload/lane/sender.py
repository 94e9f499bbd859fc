"""The sender process: wait at the gate, move the file through one mechanism while it is open, park, and report."""

from __future__ import annotations

import os
import socket
from itertools import pairwise

from zcload.lane.board import (
    BYTES,
    COUNTS,
    FORGET,
    ITERATIONS,
    MAX_COUNTS,
    NUMBER,
    ORDER,
    PARKED,
    REPORT,
    RUN,
    STOP,
    TRANSFERS,
    VERIFY,
    Board,
)
from zcload.lane.loads.load import Means, SenderLoad, Share
from zcload.lane.loads.paced import Paced
from zcload.lane.loads.small_files import Transfers
from zcload.lane.loads.stream import Stream
from zcload.lane.small_files.header import way_of
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.lane.worker import send_message
from zcload.linux.memory import PAGE
from zcload.linux.process import own_usage
from zcload.linux.sockets import tcp_info
from zcload.mechanisms import mechanism_of
from zcload.mechanisms.making import make_mechanism
from zcload.model.study import Contender, Point


def shares(size: int, senders: int) -> tuple[Share, ...]:
    """Split *size* bytes among the senders, at page boundaries: sender i starts at i/N of the file."""
    starts = [(size * i // senders) & ~4095 for i in range(senders)] + [size]
    return tuple(Share(start, end) for start, end in pairwise(starts))


def load_of(point: Point) -> type[SenderLoad]:
    """Return how the senders of a lane at *point* offer bytes. Known before anything is forked, as the board has words for it."""
    if point.transfer == "per-file":
        return Transfers
    return Paced if point.paced else Stream


def send_file(
    control: socket.socket,
    *,
    board: Board,
    index: int,
    variant: Contender,
    point: Point,
    size: int,
    share: Share,
    sock: socket.socket,
    fd: int,
    gate: int,
    transfer_plan: TransferPlan | None = None,
) -> None:
    """Carry out the coordinator's orders until it says stop. *index* is the worker's block on the board, *gate* its eventfd."""
    cls = mechanism_of(variant)
    own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)  # an open file of its own: read-ahead is kept per open file, not per file
    mechanism = make_mechanism(cls, sock, own, size, variant.chunk if cls.uses_chunk else size, variant.options)
    words, base = board.words, board.base(index)
    means = Means(mechanism, words, board.area(index), size, share, point, variant.chunk, index, transfer_plan, way_of(variant))
    load = load_of(point)(means)
    if len(mechanism.counts) + len(load.counts) > MAX_COUNTS:
        raise AssertionError(f"{cls.name} declares more kinds of calls than the board has words for")
    send_message(control, ready=True)
    while True:
        os.eventfd_read(gate)
        number, order = words[NUMBER], words[ORDER]
        if order == RUN:
            load.run(number)
            mechanism.drain()
        elif order == VERIFY:
            load.verify()
            mechanism.drain()
        elif order == REPORT:
            send_message(
                control,
                **own_usage(),
                tcp_info=tcp_info(sock),
                bytes=load.sent if cls.moves_payload else 0,
                # Only where *sock* is what they went over: TCP_INFO counts by connection.
                transfers=load.transfers if cls.moves_payload and transfer_plan and transfer_plan.connector is None else None,
                completions=mechanism.completions(),
                buffer_page_offset=None if mechanism.buffer_address is None else mechanism.buffer_address % PAGE,
            )
        elif order == FORGET:
            mechanism.forget()
        elif order == STOP:
            break
        words[base + BYTES] = load.sent if cls.moves_payload else 0
        words[base + ITERATIONS] = load.iterations
        words[base + TRANSFERS] = load.transfers
        for kind, count in enumerate((*mechanism.counts, *load.counts) if cls.calls_are_counted else ()):
            words[base + COUNTS + kind] = count
        words[base + PARKED] = number  # last: whoever sees it sees the rest
    mechanism.close()
    os.close(own)
