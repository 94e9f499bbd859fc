"""The HTTP receiver process: keep its connections to a server busy while the gate is open, as its load says.

It parks between windows as a sender does, and takes the payload through one sink as a receiver does.
"""

from __future__ import annotations

import os
import socket

from zcload.lane.board import NUMBER, ORDER, REPORT, RUN, STOP, VERIFY, Board
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.lane.worker import send_message
from zcload.model.study import Point
from zcload.server.http.fetcher import Fetcher, call_names
from zcload.server.http.loads.paced import Paced
from zcload.server.http.loads.request_load import Names, RequestLoad, RequestMeans
from zcload.server.http.loads.small_files import ScheduledSmallFiles, SmallFiles
from zcload.server.http.loads.stream import Stream
from zcload.server.http.target import Target


def load_of(point: Point) -> type[RequestLoad]:
    """Return how the receivers of a server's lane at *point* ask for bytes."""
    if point.transfer == "per-file":
        return SmallFiles if point.arrivals == "closed" else ScheduledSmallFiles
    return Paced if point.paced else Stream


def receiver_calls(sink: str, point: Point, tls: bool) -> tuple[str, ...]:
    """Return the kinds of system calls that a receiver counts, in the order of its words on the board.

    With *tls* none: the library reads record by record, and the turns that the receiver counts are not the calls it makes.
    """
    return () if tls else call_names(sink) + load_of(point).calls(point)


def fetch_file(
    control: socket.socket,
    *,
    board: Board,
    index: int,
    point: Point,
    sink: str,
    chunk: int,
    connections: list[tuple[int, socket.socket | None]],
    target: Target,
    gate: int,
    transfer_plan: TransferPlan | None = None,
    names: Names | None = None,
) -> None:
    """Carry out the coordinator's orders until it says stop. *index* is the worker's block on the board, *gate* its eventfd.

    *connections* are numbers and sockets that are connected to the server; None for a socket is made when it is needed, as those
    are that the server closes. Raises StudyError that names connection, request, and what was got and expected.
    """
    words = board.words
    fetcher = Fetcher(connections, target, sink, chunk, board, index, point.receive_buffer_offset)
    load = None
    try:
        load = load_of(point)(RequestMeans(fetcher, point, index, board.area, transfer_plan, names))
        send_message(control, ready=True)
        while True:
            os.eventfd_read(gate)
            number, order = words[NUMBER], words[ORDER]
            if order == RUN:
                load.run(number)
            elif order == VERIFY:
                send_message(control, digests=load.verify())
                fetcher.forget_counts()
                send_message(control, ready=True)
            elif order == REPORT:
                send_message(control, **fetcher.report())
            elif order == STOP:
                break
            fetcher.park(number, load.counts)
    finally:
        if load is not None:
            load.close()
        fetcher.close()
