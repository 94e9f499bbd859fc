"""The contract of HTTP receivers' loads: `Load` of zcload/lane/loads/load.py, where moving bytes means requesting them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zcload.lane.loads.load import Load
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.model.study import Point
from zcload.server.http.connection import Connection
from zcload.server.http.fetcher import Fetcher


@dataclass(frozen=True, slots=True)
class Names:
    """Where a server has the small files of a lane: what file *number* of the catalogue is called, and what stands around it in a path."""

    of: Callable[[int], str]
    paths: Sequence[str]


@dataclass(frozen=True, slots=True)
class RequestMeans:
    """What a receiver asks with. *area* returns an area of the board: one for each receiver, or for small files for each connection."""

    fetcher: Fetcher
    point: Point
    index: int  # of the receiver in its lane, from 0
    area: Callable[[int], memoryview]
    transfer_plan: TransferPlan | None = None  # of small files; None for streams
    names: Names | None = None  # of the same


class RequestLoad(Load):
    """Send requests over the connections of the fetcher, which counts bytes and answers; park when every answer is complete."""

    def __init__(self, means: RequestMeans) -> None:
        self.means, self.fetcher, self.target = means, means.fetcher, means.fetcher.target
        self.counts = []

    def ask(self, connection: Connection) -> int:
        """Required. Ask for what comes next on *connection*; return how many bytes that is. Raises StudyError."""
        raise NotImplementedError
