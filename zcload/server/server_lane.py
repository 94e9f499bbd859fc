"""A lane whose senders are a server: its HTTP receivers hold the gate, and the senders' ledger is the server's whole tree.

What a server has sent is what its receivers have asked for and got: they park only when every answer has come in whole.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.host.process import ObservedProcess
from zcload.lane.board import REPORT, TRANSFERS, Board
from zcload.lane.loads.load import Load
from zcload.lane.mechanism_lane import Lane
from zcload.lane.network import Network, family_of
from zcload.lane.placement import Placement
from zcload.lane.rest import wait_for_rest
from zcload.lane.sender import load_of
from zcload.lane.small_files.latency_log import LatencyLog
from zcload.lane.small_files.transfer_plan import TransferPlan, catalogue_of
from zcload.lane.worker import Worker, spawn
from zcload.linux import interrupt
from zcload.linux.process import die_with_parent
from zcload.model.placeholders import fill
from zcload.model.schedule import burst_bytes
from zcload.model.study import Contender, Point, Server
from zcload.server.document_files import name_of
from zcload.server.http.connect import connect_to
from zcload.server.http.fetcher import Fetcher, call_names
from zcload.server.http.loads.paced import Paced
from zcload.server.http.loads.small_files import Files, Transfers
from zcload.server.http.loads.stream import Stream
from zcload.server.http.probe import probe
from zcload.server.http.receiver import fetch_file
from zcload.server.http.target import Target
from zcload.server.root import DocumentRoot
from zcload.server.running import RunningServer, free_port, values_of
from zcload.server.trace import Traced, trace_transfer

_TRACED_S = 0.01  # the gate of the traced transfer: each connection gets an answer or a few
_MARK = "\0"  # where the name of a file stands in a path: no path has one of its own
_TRACED_FILES = 20  # of scheduled arrivals
PATIENCE_S = 0.1  # a server's timers are seldom closer together than this
_CAUSE_S = 0.25  # how long a broken connection waits for the news that the server has ended


@dataclass(frozen=True, slots=True)
class ServedFile:
    """The file that servers serve: it is called *name* in *root* and *path* on the host, and has *size* bytes.

    *files* is what the names of the point's small files begin with, None for a stream. A server that ignores ranges gets a file of
    *enough* bytes instead, where that is not None and less; *cut* says that this is one.
    """

    root: DocumentRoot
    name: str
    path: str
    size: int
    files: str | None = None
    enough: int | None = None
    cut: bool = False

    def for_whole_answers(self) -> ServedFile:
        """Return the file that a server gets that ignores ranges: a cut one, where there may be one and room for it; raises StudyError."""
        if self.cut or self.files is not None or self.enough is None or self.enough >= self.size:
            return self
        path = self.root.cut(self.name, self.enough)
        return self if path is None else replace(self, path=str(path), size=self.enough, cut=True)


@dataclass(slots=True)
class ServerLane(Lane):
    """A server at a point, running, and the receivers that ask it for the file."""

    server: RunningServer | None = None
    target: Target | None = None
    ready_ns: dict[str, int | None] = field(default_factory=dict)  # what each source of its CPU time said when it was ready
    paths: tuple[str, ...] = ()  # the pieces of a path on the server between which a file's name stands
    cut: bool = False  # whether the server was given only the beginning of the file
    said: list[dict[str, Any]] = field(default_factory=list)  # what the receivers last reported

    @property
    def gated(self) -> list[Worker]:
        """Return the receivers: they ask, so they are what a window starts and stops."""
        return self.receivers

    @property
    def patience_s(self) -> float | None:
        return PATIENCE_S

    @property
    def load(self) -> type[Load]:
        """Return what tells of the receivers' load in a window's record: there are no senders to offer one."""
        return load_of(self.point) if self.point.paced else Load

    def sent(self) -> int:
        """Return what the receivers have got: once they are parked, nothing is under way."""
        return self.received()

    def tallies(self) -> tuple[list[list[int]], list[list[int]]]:
        """Return [bytes, answers] of the server, and [bytes, answers, system calls by kind...] of each receiver."""
        # Named in full: a class with slots is made anew, and the short form would not find it.
        _, receivers = Lane.tallies(self)
        return [[sum(each[0] for each in receivers), sum(each[1] for each in receivers)]], receivers

    def areas(self) -> list[list[int]]:
        return [self.board.area(i).tolist() for i in range(len(self.receivers))] if self.load.area_words(self.point) else []

    def transfers(self) -> tuple[list[int], list[int]]:
        """Return how many small files came over each connection, and to each receiver, since set-up."""
        words = self.board.words
        received = [words[Board.base(i) + TRANSFERS] for i in range(len(self.receivers))]
        return [self.board.area(c)[0] for c in range(self.point.senders)], received

    @property
    def burst_bytes(self) -> int:
        """Return what its connections get at once: a request's worth, the whole file from a server that ignores ranges."""
        assert self.target is not None
        if self.transfer_plan is not None:
            return sum(self.point.sizes) // len(self.point.sizes)
        return self.target.size if self.target.whole else self.target.bytes_per_request

    def failure(self) -> StudyError | None:
        """Return what is wrong: the server's end before the receivers' broken connections."""
        assert self.server is not None
        error = self.server.failure() or Lane.failure(self)
        if isinstance(error, StudyError) and error.consequence:
            deadline = time.monotonic() + _CAUSE_S
            while (cause := self.server.failure()) is None and time.monotonic() < deadline:
                time.sleep(0.005)
            return cause or error
        return error

    def report(self) -> list[dict[str, Any]]:
        """Ask the receivers for their counters, which `facts` tells; a server reports nothing of itself."""
        self.order(REPORT)
        self.said = [self._expect(worker, "tcp_info", "reporting") for worker in self.receivers]
        return []

    def facts(self) -> dict[str, Any]:
        server, target = self.server, self.target
        assert server is not None
        assert server.tree is not None
        assert target is not None
        return {
            "server": {
                "cpu_from": server.tree.source,
                "cpu_ns": _since(self.ready_ns, server.tree.readings_ns()),
                "processes": len(server.tree.members()),
                "processes_ended": server.tree.ended,
                "rests": self.rests,
                "rests_loose": self.loose,
                "version": target.version,
                "tls": target.tls_version,
                "keep_alive": target.keep_alive,
                "ranges": target.ranges,
                "request_bytes": self.burst_bytes,
                "file_cut": self.cut,
                "not_seen": server.blind,
            },
            "receivers": self.said,
        }

    def traced(self) -> dict[str, Any] | None:
        """Trace the server through one short transfer, the lane at rest before and after it; raises StudyError, Interrupted."""
        server = self.server
        assert server is not None
        assert server.tree is not None
        if server.server.attach is not None:
            reason = "a server that ran before is not traced: it would be slowed for its other clients"
            return Traced(None, (), 0, reason).record()

        def transfer() -> int:
            before = self.received()
            open_s = max(_TRACED_S, self._turn_s())
            self.open(open_s)
            interrupt.pause(open_s)
            self.close_gate()
            while not self.parked():
                if (error := self.failure()) is not None:
                    raise error
                interrupt.check()
                interrupt.pause(0.001)
            return self.received() - before

        found = trace_transfer([process.pid for process in server.tree.members()], transfer)
        wait_for_rest(self)
        return found.record()

    def _turn_s(self) -> float:
        """Return how long it takes at a rate until each connection has asked, or some files have been asked for; 0.0 without one."""
        point, rate_bps, target = self.point, self.point.rate_bps, self.target
        if point.transfers_per_s is not None:
            return min(_TRACED_FILES / point.transfers_per_s, 1.0)
        if not point.paced or rate_bps is None or target is None:
            return 0.0
        return 1.2 * burst_bytes(self.burst_bytes, point.chunk) * target.connections * 8 / rate_bps

    def tear_down(self) -> None:
        """End the receivers, then the server; harmless when called twice."""
        Lane.tear_down(self)
        if self.server is not None:
            self.odd = self.server.stop() or self.odd


def set_up_server(
    variant: Contender, point: Point, served: ServedFile, placement: Placement, network: Network, *, seed: int = 0
) -> ServerLane:
    """Start the server of *variant*, or attach to it, and connect its receivers; `ready` or `verify` must follow.

    *seed* is that of random arrivals. Raises StudyError.
    """
    assert variant.server is not None
    areas = (point.senders, 1) if served.files else (point.receiver_count, load_of(point).area_words(point))
    lane = ServerLane(variant, point, placement, Board(point.receiver_count, *areas))
    if served.files:
        lane.transfer_plan = TransferPlan(point, catalogue_of(point, served.size), LatencyLog(point.senders), None, seed)
    try:
        served = _start(lane, variant.server, served, network)
        _connect(lane, served, network)
        return lane
    except OSError as error:
        lane.tear_down()
        raise StudyError(f"lane {variant.name}: cannot be set up: {reason_of(error)}") from None
    except BaseException:
        lane.tear_down()
        raise


def _start(lane: ServerLane, server: Server, served: ServedFile, network: Network) -> ServedFile:
    """Start the server, again if it ignores ranges and there is a shorter file for those; return what it serves."""
    if lane.name in served.root.whole_only:
        served = served.for_whole_answers()
    _start_once(lane, server, served, network)
    assert lane.server is not None
    assert lane.target is not None
    if lane.target.ranges or server.attach is not None:
        return served
    shorter = served.for_whole_answers()
    if shorter is not served:
        served.root.whole_only.add(lane.name)
        lane.odd = lane.server.stop()
        served = shorter
        _start_once(lane, server, served, network)
    lane.cut = served.cut
    return served


def _start_once(lane: ServerLane, server: Server, served: ServedFile, network: Network) -> None:
    address = network.server_address
    values = values_of(address, served.path, served.name)
    port = server.port or free_port(address, partial(network.sockets, "sender"))
    sockets = partial(network.sockets, "receiver")
    lane.server = running = RunningServer(lane.name, server, port)
    if server.attach is not None:
        running.attach()
    else:
        running.launch(served.root, values, frozenset().union(*lane.placement.senders), network)
    known = {**values, "port": str(port), "dir": ""}
    lane.paths = tuple(fill(server.path, {**known, "name": _MARK, "file": str(Path(served.path).parent / _MARK)}).split(_MARK))
    host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    name, size, wanted = served.name, served.size, lane.variant.burst_bytes
    if lane.transfer_plan is not None and served.files is not None:
        name, wanted = name_of(served.files, 0), lane.transfer_plan.catalogue.sizes[0]
        size = wanted

    def ask(at: int) -> Target:
        found = probe(
            address,
            at,
            host=host,
            path=name.join(lane.paths),
            size=size,
            bytes_per_request=wanted,
            connections=lane.point.senders,
            tls=running.trust,
            sockets=sockets,
        )
        return found if lane.transfer_plan is None else replace(found, ranges=False)

    lane.target = running.wait_ready(address, ask, sockets)
    assert running.tree is not None
    lane.observed_senders = [running.tree]
    lane.ready_ns = running.tree.readings_ns()


def _since(before: Mapping[str, int | None], now: Mapping[str, int | None]) -> dict[str, int | None]:
    """Return what each source counted in between: the start itself is left out, which its process began outside the group."""
    return {name: None if at is None or (then := before.get(name)) is None else at - then for name, at in now.items()}


def _connect(lane: ServerLane, served: ServedFile, network: Network) -> None:
    """Make the lane's connections and fork the receivers that share them."""
    point, target = lane.point, lane.target
    assert target is not None
    receivers, coordinator = point.receiver_count, os.getpid()
    lane.parts = tuple((part.start, part.end) for part in map(target.part, range(point.senders)))
    lane.receiver_calls = call_names(lane.sink, target.tls is not None, point.arrivals != "closed")
    # A server that closes after each answer is connected to when it is asked; until then it would only wait.
    sockets, doors = partial(network.sockets, "receiver"), network.doors()
    stays = target.keep_alive and point.connection == "persistent"
    socks = connect_to(*target.address, point.senders, sockets) if stays else [None] * point.senders
    try:
        for r in range(receivers):
            own = [(c, socks[c]) for c in range(r, point.senders, receivers)]
            gate = os.eventfd(0)
            lane.gates.append(gate)

            def fetch(control: Any, r: int = r, own: Any = own, gate: int = gate) -> None:
                network.enter("receiver")  # to make new connections where the server closes one
                die_with_parent(coordinator)  # a change of credentials undoes it: prctl(2)
                fetch_file(
                    control,
                    board=lane.board,
                    index=r,
                    sink=lane.sink,
                    chunk=point.receive_chunk,
                    connections=own,
                    target=target,
                    gate=gate,
                    load=_load_of(lane, served, r),
                )

            keep = [gate, *doors, *(sock.fileno() for _, sock in own if sock is not None)]
            lane.receivers.append(spawn(lane.name, "receiver", r, fetch, keep, lane.placement.receivers[r]))
        lane.observed_receivers = [ObservedProcess(worker.pid) for worker in lane.receivers]
    finally:
        for sock in socks:
            if sock is not None:
                sock.close()


def _load_of(lane: ServerLane, served: ServedFile, receiver: int) -> Callable[[Fetcher], Stream]:
    """Return how the connections of a *receiver* ask at the lane's point."""
    point, transfer_plan, prefix = lane.point, lane.transfer_plan, served.files
    if transfer_plan is not None and prefix is not None:
        files = Files(
            catalogue=transfer_plan.catalogue,
            names=partial(name_of, prefix),
            paths=lane.paths,
            log=transfer_plan.log,
            verified=transfer_plan.verified,
            fresh=point.connection == "fresh",
            schedule=None if transfer_plan.closed else transfer_plan.schedule,
            counted=lane.board.area,
        )
        return partial(Transfers, files=files)
    if point.paced:
        assert point.rate_bps is not None
        return partial(Paced, rate_bps=point.rate_bps, chunk=point.chunk, area=lane.board.area(receiver))
    return Stream


def check_port(server: Server, network: Network) -> None:
    """Raise ConfigError if the fixed port of *server* is somebody else's."""
    if not server.port or server.attach is not None:
        return
    address = network.server_address
    (sock,) = network.sockets("sender", family_of(address), 1)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, server.port))
        except OSError as error:
            what = f"port {server.port} cannot be had on {address}: {reason_of(error)}"
            raise ConfigError(Problem(what, key="variant.port", remedy="port = 0 takes any free one")) from None


def publish(root: DocumentRoot, path: str | None, size: int, files: str | None = None, enough: int | None = None) -> ServedFile:
    """Make the file at *path* reachable for servers in *root*; the names of its small *files* there begin with that.

    Of a file that was made there a server that ignores ranges gets *enough* bytes. Anybody else's is served as it is.
    """
    assert path is not None
    made = Path(path).parent == root.root
    name = Path(path).name if made else root.publish(path)
    return ServedFile(root, name, str(root.root / name), size, files, enough if made else None)
