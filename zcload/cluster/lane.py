"""A lane that runs on several hosts, as the coordinator sees it: who of its workers is where, and the orders that make and end it."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from zcload.cluster import messages as m
from zcload.cluster.session import Session
from zcload.errors import Interrupted, StudyError
from zcload.lane.placement import CpuSet, Placement
from zcload.lane.sender import shares
from zcload.lane.verification import wrong_digest
from zcload.linux import interrupt
from zcload.mechanisms import mechanism_of
from zcload.model.cautions import Caution
from zcload.model.cluster import Link
from zcload.model.study import Contender, Point
from zcload.model.timing import longest_transfer_s


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker of a lane: its *host*, the *link* it works for (the number of it), and the *connections* it sends or takes."""

    host: str
    link: int
    connections: tuple[int, ...]


@dataclass(frozen=True)
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
        senders, receivers = defaultdict[str, list[Worker]](list), defaultdict[str, list[Worker]](list)
        for number, link in enumerate(links):
            connections = range(number * each, (number + 1) * each)
            senders[link.sender] += [Worker(link.sender, number, (connection,)) for connection in connections]
            receivers[link.receiver] += [Worker(link.receiver, number, tuple(connections[r::takers])) for r in range(takers)]
        in_order = (tuple(worker for host in hosts for worker in workers[host]) for workers in (senders, receivers))
        return cls(hosts, tuple(links), *in_order)

    @cached_property
    def senders_of(self) -> Mapping[str, Sequence[Worker]]:
        """The senders of each host; none of one that only receives."""
        return _by_host(self.hosts, self.senders)

    @cached_property
    def receivers_of(self) -> Mapping[str, Sequence[Worker]]:
        """The receivers of each host; none of one that only sends."""
        return _by_host(self.hosts, self.receivers)

    def share_bytes(self, size: int) -> dict[int, int]:
        """Return how many bytes of a file of *size* each connection brings in verification: a host splits it among its senders."""
        found = {}
        for workers in self.senders_of.values():
            for worker, share in zip(workers, shares(size, len(workers)) if workers else (), strict=True):
                found[worker.connections[0]] = share.end - share.start
        return found

    def arriving(self, sent: Mapping[str, Sequence[int]]) -> Mapping[str, int]:
        """Return how many bytes each host is to receive when the senders of each host have *sent* so many."""
        total = Counter[str]()
        for host, workers in self.senders_of.items():
            for worker, count in zip(workers, sent.get(host, ()), strict=True):
                total[self.links[worker.link].receiver] += count
        return total

    def as_record(self) -> list[dict[str, object]]:
        """Return the links, each with the numbers of its senders and receivers, for the record of a generation."""
        numbers = [(defaultdict[int, list[int]](list), workers) for workers in (self.senders, self.receivers)]
        for found, workers in numbers:
            for number, worker in enumerate(workers):
                found[worker.link].append(number)
        (senders, _), (receivers, _) = numbers
        return [
            {"sender": link.sender, "receiver": link.receiver, "senders": senders[number], "receivers": receivers[number]}
            for number, link in enumerate(self.links)
        ]


def _by_host(hosts: Sequence[str], workers: Sequence[Worker]) -> dict[str, list[Worker]]:
    found: dict[str, list[Worker]] = {host: [] for host in hosts}
    for worker in workers:
        found[worker.host].append(worker)
    return found


def cautions_of(host: str, found: Sequence[Mapping[str, str]]) -> list[Caution]:
    """Return the cautions that an agent has told of, with its *host* in each message."""
    return [Caution(each["code"], f"host {host}: {each['message']}", each["remedy"]) for each in found]


class ClusterLane:
    """A lane on several hosts, number *number* of the session."""

    def __init__(self, session: Session, number: int, variant: Contender, point: Point, layout: Layout) -> None:
        self.session, self.number, self.variant, self.point, self.layout = session, number, variant, point, layout
        self.placement = Placement((), (), CpuSet())
        self.orders = 0  # windows so far
        self.pass_s = 0.0  # how long its senders may send after a window's gate has closed: to the end of the file, if they send it whole
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

        *draw* returns a seed of a host's CPU roles. Raises StudyError, ConfigError, Interrupted, TimeLimitExceeded.
        """
        interrupt.check()
        layout = self.layout
        self.pass_s = longest_transfer_s(size, across=True) if mechanism_of(self.variant).whole_pass else 0.0
        arriving = {host: sum(len(worker.connections) for worker in own) for host, own in layout.receivers_of.items()}
        listens: dict[str, m.Message] = {host: m.Listen(self.number, self.point, count) for host, count in arriving.items() if count}
        where = self.session.exchange(listens, m.Listening)
        moves = verify and mechanism_of(self.variant).moves_payload
        secret, parts = secrets.token_hex(32), layout.share_bytes(size) if moves else {}
        orders: dict[str, m.Message] = {}
        for host in layout.hosts:
            numbers = defaultdict[str, list[int]](list)
            for worker in layout.senders_of[host]:
                numbers[layout.links[worker.link].receiver].append(worker.connections[0])
            targets = [m.Target(where[to].address, where[to].port, own) for to, own in numbers.items()]
            taken = [list(worker.connections) for worker in layout.receivers_of[host]]
            expected = {number: parts[number] for connections in taken for number in connections if number in parts}
            orders[host] = m.SetUp(self.number, self.variant, self.point, secret, targets, taken, expected, draw())
        up = self.session.exchange(orders, m.LaneUp)
        self._note(up)

    def _note(self, up: Mapping[str, m.LaneUp]) -> None:
        senders, receivers = list[CpuSet](), list[CpuSet]()
        for host in self.layout.hosts:
            count = len(self.layout.senders_of[host])
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
        """End the workers on every host, whatever time is left; harmless when called twice, never raises."""
        try:
            self.session.exchange(self._everywhere(m.TearDown(self.number)), m.Done)
        except (StudyError, Interrupted):
            pass  # the session is over, and with it every agent and its workers; the next check raises again
