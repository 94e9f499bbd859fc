"""A lane whose senders move the file through one of zcload's mechanisms: they wait at the gate, and the receivers take what comes.

Where relays are compared they stand between the two, and the senders' mechanism is the point's origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from zcload.errors import StudyError
from zcload.host.cache import FileCache
from zcload.host.process import Observed
from zcload.lane.board import FORGET, REPORT, STRANGERS, TRANSFERS, Board, Counters
from zcload.lane.call_kinds import receiver_calls, sender_calls
from zcload.lane.contract import Identity, Reading, RestCounts, observed
from zcload.lane.gate import Gate
from zcload.lane.loads.load import Load
from zcload.lane.placement import Placement
from zcload.lane.sender import load_of
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.lane.verification import verify
from zcload.lane.worker_group import WorkerGroup
from zcload.mechanisms import Mechanism, mechanism_of
from zcload.model.study import Contender, Point
from zcload.sinks import SINKS


@dataclass(slots=True)
class MechanismLane:
    """A variant at a point, running: the senders' and receivers' processes and what they share with the coordinator."""

    variant: Contender
    sending: Contender  # what the senders run: the variant, or what sends to its relays
    point: Point
    placement: Placement
    board: Board
    parts: tuple[tuple[int, int], ...]
    unauthenticated: int = 0
    transfer_plan: TransferPlan | None = None
    observed_senders: list[Observed] = field(default_factory=list)
    observed_receivers: list[Observed] = field(default_factory=list)
    observed_relays: list[Observed] = field(default_factory=list)
    cache: FileCache | None = None
    odd: str | None = None
    rests: RestCounts = field(default_factory=RestCounts)
    workers: WorkerGroup = field(init=False)
    gate: Gate = field(init=False)
    _sending: Counters = field(init=False)
    _receiving: Counters = field(init=False)
    _relaying: Counters = field(init=False)

    def __post_init__(self) -> None:
        senders, receivers, relays = len(self.placement.senders), len(self.placement.receivers), len(self.placement.relays)
        self.workers, self.gate = WorkerGroup("sender"), Gate(self.board)
        self._sending = Counters(self.board, range(senders))
        self._receiving = Counters(self.board, range(senders, senders + receivers))
        self._relaying = Counters(self.board, range(senders + receivers, senders + receivers + relays))

    @property
    def name(self) -> str:
        return self.variant.name

    @property
    def _mechanism(self) -> type[Mechanism]:
        return mechanism_of(self.sending)

    @property
    def load(self) -> type[Load]:
        return load_of(self.point)

    @property
    def sender_calls(self) -> tuple[str, ...]:
        return sender_calls(self.sending, self.point)

    @property
    def receiver_calls(self) -> tuple[str, ...]:
        return receiver_calls(self.variant, self.point)

    @property
    def relay_calls(self) -> tuple[str, ...]:
        """The kinds of system calls that relays count; none where there are none."""
        return mechanism_of(self.variant).calls if self.point.relays else ()

    @property
    def measures(self) -> tuple[str, ...]:
        return SINKS[self.variant.sink].measures

    @property
    def burst_bytes(self) -> int:
        return self.sending.burst_bytes

    @property
    def identity(self) -> Identity | None:
        return None

    @property
    def patience_s(self) -> float | None:
        return None

    # What it has done.

    def sent(self) -> int:
        return self._sending.bytes()

    def received(self) -> int:
        return self._receiving.bytes()

    def all_arrived(self) -> bool:
        if self.sent() != self.received() or (self.point.relays and self.sent() != self._relaying.bytes()):
            return False
        if self.transfer_plan is None or not self._mechanism.moves_payload:
            return True
        return sum(self._sending.each(TRANSFERS)) == sum(self._receiving.each(TRANSFERS))

    def read(self) -> Reading:
        return Reading(
            senders=self._sending.tallies(len(self.sender_calls)),
            receivers=self._receiving.tallies(len(self.receiver_calls)),
            last_byte_ns=self._receiving.last_byte_ns(),
            measured=self._receiving.measured(len(self.measures)),
            areas=self.board.areas(),
            transfers=(self._sending.each(TRANSFERS), self._receiving.each(TRANSFERS)),
            relays=self._relaying.tallies(len(self.relay_calls)),
        )

    def late_unauthenticated(self) -> int:
        return sum(self._receiving.each(STRANGERS)) if self.transfer_plan else 0

    def failure(self) -> StudyError | None:
        return self.workers.failure()

    # Outside windows.

    def ready(self) -> None:
        self.workers.ready()

    def verify(self, expected: Sequence[str], timeout_s: float) -> None:
        verify(self, expected, timeout_s)

    def forget(self) -> bool:
        if not self._mechanism.holds_pages():
            return False
        self.gate.order(FORGET, silent=True)
        return True

    def report(self) -> list[dict[str, Any]]:
        self.gate.order(REPORT, silent=True)
        return [self.workers.expect(worker, "tcp_info", "reporting") for worker in self.workers.senders]

    def facts(self) -> dict[str, Any]:
        return {}

    def traced(self) -> dict[str, Any] | None:
        return None

    def tear_down(self) -> None:
        self.gate.stop()
        self.workers.end()
        for process in observed(self):
            process.close()
        self.gate.release()
        self.board.close()
        if self.transfer_plan:
            self.transfer_plan.log.close()
