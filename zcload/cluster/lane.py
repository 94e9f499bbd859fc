"""A lane that runs on several hosts, as the coordinator sees it: who of its workers is where, and the orders that make and end it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zcload.cluster import messages as m
from zcload.cluster.session import Session
from zcload.errors import StudyError
from zcload.lane.placement import CpuSet, Placement
from zcload.lane.sender import shares
from zcload.lane.verification import wrong_digest
from zcload.mechanisms import mechanism_of
from zcload.model.cautions import Caution
from zcload.model.cluster import Link
from zcload.model.study import Contender, Point


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker of a lane: its *host*, the *link* it works for (the number of it), and the *connections* it sends or takes."""

    host: str
    link: int
    connections: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Who of a lane's workers is where. Senders and receivers come in the order of the hosts, as their counters do."""

    hosts: tuple[str, ...]
    links: tuple[Link, ...]
    senders: tuple[Worker, ...]
    receivers: tuple[Worker, ...]

    @classmethod
    def of(cls, point: Point, links: Sequence[Link]) -> Layout:
        """Lay out the workers of *point*, whose senders and receivers are those of all *links* together."""
        each, takers = point.senders // len(links), point.receiver_count // len(links)
        hosts = tuple(dict.fromkeys(host for link in links for host in (link.sender, link.receiver)))
        senders, receivers = [], []
        for host in hosts:
            for number, link in enumerate(links):
                connections = range(number * each, (number + 1) * each)
                if link.sender == host:
                    senders += [Worker(host, number, (connection,)) for connection in connections]
                if link.receiver == host:
                    receivers += [Worker(host, number, tuple(connections[r::takers])) for r in range(takers)]
        return cls(hosts, tuple(links), tuple(senders), tuple(receivers))

    def sends(self, host: str) -> bool:
        """Say whether *host* sends."""
        return any(worker.host == host for worker in self.senders)

    def takes(self, host: str) -> bool:
        """Say whether *host* receives."""
        return any(worker.host == host for worker in self.receivers)

    def share_bytes(self, size: int) -> dict[int, int]:
        """Return how many bytes of a file of *size* each connection brings in verification: a host splits it among its senders."""
        found = {}
        for host in self.hosts:
            own = [worker.connections[0] for worker in self.senders if worker.host == host]
            for number, share in zip(own, shares(size, len(own)) if own else (), strict=True):
                found[number] = share.end - share.start
        return found

    def as_record(self) -> list[dict[str, object]]:
        """Return the links, each with the numbers of its senders and receivers, for the record of a generation."""
        return [
            {
                "sender": link.sender,
                "receiver": link.receiver,
                "senders": [i for i, worker in enumerate(self.senders) if worker.link == number],
                "receivers": [i for i, worker in enumerate(self.receivers) if worker.link == number],
            }
            for number, link in enumerate(self.links)
        ]


def cautions_of(host: str, found: Sequence[Mapping[str, str]]) -> list[Caution]:
    """Return the cautions that an agent has told of, with its *host* in each message."""
    return [Caution(each["code"], f"host {host}: {each['message']}", each["remedy"]) for each in found]


class ClusterLane:
    """A lane on several hosts, number *number* of the session."""

    def __init__(self, session: Session, number: int, variant: Contender, point: Point, layout: Layout) -> None:
        self.session, self.number, self.variant, self.point, self.layout = session, number, variant, point, layout
        self.placement = Placement((), (), CpuSet())
        self.orders = 0  # windows so far
        self.unauthenticated = 0
        self.cautions: list[Caution] = []

    @property
    def name(self) -> str:
        return self.variant.name

    @property
    def burst_bytes(self) -> int:
        return self.variant.burst_bytes

    def _everywhere(self, order: m.Message) -> dict[str, m.Message]:
        return dict.fromkeys(self.layout.hosts, order)

    def set_up(self, size: int, verify: bool, draw: Callable[[], int]) -> None:
        """Connect and fork all parts. With *verify* each receiver first digests what its connections bring of a file of *size* bytes.

        *draw* returns a seed of a host's CPU roles. Raises StudyError, ConfigError, Interrupted.
        """
        layout = self.layout
        arriving = {host: sum(len(w.connections) for w in layout.receivers if w.host == host) for host in layout.hosts}
        listens: dict[str, m.Message] = {host: m.Listen(self.number, self.point, count) for host, count in arriving.items() if count}
        where = self.session.exchange(listens, m.Listening)
        moves = verify and mechanism_of(self.variant).moves_payload
        secret, parts = secrets.token_hex(32), layout.share_bytes(size) if moves else {}
        orders: dict[str, m.Message] = {}
        for host in layout.hosts:
            targets = [
                m.Target(
                    where[link.receiver].address, where[link.receiver].port, [w.connections[0] for w in layout.senders if w.link == number]
                )
                for number, link in enumerate(layout.links)
                if link.sender == host
            ]
            own = [list(w.connections) for w in layout.receivers if w.host == host]
            expected = {number: parts[number] for numbers in own for number in numbers if number in parts}
            orders[host] = m.SetUp(self.number, self.variant, self.point, secret, targets, own, expected, draw())
        up = self.session.exchange(orders, m.LaneUp)
        self._note(up)

    def _note(self, up: Mapping[str, m.LaneUp]) -> None:
        senders, receivers = list[CpuSet](), list[CpuSet]()
        for host in self.layout.hosts:
            count = sum(worker.host == host for worker in self.layout.senders)
            sets = [CpuSet(cpus) for cpus in up[host].cpus]
            senders += sets[:count]
            receivers += sets[count:]
            self.unauthenticated += up[host].refused
            self.cautions += cautions_of(host, up[host].cautions)
        self.placement = Placement(tuple(senders), tuple(receivers), CpuSet())

    def ready(self) -> None:
        """Wait until every worker is ready; raises StudyError, Interrupted."""
        self.session.exchange(self._everywhere(m.Ready(self.number)), m.Done)

    def verify(self, timeout_s: float) -> int:
        """Have the file move once and compare the digests of both ends of each connection; return the bytes received.

        Raises StudyError that names the link, Interrupted.
        """
        found = self.session.exchange(self._everywhere(m.Verify(self.number)), m.Verified, timeout_s)
        sent = {number: digest for each in found.values() for number, digest in each.sent.items()}
        came = {number: digest for each in found.values() for number, digest in each.received.items()}
        for worker in self.layout.senders:
            number = worker.connections[0]
            if came.get(number) != sent[number]:
                where = f"{number} ({self.layout.links[worker.link]})"
                raise StudyError(wrong_digest(self.name, where, came.get(number), sent[number]))
        return sum(each.bytes_received for each in found.values())

    def report(self) -> list[dict[str, object]]:
        """Return each sender's own counters and TCP_INFO, in the order of the layout; the lane must be at rest. Raises StudyError."""
        found = self.session.exchange(self._everywhere(m.Report(self.number)), m.Reported)
        return [report for host in self.layout.hosts for report in found[host].senders]

    def tear_down(self) -> None:
        """End the workers on every host; harmless when called twice, never raises."""
        try:
            self.session.exchange(self._everywhere(m.TearDown(self.number)), m.Done)
        except StudyError:
            pass  # the session is over, and with it every agent and its workers
