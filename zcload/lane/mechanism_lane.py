"""One lane: its workers, its board and its gate; set up, verified, opened, closed and reaped by the coordinator."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from zcload.errors import StudyError
from zcload.host.cache import FileCache
from zcload.host.process import Observed
from zcload.lane.board import (
    BYTES,
    FORGET,
    GATE,
    ITERATIONS,
    LAST_NS,
    NUMBER,
    OPENED_NS,
    ORDER,
    PARKED,
    REPORT,
    RUN,
    STOP,
    STRANGERS,
    TRANSFERS,
    UNTIL_NS,
    VERIFY,
    Board,
)
from zcload.lane.loads.load import Load
from zcload.lane.placement import Placement
from zcload.lane.sender import load_of
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.lane.worker import Worker, process_state
from zcload.linux import interrupt
from zcload.mechanisms import mechanism_of
from zcload.model.study import Contender, Point
from zcload.sinks import SINKS

_SETUP_S = 20.0
_CAUSE_S = 0.25  # how long a broken connection waits for the one who broke it to be found


@dataclass(slots=True)
class Lane:
    """A variant at a point, running: the senders' and receivers' processes and what they share with the coordinator."""

    variant: Contender
    point: Point
    placement: Placement
    board: Board
    senders: list[Worker] = field(default_factory=list)
    receivers: list[Worker] = field(default_factory=list)
    observed_senders: list[Observed] = field(default_factory=list)
    observed_receivers: list[Observed] = field(default_factory=list)
    gates: list[int] = field(default_factory=list)
    number: int = 0  # of the last order given
    silent: int = 0  # how many orders were to move nothing, so that no receiver woke for them
    unauthenticated: int = 0
    rests: int = 0  # how often the lane came to rest
    loose: int = 0  # how often of these it was not quite at rest: see `patience_s`
    odd: str | None = None  # what was unusual about its end
    cache: FileCache | None = None  # of the file, where windows must see to its state
    transfer_plan: TransferPlan | None = None  # of transfers; None for streams
    receiver_calls: tuple[str, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()  # start and end of what each connection brings when the lane is verified

    @property
    def name(self) -> str:
        return self.variant.name

    @property
    def burst_bytes(self) -> int:
        """Return how many bytes it moves after one wake-up at a rate, if that is more than a chunk of the point's."""
        return self.variant.burst_bytes

    @property
    def sink(self) -> str:
        return self.variant.sink

    @property
    def sender_calls(self) -> tuple[str, ...]:
        return mechanism_of(self.variant).calls + self.load.calls(self.point)

    @property
    def measures(self) -> tuple[str, ...]:
        """Return the names of what the lane's sink measures, most often none."""
        return SINKS[self.sink].measures

    @property
    def load(self) -> type[Load]:
        """Return how the lane's senders offer bytes."""
        return load_of(self.point)

    @property
    def cpu_sets(self) -> list[frozenset[int]]:
        """Return the CPUs of each sender, then of each receiver."""
        return [*self.placement.senders, *self.placement.receivers]

    @property
    def gated(self) -> list[Worker]:
        """Return the workers that wait at the gate, carry out orders and park: the senders."""
        return self.senders

    @property
    def patience_s(self) -> float | None:
        """Return how long the lane may take to be at rest once it moves nothing; None: as long as it takes, since all of it is ours."""
        return None

    @property
    def workers(self) -> list[Worker]:
        return [*self.senders, *self.receivers]

    @property
    def observed(self) -> list[Observed]:
        return [*self.observed_senders, *self.observed_receivers]

    # What the coordinator orders.

    def order(self, order: int) -> int:
        """Wake every gated worker to carry out *order*; return the order's number."""
        self.number += 1
        words = self.board.words
        words[NUMBER] = self.number
        words[ORDER] = order
        self._wake()
        return self.number

    def _wake(self) -> None:
        for gate in self.gates:
            os.eventfd_write(gate, 1)

    def open(self, open_s: float = 0.0) -> int:
        """Open the gate for one window that is to last *open_s*; return the instant (CLOCK_MONOTONIC, ns)."""
        self.number += 1
        words = self.board.words
        words[NUMBER] = self.number
        words[ORDER] = RUN
        opened = time.monotonic_ns()
        words[OPENED_NS], words[UNTIL_NS] = opened, opened + round(open_s * 1e9)
        words[GATE] = self.number
        self._wake()
        return opened

    def forget(self) -> bool:
        """Have the senders let go of the file's pages, where their mechanism holds any; return whether it does."""
        if not mechanism_of(self.variant).holds_pages():
            return False
        self.silent += 1
        self.order(FORGET)
        return True

    def close_gate(self) -> int:
        """Close the gate; return the instant (ns). The senders finish the call they are in, then park."""
        self.board.words[GATE] = 0
        return time.monotonic_ns()

    # What the board says.

    def parked(self) -> bool:
        """Say whether every gated worker has carried out the last order."""
        words, number = self.board.words, self.number
        return all(words[Board.base(i) + PARKED] == number for i in range(len(self.gated)))

    def sent(self) -> int:
        """Return the bytes that all senders have sent since set-up, as of the last time each parked."""
        words = self.board.words
        return sum(words[Board.base(i) + BYTES] for i in range(len(self.senders)))

    def received(self) -> int:
        """Return the bytes that all receivers have taken since set-up."""
        words, first = self.board.words, len(self.senders)
        return sum(words[Board.base(first + i) + BYTES] for i in range(len(self.receivers)))

    def transfers(self) -> tuple[list[int], list[int]]:
        """Return how many small files each sender has sent and each receiver has had since set-up."""
        words, first = self.board.words, len(self.senders)
        numbers = [words[Board.base(i) + TRANSFERS] for i in range(first + len(self.receivers))]
        return numbers[:first], numbers[first:]

    def all_arrived(self) -> bool:
        """Say whether as many bytes, and as many small files, have been received as were sent, as of the senders' last park."""
        if self.sent() != self.received():
            return False
        if self.transfer_plan is None or not mechanism_of(self.variant).moves_payload:
            return True
        sent, received = self.transfers()
        return sum(sent) == sum(received)

    def late_unauthenticated(self) -> int:
        """Return how many connections without the secret came while the lane was at work."""
        if self.transfer_plan is None:
            return 0
        first = len(self.senders)
        return sum(self.board.words[Board.base(first + i) + STRANGERS] for i in range(len(self.receivers)))

    def last_byte_ns(self) -> int:
        """Return when a receiver last took bytes (CLOCK_MONOTONIC)."""
        words, first = self.board.words, len(self.senders)
        return max(words[Board.base(first + i) + LAST_NS] for i in range(len(self.receivers)))

    def tallies(self) -> tuple[list[list[int]], list[list[int]]]:
        """Return [bytes, iterations, system calls by kind...] of each sender and of each receiver."""
        words = self.board.words

        def tally(worker: int, kinds: int) -> list[int]:
            base = Board.base(worker)
            return [words[base + BYTES], words[base + ITERATIONS], *self.board.counts(worker, kinds)]

        first = len(self.senders)
        return (
            [tally(i, len(self.sender_calls)) for i in range(first)],
            [tally(first + i, len(self.receiver_calls)) for i in range(len(self.receivers))],
        )

    def measured(self) -> list[list[int]]:
        """Return what each receiver's sink has measured since set-up, in the order of `measures`."""
        first, kinds = len(self.senders), len(self.measures)
        return [self.board.measures(first + i, kinds) for i in range(len(self.receivers))]

    def areas(self) -> list[list[int]]:
        """Return what each sender's load has written into its area since set-up; nothing where the load has none."""
        return [self.board.area(i).tolist() for i in range(len(self.senders))] if self.load.area_words(self.point) else []

    def failure(self) -> StudyError | None:
        """Return what is wrong with this lane, None while all is well: the cause, not another worker's broken connection.

        Not for use while a window is open. A worker that only saw its connection break gives the others a moment to tell why.
        """
        deadline = time.monotonic() + _CAUSE_S
        while True:
            errors = [error for worker in self.workers if (error := worker.failure()) is not None]
            causes = [error for error in errors if not error.consequence]
            if causes or not errors:
                return causes[0] if causes else None
            if time.monotonic() > deadline:
                return errors[0]
            time.sleep(0.005)

    # Outside windows.

    def ready(self) -> None:
        """Wait until every worker is; raises StudyError."""
        for worker in self.workers:
            self._expect(worker, "ready", "setting up")

    def _expect(self, worker: Worker, key: str, what: str) -> dict[str, Any]:
        """Wait for the message with *key* from *worker*; raises StudyError that names it if it says anything else."""
        message = worker.receive(_SETUP_S, what)
        if key not in message:
            raise StudyError(f"{worker}: said {str(message)[:60]!r} while {what}")
        return message

    def verify(self, expected: Sequence[str], timeout_s: float) -> None:
        """Have the file sent once, split into `parts`, and hold the receivers' digests against *expected*; raises StudyError."""
        for worker in self.gated:
            self._expect(worker, "ready", "setting up")
        self.order(VERIFY)
        heard: dict[int, str] = {}
        for worker in self.receivers:
            digests = self._receive_while_moving(worker, timeout_s).get("digests")
            if not isinstance(digests, dict):
                raise StudyError(f"{worker}: said no digests while verifying")
            heard |= {int(number): digest for number, digest in digests.items()}
        wrong = [number for number, digest in enumerate(expected) if heard.get(number) != digest]
        if wrong:
            raise StudyError(
                f"lane {self.name}: what arrived on connection {wrong[0]} is not what the file holds"
                f" (SHA-256 {heard.get(wrong[0], 'missing')[:16]}..., expected {expected[wrong[0]][:16]}...)"
            )
        for worker in self.receivers:
            self._expect(worker, "ready", "after verification")

    def _receive_while_moving(self, worker: Worker, timeout_s: float) -> dict[str, Any]:
        """Wait for a message from *worker* for as long as bytes keep arriving, watching all workers."""
        seen, deadline = -1, time.monotonic() + timeout_s
        while True:
            try:
                message = worker.poll()
            except StudyError as told:
                raise self.failure() or told from None
            if message is not None:
                return message
            interrupt.check()
            now = self.received()
            if now != seen:
                seen, deadline = now, time.monotonic() + timeout_s
            error = self.failure()
            late = time.monotonic() > deadline
            if (error is not None or late) and (message := worker.poll()) is not None:
                return message  # it came while we looked
            if error is not None:
                raise error
            if late:
                raise StudyError(
                    f"lane {self.name}: verification stands still at {now} bytes for {timeout_s:.0f} s: {describe_state(self)}"
                )
            interrupt.wait(worker.control.fileno(), 0.05)

    def report(self) -> list[dict[str, Any]]:
        """Ask each sender for its own counters and TCP_INFO; the lane must be at rest."""
        self.silent += 1
        self.order(REPORT)
        return [self._expect(worker, "tcp_info", "reporting") for worker in self.senders]

    def facts(self) -> dict[str, Any]:
        """Return what the report of a generation says of the lane beyond its senders' own words."""
        return {}

    def traced(self) -> dict[str, Any] | None:
        """Return what moved the payload of a short transfer, as strace tells; None for mechanisms, whose calls are known."""
        return None

    def tear_down(self) -> None:
        """End every worker and give back all that the lane holds; harmless when called twice, never raises for a worker's sake."""
        if self.gated:
            self.close_gate()
            self.order(STOP)
        deadline = time.monotonic() + 1.0
        for worker in self.workers:
            while worker.alive() and time.monotonic() < deadline:
                time.sleep(0.0005)
            worker.end()
        for process in self.observed:
            process.close()
        for gate in self.gates:
            os.close(gate)
        self.senders, self.receivers, self.observed_senders, self.observed_receivers, self.gates = [], [], [], [], []
        self.board.close()
        if self.transfer_plan:
            self.transfer_plan.log.close()


def describe_state(lane: Lane) -> str:
    """Describe what a lane that does not move is doing, for messages."""
    workers = ", ".join(f"{worker.role} {worker.index} (pid {worker.pid}) {process_state(worker.pid)}" for worker in lane.workers[:6])
    return f"{lane.sent()} bytes sent as of the last park, {lane.received()} received; {workers}"
