"""The interface of a lane for the runner, the rule of rest and the sampler: `Lane`, and the `Reading` taken of it at rest.

MechanismLane and ServerLane implement it, both with `Gate`, `WorkerGroup` and `Counters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from zcload.errors import StudyError
from zcload.host.cache import FileCache
from zcload.host.process import Observed
from zcload.lane.gate import Gate
from zcload.lane.loads.load import Load
from zcload.lane.placement import Placement
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.lane.worker_group import WorkerGroup
from zcload.model.study import Contender

Identity = tuple[str | None, str | None]  # ETag and Last-Modified of a served file


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of a lane at one rest, all since it was set up.

    *senders*, *receivers* and *relays* hold [bytes, iterations, system calls by kind...] of each process whose CPU time is read, in the
    order of `observed`; *transfers* how many small files each sender has sent and each receiver has taken.
    """

    senders: list[list[int]]
    receivers: list[list[int]]
    last_byte_ns: int  # when a receiver last took bytes (CLOCK_MONOTONIC)
    measured: list[list[int]]  # what each receiver's sink measures, in the order of `Lane.measures`
    areas: list[list[int]]  # what the load has written into each of its areas
    transfers: tuple[list[int], list[int]]
    relays: list[list[int]] = field(default_factory=list)


@dataclass(slots=True)
class RestCounts:
    """How often a lane came to rest, and how often of these it was *loose*: see `Lane.patience_s`."""

    total: int = 0
    loose: int = 0


class PlacedLane(Protocol):
    """A variant that runs at a point, wherever its workers are: on this host, or on several."""

    @property
    def name(self) -> str:
        """The variant's name."""

    @property
    def variant(self) -> Contender:
        """What runs."""

    @property
    def placement(self) -> Placement:
        """The CPUs of its workers, each by the numbers of its host."""

    @property
    def burst_bytes(self) -> int:
        """How many bytes it moves after one wake-up at a rate."""

    def tear_down(self) -> None:
        """End every process and release all resources; harmless when called twice, never raises because of a worker."""


class Lane(PlacedLane, Protocol):
    """A variant that runs at a point, with all its workers on this host.

    `ready` or `verify` comes first. Then windows, any number: `gate.open`, `gate.close`, the wait for rest, `read`; a window's bytes are
    the difference of two readings. Between windows the lane may `report`. `tear_down` is allowed at any time, and again.
    """

    cache: FileCache | None  # of the file, where windows must see to its state; set by the runner
    unauthenticated: int  # connections without the secret that came while the lane was set up
    odd: str | None  # what was unusual about its end

    # What it is.

    @property
    def identity(self) -> Identity | None:
        """How a server that ran before identifies its file (its headers); None where zcload watches the file itself."""

    @property
    def load(self) -> type[Load]:
        """How bytes are offered or asked for while the gate is open."""

    @property
    def transfer_plan(self) -> TransferPlan | None:
        """The plan of its small files; None for a stream."""

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """Start and end of the bytes of the file that each connection brings when the lane is verified."""

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of what its sink measures, most often none."""

    @property
    def patience_s(self) -> float | None:
        """How long it may take to be at rest once nothing moves; None: as long as it takes, since all its processes are zcload's."""

    # Its pieces.

    @property
    def gate(self) -> Gate:
        """What starts and stops the gated workers, and knows which order they have carried out."""

    @property
    def workers(self) -> WorkerGroup:
        """Its own processes."""

    @property
    def rests(self) -> RestCounts:
        """How often it came to rest; counted by the rule of rest."""

    @property
    def observed_senders(self) -> Sequence[Observed]:
        """What the senders' CPU time is read from."""

    @property
    def observed_receivers(self) -> Sequence[Observed]:
        """What the receivers' CPU time is read from."""

    @property
    def observed_relays(self) -> Sequence[Observed]:
        """What the relays' CPU time is read from; most lanes have none."""

    # What it has done.

    def sent(self) -> int:
        """Return the payload bytes sent since set-up, as of the last time all gated workers parked."""

    def received(self) -> int:
        """Return the payload bytes received since set-up."""

    def all_arrived(self) -> bool:
        """Return whether all bytes and small files that were sent have been passed on and received, as of the last park."""

    def read(self) -> Reading:
        """Return its counters; they belong together only while the lane is at rest."""

    def late_unauthenticated(self) -> int:
        """Return how many connections without the secret came since set-up."""

    def failure(self) -> StudyError | None:
        """Return what is wrong and which worker or server caused it; None while all is well. Not for use in an open window."""

    # Outside windows.

    def ready(self) -> None:
        """Wait until every worker is ready; raises StudyError that names the one that is not, Interrupted."""

    def verify(self, expected: Sequence[str], timeout_s: float) -> None:
        """Have the file move once, compare the SHA-256 of each connection with *expected*; raises StudyError, Interrupted.

        *timeout_s* is how long no byte may arrive.
        """

    def forget(self) -> bool:
        """Have the senders drop the file's pages, where their mechanism holds any; return whether it does."""

    def report(self) -> list[dict[str, Any]]:
        """Return each sender's own counters and TCP_INFO; the lane must be at rest. Raises StudyError, Interrupted."""

    def facts(self) -> dict[str, Any]:
        """Return what a generation's record says of the lane beyond `report`, which must come first."""

    def traced(self) -> dict[str, Any] | None:
        """Return which system calls moved a short transfer; None where they are known. Raises StudyError, Interrupted."""


def observed(lane: Lane) -> list[Observed]:
    """Return all processes of *lane* whose CPU time is read: senders, then receivers, then relays."""
    return [*lane.observed_senders, *lane.observed_receivers, *lane.observed_relays]
