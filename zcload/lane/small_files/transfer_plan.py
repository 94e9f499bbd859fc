"""The plan of a lane of small files, made before the workers are forked: which files, when, over which connections."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from zcload.lane.network import Network
from zcload.lane.small_files.arrivals import LEAD_NS, ArrivalSchedule, schedule
from zcload.lane.small_files.catalogue import Catalogue, lay_out
from zcload.lane.small_files.fresh_connections import FreshConnector, open_fresh_connector
from zcload.lane.small_files.latency_log import LatencyLog, records
from zcload.model.study import Point

VERIFIED_FILES = 2048  # of a lane, before it is measured
FILL = 0.8  # of the records of a window may be planned for: the arrivals of a Poisson process vary


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """The *catalogue* of files, the *log* of their latencies, and the *connector* of fresh connections, None for persistent ones."""

    point: Point
    catalogue: Catalogue
    log: LatencyLog
    connector: FreshConnector | None
    seed: int  # of random arrivals

    @property
    def closed(self) -> bool:
        """Whether a sender waits for the end of a transfer before it begins the next."""
        return self.point.arrivals == "closed"

    @property
    def verified(self) -> int:
        """How many files of each sender verification sends."""
        return verified_files(self.catalogue, self.point.senders)

    def start(self, sender: int) -> int:
        """Return the file of the catalogue that *sender* begins with."""
        return self.catalogue.start(sender, self.point.senders)

    def schedule(self, sender: int) -> ArrivalSchedule:
        """Return the arrivals of *sender*; there must be some."""
        point = self.point
        assert point.transfers_per_s is not None
        return schedule(point.arrivals, point.transfers_per_s, point.senders, sender, self.seed)


def plan_transfers(
    point: Point, file_bytes: int, congestion: str | None, network: Network | None, seed: int
) -> tuple[TransferPlan, list[socket.socket]]:
    """Return the plan of a lane at *point*, and the listeners of its receivers if it takes fresh connections; raises ConfigError."""
    connector, listeners = None, list[socket.socket]()
    if point.connection == "fresh":
        connector, listeners = open_fresh_connector(point, congestion, network or Network(point.address))
    return TransferPlan(point, catalogue_of(point, file_bytes), LatencyLog(point.senders), connector, seed), listeners


def catalogue_of(point: Point, file_bytes: int) -> Catalogue:
    """Return the small files of *point*, within a file of *file_bytes*."""
    return lay_out(point.sizes, file_bytes)


def expected_digests(point: Point, fd: int, file_bytes: int) -> tuple[str, ...]:
    """Return for each sender the SHA-256 of the SHA-256s of the small files that verification has it send."""
    catalogue, senders = catalogue_of(point, file_bytes), point.senders
    return tuple(catalogue.digest(fd, catalogue.start(s, senders), verified_files(catalogue, senders)) for s in range(senders))


def verified_files(catalogue: Catalogue, senders: int) -> int:
    """Return how many files of each of so many senders verification sends."""
    return max(1, min(len(catalogue), VERIFIED_FILES) // senders)


def longest_window_s(point: Point) -> float:
    """Return how long a window may be (s) so that the log can hold its arrivals; infinite where there is no schedule."""
    if point.transfers_per_s is None:
        return float("inf")
    return FILL * point.senders * records(point.senders) / point.transfers_per_s - LEAD_NS / 1e9
