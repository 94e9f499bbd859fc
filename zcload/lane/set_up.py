"""Set up a mechanism's lane: its connections, the plan of its small files, and the fork of its workers."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from typing import Any

from zcload.errors import StudyError, reason_of
from zcload.host.process import ObservedProcess
from zcload.lane.board import Board
from zcload.lane.connections import Connections, connect
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
        point = replace(point, origin=None)
    receivers, parts = point.receiver_count, shares(size, point.senders)
    board = Board(point.senders + receivers + point.relays, *load_of(point).areas(point))
    sending = origin_of(variant, point) if point.relays else variant
    connections = connect(point, point.senders, congestion, network)
    onward = connections  # what the receivers take from
    plan: TransferPlan | None = None
    listeners: list[socket.socket] = []
    lane: MechanismLane | None = None
    try:
        if point.relays:
            onward = connect(point, point.relays, congestion, network)
        if point.transfer == "per-file":
            plan, listeners = plan_transfers(point, size, congestion, network, seed)
        connections = _prepared(sending, connections)
        lane = MechanismLane(
            variant,
            sending,
            point,
            placement,
            board=board,
            parts=tuple((part.start, part.end) for part in parts),
            unauthenticated=connections.unauthenticated + (onward.unauthenticated if point.relays else 0),
            transfer_plan=plan,
        )
        verify = verify and mechanism_of(variant).moves_payload
        for r in range(receivers):
            own = [(c, onward.servers[c]) for c in range(r, point.senders, receivers)]
            listener = listeners[r] if listeners else None

            def receive(control: Any, r: int = r, own: Any = own, listener: Any = listener) -> None:
                place: dict[str, Any] = {"board": board, "index": point.senders + r, "sink": variant.sink}
                place |= {"chunk": point.receive_chunk, "buffer_offset": point.receive_buffer_offset}
                if plan is not None:
                    receive_files(control, **place, connections=own, transfer_plan=plan, listener=listener, verify=verify)
                else:
                    expected = {c: parts[c].end - parts[c].start for c, _ in own} if verify else {}
                    receive_file(control, **place, connections=own, expected=expected)

            keep = [sock.fileno() for _, sock in own] + ([listener.fileno()] if listener else [])
            lane.workers.receivers.append(spawn(variant.name, "receiver", r, receive, keep, placement.receivers[r]))
        for s in range(point.senders):
            gate, sock = lane.gate.add(), connections.clients[s]

            def send(control: Any, s: int = s, sock: Any = sock, gate: int = gate) -> None:
                place: dict[str, Any] = {"board": board, "index": s, "variant": sending, "point": point, "gate": gate}
                send_file(control, **place, size=size, share=parts[s], sock=sock, fd=fd, transfer_plan=plan)

            lane.workers.senders.append(spawn(variant.name, "sender", s, send, [sock.fileno(), fd, gate], placement.senders[s]))
        for c in range(point.relays):
            source, out = connections.servers[c], onward.clients[c]

            def relay(control: Any, c: int = c, source: socket.socket = source, out: socket.socket = out) -> None:
                relay_bytes(control, board=board, index=point.senders + receivers + c, variant=variant, source=source, sock=out)

            keep = [source.fileno(), out.fileno()]
            lane.workers.relays.append(spawn(variant.name, "relay", c, relay, keep, placement.relays[c]))
        lane.observed_senders = [ObservedProcess(worker.pid) for worker in lane.workers.senders]
        lane.observed_receivers = [ObservedProcess(worker.pid) for worker in lane.workers.receivers]
        lane.observed_relays = [ObservedProcess(worker.pid) for worker in lane.workers.relays]
        return lane
    except BaseException as error:
        if lane is not None:
            lane.tear_down()
        if isinstance(error, OSError):
            raise StudyError(f"lane {variant.name}: cannot be set up: {reason_of(error)}{_limit_hint(error)}") from None
        raise
    finally:
        connections.close()
        onward.close()
        for listener in listeners:
            listener.close()


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
