"""A host's part of a lane that runs on several: its senders, its receivers or both, made of the same pieces as a lane on one host."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zcload.cluster.messages import SetUp
from zcload.errors import StudyError, reason_of
from zcload.host.topology import Core
from zcload.lane.board import Board
from zcload.lane.connections import accept, choose_congestion, listen, reach
from zcload.lane.mechanism_lane import MechanismLane
from zcload.lane.network import Network
from zcload.lane.payload import Source
from zcload.lane.placement import place
from zcload.lane.rest import LOOK_AFTER_WORKERS_S, LOOK_S, STALL_S
from zcload.lane.sender import load_of, shares
from zcload.lane.set_up import fork_receiver, fork_sender
from zcload.lane.verification import describe_state, move_once
from zcload.linux import interrupt
from zcload.linux.patience import Patience
from zcload.model.study import Point
from zcload.model.timing import longest_transfer_s

VERIFY_STALL_S = 10.0


@dataclass(slots=True)
class LanePart(MechanismLane):
    """The workers of one lane on this host. At rest its receivers have taken *expected_bytes*, which senders elsewhere have sent."""

    expected_bytes: int = 0
    opened_ns: int = 0
    closed_ns: int = 0

    def all_arrived(self) -> bool:
        return self.received() == self.expected_bytes


def listen_for(point: Point, address: str, connections: int) -> socket.socket:
    """Return a socket that listens at *address* for the *connections* of a lane; raises ConfigError."""
    return listen(point, choose_congestion(point.congestion)[0], min(connections + 16, 4096), Network(address))


def set_up_part(order: SetUp, listener: socket.socket | None, source: Source | None, cores: Sequence[Core]) -> LanePart:
    """Connect and fork this host's part of a lane; raises StudyError, ConfigError.

    *listener* is where its receivers' connections arrive, *source* what its senders send. The file is split among a host's senders.
    """
    numbers = [number for target in order.targets for number in target.numbers]
    point, secret, size = order.point, bytes.fromhex(order.secret), source.size if source else 0
    placement = place(point.placement, len(numbers), len(order.receivers), tuple(cores), random.Random(order.draw))
    board = Board(len(numbers) + len(order.receivers), *load_of(point).areas(point))
    parts = shares(size, len(numbers)) if numbers else ()
    clients: list[socket.socket] = []
    servers: dict[int, socket.socket] = {}
    part: LanePart | None = None
    try:
        congestion, refused = choose_congestion(point.congestion)[0], 0
        for target in order.targets:
            clients += reach(target.address, target.port, target.numbers, secret, point, congestion)
        if listener is not None:
            servers, refused = accept(listener, secret, sum(map(len, order.receivers)))
        part = LanePart(
            order.contender,
            order.contender,
            point,
            placement,
            board=board,
            parts=tuple((part.start, part.end) for part in parts),
            unauthenticated=refused,
        )
        for own in order.receivers:
            expected = {number: order.expected[number] for number in own if number in order.expected}
            fork_receiver(part, [(number, servers[number]) for number in own], expected)
        for client, share in zip(clients, parts, strict=True):
            assert source is not None
            fork_sender(part, client, share, source.fd, size)
        return part
    except BaseException as error:
        if part is not None:
            part.tear_down()
        if isinstance(error, OSError):
            raise StudyError(f"lane {order.contender.name}: cannot be set up: {reason_of(error)}") from None
        raise
    finally:
        for sock in (*clients, *servers.values()):
            sock.close()


def verify_part(part: LanePart, order: SetUp, source: Source | None) -> tuple[dict[int, str], dict[int, str]]:
    """Send this host's shares once and digest what arrives: the SHA-256 of what was sent and of what came, by connection.

    Raises StudyError, Interrupted.
    """
    sent: dict[int, str] = {}
    if source is not None and part.parts:
        numbers = [number for target in order.targets for number in target.numbers]
        sent = dict(zip(numbers, source.share_digests(part.parts, lambda what, fraction: None), strict=True))
    size = source.size if source and part.parts else sum(order.expected.values())
    came = move_once(part, VERIFY_STALL_S, longest_transfer_s(size, across=True))
    wait_until_parked(part)
    return sent, came


def wait_until_parked(part: LanePart, stall_s: float = STALL_S, look: Callable[[], None] = interrupt.check) -> None:
    """Wait until all senders have carried out their order; calling *look* now and then.

    Raises StudyError if one fails, or if nothing is sent for *stall_s*.
    """
    look_at, seen, patience = 0.0, -1, Patience(stall_s)
    while not part.gate.parked():
        interrupt.pause(LOOK_S)
        now = time.monotonic()
        if now < look_at:
            continue
        look_at = now + LOOK_AFTER_WORKERS_S
        look()
        if (error := part.failure()) is not None:
            raise error
        if part.sent() != seen:
            seen = part.sent()
            patience.renew()
        if patience.over():
            raise StudyError(f"lane {part.name}: senders did not park for {stall_s:.0f} s: {describe_state(part)}")
