"""Set up a mechanism's lane: its connections, the plan of its small files, and the fork of its workers."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from zcload.errors import StudyError, reason_of
from zcload.host.process import ObservedProcess
from zcload.lane.board import Board
from zcload.lane.connections import Connections, connect
from zcload.lane.loads.load import Share
from zcload.lane.mechanism_lane import MechanismLane
from zcload.lane.network import Network
from zcload.lane.placement import Placement
from zcload.lane.receiver import receive_file
from zcload.lane.relay import relay_bytes
from zcload.lane.sender import load_of, send_file, shares
from zcload.lane.small_files.receive_loop import receive_files
from zcload.lane.small_files.transfer_plan import TransferPlan, plan_transfers
from zcload.lane.worker import spawn
from zcload.mechanisms import RELAYS, mechanism_of
from zcload.model.study import Contender, Point, origin_of


def set_up(
    variant: Contender,
    point: Point,
    *,
    fd: int,
    size: int,
    placement: Placement,
    congestion: str | None,
    verify: bool,
    network: Network | None = None,
    seed: int = 0,
) -> MechanismLane:
    """Connect and fork one lane over *network* (None: the coordinator's own); `ready` or, with *verify*, `verify` must follow.

    *seed* is that of random arrivals. Raises StudyError, ConfigError.
    """
    if variant.mechanism not in RELAYS:  # what measures the senders' loop by itself has no relay, whatever its point
        point, placement = replace(point, origin=None), replace(placement, relays=())
    board = Board(point.senders + point.receiver_count + point.relays, *load_of(point).areas(point))
    sending = origin_of(variant, point) if point.relays else variant
    parts = shares(size, point.senders)
    lane: MechanismLane | None = None
    wires: _Wires | None = None
    try:
        wires = _connect(point, sending, size, congestion, network, seed)
        lane = MechanismLane(
            variant,
            sending,
            point,
            placement,
            board=board,
            parts=tuple((part.start, part.end) for part in parts),
            unauthenticated=wires.unauthenticated,
            transfer_plan=wires.plan,
        )
        _fork(lane, wires, parts, fd, size, verify and mechanism_of(variant).moves_payload)
        return lane
    except BaseException as error:
        if lane is not None:
            lane.tear_down()
        if isinstance(error, OSError):
            raise StudyError(f"lane {variant.name}: cannot be set up: {reason_of(error)}{_limit_hint(error)}") from None
        raise
    finally:
        if wires is not None:
            wires.close()


@dataclass(frozen=True, slots=True)
class _Wires:
    """The sockets of a lane, which its workers keep when they are forked: from the senders, and *onward* from its relays if it has any.

    Of small files also their *plan* and the *listeners* for fresh connections.
    """

    connections: Connections
    onward: Connections | None
    plan: TransferPlan | None
    listeners: Sequence[socket.socket]

    @property
    def received(self) -> Connections:
        """The connections that the receivers take from."""
        return self.onward or self.connections

    @property
    def unauthenticated(self) -> int:
        """How many connections without the secret were refused meanwhile."""
        return self.connections.unauthenticated + (self.onward.unauthenticated if self.onward else 0)

    def close(self) -> None:
        """Close this process's ends."""
        for each in (self.connections, self.onward, *self.listeners):
            if each is not None:
                each.close()


def _connect(point: Point, sending: Contender, size: int, congestion: str | None, network: Network | None, seed: int) -> _Wires:
    """Connect the ends of a lane at *point*, prepared as the mechanism *sending* wants them. Raises StudyError, OSError, all closed."""
    with ExitStack() as opened:
        connections = connect(point, point.senders, congestion, network)
        opened.callback(connections.close)
        onward: Connections | None = None
        if point.relays:
            onward = connect(point, point.relays, congestion, network)
            opened.callback(onward.close)
        plan: TransferPlan | None = None
        listeners: list[socket.socket] = []
        if point.transfer == "per-file":
            plan, listeners = plan_transfers(point, size, congestion, network, seed)
            for listener in listeners:
                opened.callback(listener.close)
        wires = _Wires(_prepared(sending, connections), onward, plan, listeners)
        opened.pop_all()
        return wires


def _fork(lane: MechanismLane, wires: _Wires, parts: Sequence[Share], fd: int, size: int, verify: bool) -> None:
    """Fork the receivers, senders and relays of *lane*, each with its ends of *wires*. Raises StudyError, OSError."""
    point, taken_from = lane.point, wires.received
    for r in range(point.receiver_count):
        own = [(c, taken_from.servers[c]) for c in range(r, point.senders, point.receiver_count)]
        expected = {c: parts[c].end - parts[c].start for c, _ in own} if verify else {}
        fork_receiver(lane, own, expected, wires.listeners[r] if wires.listeners else None)
    for sock, part in zip(wires.connections.clients, parts, strict=True):
        fork_sender(lane, sock, part, fd, size)
    if wires.onward is not None:
        for source, out in zip(wires.connections.servers, wires.onward.clients, strict=True):
            _fork_relay(lane, source, out)
    lane.observed_relays = [ObservedProcess(worker.pid) for worker in lane.workers.relays]


def _fork_relay(lane: MechanismLane, source: socket.socket, out: socket.socket) -> None:
    """Fork the next relay of *lane*, from *source* to *out*. Raises StudyError, OSError."""
    number = len(lane.workers.relays)
    index = len(lane.placement.senders) + len(lane.workers.receivers) + number

    def relay(control: socket.socket) -> None:
        relay_bytes(control, board=lane.board, index=index, variant=lane.variant, source=source, sock=out)

    keep = [source.fileno(), out.fileno()]
    lane.workers.relays.append(spawn(lane.variant.name, "relay", number, relay, keep, lane.placement.relays[number]))


def fork_receiver(
    lane: MechanismLane, own: list[tuple[int, socket.socket]], expected: dict[int, int], listener: socket.socket | None = None
) -> None:
    """Fork the next receiver of *lane*, which drains its *own* connections (number and socket).

    It first digests *expected[number]* bytes of each, if that names any. Raises StudyError, OSError.
    """
    variant, point, board, plan = lane.variant, lane.point, lane.board, lane.transfer_plan
    number = len(lane.workers.receivers)
    place: dict[str, Any] = {"board": board, "index": len(lane.placement.senders) + number, "sink": variant.sink}
    place |= {"chunk": point.receive_chunk, "buffer_offset": point.receive_buffer_offset}

    def receive(control: socket.socket) -> None:
        if plan is not None:
            receive_files(control, **place, connections=own, transfer_plan=plan, listener=listener, verify=bool(expected))
        else:
            receive_file(control, **place, connections=own, expected=expected)

    keep = [sock.fileno() for _, sock in own] + ([listener.fileno()] if listener else [])
    worker = spawn(variant.name, "receiver", number, receive, keep, lane.placement.receivers[number])
    lane.workers.receivers.append(worker)
    lane.observed_receivers.append(ObservedProcess(worker.pid))


def fork_sender(lane: MechanismLane, sock: socket.socket, share: Share, fd: int, size: int) -> None:
    """Fork the next sender of *lane*: it sends the *size* bytes of *fd* over *sock*, from its *share* on. Raises StudyError, OSError."""
    number, gate = len(lane.workers.senders), lane.gate.add()

    def send(control: socket.socket) -> None:
        place: dict[str, Any] = {"board": lane.board, "index": number, "variant": lane.sending, "point": lane.point, "gate": gate}
        send_file(control, **place, size=size, share=share, sock=sock, fd=fd, transfer_plan=lane.transfer_plan)

    worker = spawn(lane.variant.name, "sender", number, send, [sock.fileno(), fd, gate], lane.placement.senders[number])
    lane.workers.senders.append(worker)
    lane.observed_senders.append(ObservedProcess(worker.pid))


def _prepared(variant: Contender, connections: Connections) -> Connections:
    """Return *connections* with both ends as the mechanism wants them; raises StudyError, with all of them closed."""
    mechanism, clients, servers = mechanism_of(variant), list(connections.clients), list(connections.servers)
    try:
        for at, (client, server) in enumerate(zip(connections.clients, connections.servers, strict=True)):
            mechanism.prepare(client, server)
            clients[at], servers[at] = mechanism.wrap(client, server)
    except BaseException as error:
        for sock in (*clients, *servers):
            sock.close()
        if isinstance(error, OSError):
            raise StudyError(f"lane {variant.name}: its connections could not be prepared: {reason_of(error)}") from None
        raise
    return replace(connections, clients=tuple(clients), servers=tuple(servers))


def _limit_hint(error: OSError) -> str:
    """Name the limit behind an error that is one."""
    hints = {errno.EMFILE: " (see `ulimit -n`)", errno.ENFILE: " (see fs.file-max)", errno.EAGAIN: " (see `ulimit -u`)"}
    return hints.get(error.errno or 0, "")
