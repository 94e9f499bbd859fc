"""Setting up a lane: its connections, its terms where small files are sent, and the fork of its workers."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from zcload.errors import StudyError, reason_of
from zcload.host.process import ObservedProcess
from zcload.lane.board import Board
from zcload.lane.connections import connect
from zcload.lane.mechanism_lane import Lane
from zcload.lane.network import Network
from zcload.lane.placement import Placement
from zcload.lane.receiver import call_names, receive_file
from zcload.lane.sender import load_of, send_file, shares
from zcload.lane.small_files.receive_loop import CALLS as FILE_CALLS
from zcload.lane.small_files.receive_loop import receive_files
from zcload.lane.small_files.transfer_plan import plan_transfers
from zcload.lane.worker import spawn
from zcload.mechanisms import mechanism_of
from zcload.model.study import Contender, Point
from zcload.sinks import SINKS


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
) -> Lane:
    """Connect and fork one lane over *network* (None: the coordinator's own); `ready` or, with *verify*, `verify` must follow.

    *seed* is that of random arrivals. Raises StudyError, ConfigError.
    """
    parts = shares(size, point.senders)
    receivers = point.receiver_count
    lane = Lane(variant, point, placement, Board(point.senders + receivers, point.senders, load_of(point).area_words(point)))
    connections = connect(point, point.senders, congestion, network)
    lane.unauthenticated = connections.unauthenticated
    listeners: list[socket.socket] = []
    try:
        if point.transfer == "per-file":
            lane.transfer_plan, listeners = plan_transfers(point, size, congestion, network, seed)
        for client, server in zip(connections.clients, connections.servers, strict=True):
            mechanism_of(variant).prepare(client, server)
    except OSError as error:
        connections.close()
        raise StudyError(f"lane {variant.name}: its connections could not be prepared: {reason_of(error)}") from None
    verify = verify and mechanism_of(variant).moves_payload
    lane.parts = tuple((part.start, part.end) for part in parts)
    lane.receiver_calls = receiver_calls(lane.sink, point)
    try:
        for r in range(receivers):
            own = [(c, connections.servers[c]) for c in range(r, point.senders, receivers)]
            listener = listeners[r] if listeners else None

            def receive(control: Any, r: int = r, own: Any = own, listener: Any = listener) -> None:
                place: dict[str, Any] = {"board": lane.board, "index": point.senders + r, "sink": lane.sink, "chunk": point.receive_chunk}
                if lane.transfer_plan is not None:
                    receive_files(control, **place, connections=own, transfer_plan=lane.transfer_plan, listener=listener, verify=verify)
                else:
                    expected = {c: parts[c].end - parts[c].start for c, _ in own} if verify else {}
                    receive_file(control, **place, connections=own, expected=expected)

            keep = [sock.fileno() for _, sock in own] + ([listener.fileno()] if listener else [])
            lane.receivers.append(spawn(variant.name, "receiver", r, receive, keep, placement.receivers[r]))
        for s in range(point.senders):
            gate = os.eventfd(0)
            lane.gates.append(gate)
            sock = connections.clients[s]

            def send(control: Any, s: int = s, sock: Any = sock, gate: int = gate) -> None:
                send_file(
                    control,
                    board=lane.board,
                    index=s,
                    variant=variant,
                    point=point,
                    size=size,
                    share=parts[s],
                    sock=sock,
                    fd=fd,
                    gate=gate,
                    transfer_plan=lane.transfer_plan,
                )

            lane.senders.append(spawn(variant.name, "sender", s, send, [sock.fileno(), fd, gate], placement.senders[s]))
        lane.observed_senders = [ObservedProcess(worker.pid) for worker in lane.senders]
        lane.observed_receivers = [ObservedProcess(worker.pid) for worker in lane.receivers]
        return lane
    except OSError as error:
        lane.tear_down()
        raise StudyError(f"lane {variant.name}: cannot be set up: {reason_of(error)}{_limit_hint(error)}") from None
    except BaseException:
        lane.tear_down()
        raise
    finally:
        connections.close()
        for listener in listeners:
            listener.close()


def sender_calls(variant: Contender, point: Point) -> tuple[str, ...]:
    """Return the kinds of system calls that a sender counts, in the order of its words on the board: the mechanism's, then the load's."""
    return mechanism_of(variant).calls + load_of(point).calls(point)


def receiver_calls(sink: str, point: Point) -> tuple[str, ...]:
    """Return those of a receiver: the sink's, then what its loop makes beside."""
    if point.transfer == "per-file":
        return SINKS[sink].calls + FILE_CALLS
    return call_names(sink, -(-point.senders // point.receiver_count))


def _limit_hint(error: OSError) -> str:
    """Name the limit behind an error that is one."""
    hints = {errno.EMFILE: " (see `ulimit -n`)", errno.ENFILE: " (see fs.file-max)", errno.EAGAIN: " (see `ulimit -u`)"}
    return hints.get(error.errno or 0, "")
