"""A lane whose senders are a server: its HTTP receivers wait at the gate, and the senders' ledger is the server's process tree.

The bytes that a server has sent are those that its receivers got: they park only when every answer has arrived whole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zcload.errors import StudyError, reason_of
from zcload.host.cache import FileCache
from zcload.host.process import Observed, ObservedProcess
from zcload.lane.board import REPORT, TRANSFERS, Board, Counters
from zcload.lane.contract import Identity, Reading, RestCounts, observed
from zcload.lane.gate import Gate
from zcload.lane.loads.load import Load
from zcload.lane.network import Network
from zcload.lane.placement import Placement
from zcload.lane.rest import wait_for_rest
from zcload.lane.small_files.latency_log import LatencyLog
from zcload.lane.small_files.transfer_plan import TransferPlan, catalogue_of
from zcload.lane.verification import verify
from zcload.lane.worker import spawn
from zcload.lane.worker_group import CAUSE_S, WorkerGroup
from zcload.linux import interrupt
from zcload.linux.process import die_with_parent
from zcload.model.schedule import burst_bytes
from zcload.model.study import Contender, Point
from zcload.server.http.connect import connect_to
from zcload.server.http.loads.request_load import Names
from zcload.server.http.receiver import fetch_file, load_of, receiver_calls
from zcload.server.ownership import check_work
from zcload.server.root import ServedFile, name_of
from zcload.server.serving import Serving, serve
from zcload.server.trace import Traced, trace_transfer
from zcload.sinks import SINKS

_TRACED_S = 0.01  # the gate of the traced transfer: each connection gets an answer or a few
_TRACED_TRIES = 4  # on a busy machine nothing may come in the first moment; the last try is 64 times as long
_TRACED_FILES = 20  # of scheduled arrivals
PATIENCE_S = 0.1  # a server's timers are seldom closer together than this


@dataclass(slots=True)
class ServerLane:
    """A server at a point, *serving*, and the receivers that ask it for the file."""

    variant: Contender
    point: Point
    placement: Placement
    board: Board
    serving: Serving
    transfer_plan: TransferPlan | None = None
    unauthenticated: int = 0  # always: the connections are made by the receivers
    cache: FileCache | None = None
    odd: str | None = None
    rests: RestCounts = field(default_factory=RestCounts)
    observed_senders: list[Observed] = field(init=False)
    observed_receivers: list[Observed] = field(default_factory=list)
    observed_relays: tuple[Observed, ...] = ()  # none: a server serves its receivers itself
    parts: tuple[tuple[int, int], ...] = field(init=False)
    receiver_calls: tuple[str, ...] = field(init=False)
    workers: WorkerGroup = field(init=False)
    gate: Gate = field(init=False)
    _receiving: Counters = field(init=False)
    _reports: list[dict[str, Any]] = field(default_factory=list)  # what the receivers last reported

    def __post_init__(self) -> None:
        target, point = self.serving.target, self.point
        self.observed_senders, self.odd = [self.serving.tree], self.serving.odd
        self.parts = tuple((part.start, part.end) for part in map(target.part, range(point.senders)))
        self.receiver_calls = receiver_calls(self.variant.sink, point, target.tls is not None)
        self.workers, self.gate = WorkerGroup("receiver"), Gate(self.board)
        self._receiving = Counters(self.board, range(point.receiver_count))

    @property
    def name(self) -> str:
        return self.variant.name

    @property
    def load(self) -> type[Load]:
        return load_of(self.point)

    @property
    def measures(self) -> tuple[str, ...]:
        return SINKS[self.variant.sink].measures

    @property
    def burst_bytes(self) -> int:
        """Return the bytes of one answer: those of a request, or of the whole file from a server that ignores ranges."""
        if self.transfer_plan is not None:
            return sum(self.point.sizes) // len(self.point.sizes)
        target = self.serving.target
        return target.size if target.whole else target.bytes_per_request

    @property
    def identity(self) -> Identity | None:
        target = self.serving.target
        return (target.etag, target.modified) if self.serving.running.server.attach is not None else None

    @property
    def patience_s(self) -> float | None:
        return PATIENCE_S

    # What it has done.

    def sent(self) -> int:
        return self.received()

    def received(self) -> int:
        return self._receiving.bytes()

    def all_arrived(self) -> bool:
        return self.transfer_plan is None or sum(self._sent_files()) == sum(self._receiving.each(TRANSFERS))

    def _sent_files(self) -> list[int]:
        """Return how many small files came over each connection."""
        return [self.board.area(connection)[0] for connection in range(self.point.senders)] if self.transfer_plan else []

    def read(self) -> Reading:
        receivers = self._receiving.tallies(len(self.receiver_calls))
        return Reading(
            senders=[[sum(tally[0] for tally in receivers), sum(tally[1] for tally in receivers)]],
            receivers=receivers,
            last_byte_ns=self._receiving.last_byte_ns(),
            measured=self._receiving.measured(len(self.measures)),
            areas=self.board.areas(),
            transfers=(self._sent_files(), self._receiving.each(TRANSFERS)),
        )

    def late_unauthenticated(self) -> int:
        return 0

    def failure(self) -> StudyError | None:
        """Return what is wrong: the server's end before the receivers' broken connections."""
        running = self.serving.running
        error = running.failure() or self.workers.failure()
        if error is not None and error.consequence:
            deadline = time.monotonic() + CAUSE_S
            while (cause := running.failure()) is None and time.monotonic() < deadline:
                time.sleep(0.005)
            return cause or error
        return error

    # Outside windows.

    def ready(self) -> None:
        self.workers.ready()

    def verify(self, expected: Sequence[str], timeout_s: float) -> None:
        before_ns = self.serving.tree.cpu_ns()
        verify(self, expected, timeout_s)
        check_work(self.name, self.received(), self.serving.tree.cpu_ns() - before_ns)

    def forget(self) -> bool:
        return False

    def report(self) -> list[dict[str, Any]]:
        """Ask the receivers for their counters, which `facts` returns; a server has no report."""
        self.gate.order(REPORT)
        self._reports = [self.workers.expect(worker, "tcp_info", "reporting") for worker in self.workers.receivers]
        return []

    def facts(self) -> dict[str, Any]:
        serving, target = self.serving, self.serving.target
        return {
            "server": {
                "cpu_from": serving.tree.source,
                "cpu_ns": serving.cpu_ns(),
                "processes": len(serving.tree.members()),
                "processes_ended": serving.tree.ended,
                "rests": self.rests.total,
                "rests_loose": self.rests.loose,
                "version": target.version,
                "tls": target.tls_version,
                "keep_alive": target.keep_alive,
                "ranges": target.ranges,
                "request_bytes": self.burst_bytes,
                "file_cut": serving.cut,
                "not_seen": serving.running.blind,
            },
            "receivers": self._reports,
        }

    def traced(self) -> dict[str, Any] | None:
        """Trace the server through one short transfer, the lane at rest before and after it; raises StudyError, Interrupted."""
        if self.serving.running.server.attach is not None:
            reason = "a server that ran before is not traced: it would be slowed for its other clients"
            return Traced(None, (), 0, reason).record()
        found = trace_transfer([process.pid for process in self.serving.tree.members()], self._transfer)
        wait_for_rest(self)
        return found.record()

    def _transfer(self) -> int:
        """Open the gate for a moment, again and longer while nothing comes; return the bytes that came. Raises StudyError, Interrupted."""
        before, open_s = self.received(), max(_TRACED_S, self._turn_s())
        for _ in range(_TRACED_TRIES):
            self.gate.open(open_s)
            interrupt.pause(open_s)
            self.gate.close()
            while not self.gate.parked():
                if (error := self.failure()) is not None:
                    raise error
                interrupt.check()
                interrupt.pause(0.001)
            if self.received() > before:
                break
            open_s *= 4
        return self.received() - before

    def _turn_s(self) -> float:
        """Return how long it takes at a rate until each connection has asked, or some files have been asked for; 0.0 without one."""
        point = self.point
        if point.transfers_per_s is not None:
            return min(_TRACED_FILES / point.transfers_per_s, 1.0)
        if not point.paced or point.rate_bps is None:
            return 0.0
        return 1.2 * burst_bytes(self.burst_bytes, point.chunk) * point.senders * 8 / point.rate_bps

    def tear_down(self) -> None:
        """End the receivers, then the server."""
        self.gate.stop()
        self.workers.end()
        for process in observed(self):
            process.close()
        self.gate.release()
        self.board.close()
        if self.transfer_plan:
            self.transfer_plan.log.close()
        self.odd = self.serving.running.stop() or self.odd


def set_up_server(
    variant: Contender, point: Point, served: ServedFile, placement: Placement, network: Network, *, seed: int = 0
) -> ServerLane:
    """Start the server of *variant*, or attach to it, and connect its receivers; `ready` or `verify` must follow.

    *seed* is that of random arrivals. Raises StudyError, Interrupted.
    """
    lane = None
    try:
        plan = TransferPlan(point, catalogue_of(point, served.size), LatencyLog(point.senders), None, seed) if served.files else None
        board = Board(point.receiver_count, *load_of(point).areas(point))
        lane = ServerLane(variant, point, placement, board, serve(variant, point, served, placement, network, plan), plan)
        _connect(lane, Names(partial(name_of, served.files), lane.serving.paths) if served.files else None, network)
        return lane
    except BaseException as error:
        if lane is not None:
            lane.tear_down()
        if isinstance(error, OSError):
            raise StudyError(f"lane {variant.name}: cannot be set up: {reason_of(error)}") from None
        raise


def _connect(lane: ServerLane, names: Names | None, network: Network) -> None:
    """Make the lane's connections and fork the receivers that share them; raises OSError, StudyError."""
    point, target, receivers, coordinator = lane.point, lane.serving.target, lane.point.receiver_count, os.getpid()
    # A server that closes after each answer is connected to when it is asked; until then it would only wait.
    stays = target.keep_alive and point.connection == "persistent"
    socks = connect_to(*target.address, point.senders, partial(network.sockets, "receiver")) if stays else [None] * point.senders
    try:
        for r in range(receivers):
            own = [(c, socks[c]) for c in range(r, point.senders, receivers)]
            gate = lane.gate.add()

            def fetch(control: Any, r: int = r, own: Any = own, gate: int = gate) -> None:
                network.enter("receiver")  # to make new connections where the server closes one
                die_with_parent(coordinator)  # a change of credentials undoes it: prctl(2)
                place: dict[str, Any] = {"board": lane.board, "index": r, "point": point, "sink": lane.variant.sink, "gate": gate}
                asking: dict[str, Any] = {"target": target, "transfer_plan": lane.transfer_plan, "names": names}
                fetch_file(control, **place, chunk=point.receive_chunk, connections=own, **asking)

            keep = [gate, *network.namespace_fds(), *(sock.fileno() for _, sock in own if sock is not None)]
            lane.workers.receivers.append(spawn(lane.name, "receiver", r, fetch, keep, lane.placement.receivers[r]))
        lane.observed_receivers = [ObservedProcess(worker.pid) for worker in lane.workers.receivers]
    finally:
        for sock in socks:
            if sock is not None:
                sock.close()
