"""The body of an HTTP receiver: at the coordinator's orders, keep connections to a server busy, as its load says.

It parks between windows as a sender does, and takes the payload through one sink as a receiver does.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from zcload.lane.board import NUMBER, ORDER, REPORT, RUN, STOP, VERIFY, Board
from zcload.lane.worker import send_message
from zcload.server.http.fetcher import Fetcher
from zcload.server.http.loads.stream import Stream
from zcload.server.http.target import Target


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
    load: Callable[[Fetcher], Stream] = Stream,
) -> None:
    """Carry out the coordinator's orders until it says stop. *index* is the worker's block on the board, *gate* its eventfd.

    *load* makes what decides when which connection asks for what;
    *connections* are numbers and sockets that are connected to the server; None for a socket is made when it is needed, as those
    are that the server closes. Raises StudyError that names connection, request, and what was got and expected.
    """
    words = board.words
    fetcher = Fetcher(connections, target, sink, chunk, board, index)
    asking = None
    try:
        asking = load(fetcher)
        send_message(control, ready=True)
        while True:
            os.eventfd_read(gate)
            number, order = words[NUMBER], words[ORDER]
            if order == RUN:
                asking.run(number)
            elif order == VERIFY:
                send_message(control, digests=asking.verify())
                fetcher.forget_counts()
                send_message(control, ready=True)
            elif order == REPORT:
                send_message(control, **fetcher.report())
            elif order == STOP:
                break
            fetcher.park(number)
    finally:
        if asking is not None:
            asking.close()
        fetcher.close()
