"""Measure windows across hosts: all gates are opened and closed by message, and both edges are at rest on every host.

1. Arm: every agent reads its counters, at rest.
2. Open: to receivers first. No answer: agents block in recv(2) until
3. Close: every agent closes its gates, waits until its senders have parked, and says what each has sent.
4. Settle: every host that receives waits until it has received just that and is at rest by the strict rule; then those that only send.

No clock of one host is compared with another's: times of a window are since its own host opened it. Only the skew of the edges needs the
clocks' offsets, which pings bound by half a round trip.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from zcload.cluster import messages as m
from zcload.cluster.lane import ClusterLane
from zcload.cluster.session import ANSWER_S, Session
from zcload.host.machine import MachineReading, busy_s, capacity_s, irq_s, steal_s
from zcload.lane.sender import load_of
from zcload.linux import interrupt
from zcload.model.records.measurements import WindowReading
from zcload.sinks import SINKS

ROUND_TRIPS = 50  # that a window lasts at least: its edges take two, and what is in flight when it closes one

EDGE_SKEWS = 20  # the same, of how far the openings lie apart


class Bench:
    """The hosts of a session as what windows are measured on. *machines* says which machine each host is on; *here* is ours."""

    def __init__(self, session: Session, machines: Mapping[str, str], here: str) -> None:
        self.session, self.hosts = session, tuple(machines)
        self._machines, self._here = machines, here
        # Hosts that share a kernel, such as namespaces of one machine, have one machine ledger together: that of the first.
        self._first = {machine: host for host, machine in reversed(list(machines.items()))}

    @property
    def first_hosts(self) -> Iterable[str]:
        """The hosts whose counters stand for their machines: one of each."""
        return self._first.values()

    @property
    def least_window_s(self) -> float:
        """The least length of a window, seconds: its edges are messages, and what is in flight when it closes is a round trip's."""
        return ROUND_TRIPS * max(member.clock.round_trip_ns for member in self.session.members.values()) / 1e9

    def least_for_skew_s(self, records: Iterable[WindowReading]) -> float:
        """Return how long the windows of a lane must be for the openings on its hosts to count as one, seconds, by its *records*."""
        return EDGE_SKEWS * min(record["edge_skew_ns"] for record in records) / 1e9

    def read(self) -> MachineReading:
        """Read the machines of all hosts, as one. Raises StudyError, Interrupted."""
        return self._sum({host: counters.machine for host, counters in self._counters().items()})

    def _counters(self) -> dict[str, m.HostCounters]:
        orders: dict[str, m.Message] = dict.fromkeys(self.hosts, m.ReadMachine())
        return {host: answer.host for host, answer in self.session.exchange(orders, m.MachineRead).items()}

    def _sum(self, readings: Mapping[str, list[int]]) -> MachineReading:
        """Return the readings of distinct machines as those of one: its CPUs are all CPUs, its time the mean of theirs by CPUs."""
        each = [readings[host] for host in self._first.values() if host in readings]
        cpus = sum(reading[4] for reading in each)
        t_ns = sum(reading[0] * reading[4] for reading in each) // cpus
        idle, steal, irq = (sum(reading[i] for reading in each) for i in (1, 2, 3))
        return MachineReading(t_ns, idle, steal, irq, cpus)

    # Windows.

    def measure(self, lanes: Sequence[ClusterLane], open_s: float) -> list[WindowReading]:
        """Open the gates of all *lanes* for one common interval and return their records.

        Raises StudyError, Interrupted, and before the window TimeLimitExceeded.
        """
        interrupt.check()
        numbers = [lane.number for lane in lanes]
        takers, senders = _roles(lanes)
        hosts = (*takers, *senders)
        cpu_ns = time.thread_time_ns()
        before = self._ask(hosts, m.Arm(numbers), m.Settled)
        opened = time.monotonic_ns()
        self._tell(hosts, m.Open(numbers, open_s))
        interrupt.pause(open_s)
        closing = time.monotonic_ns()
        parked = self._closed(lanes, takers, senders)
        after = self._rest(lanes, takers, senders, parked)
        rest = time.monotonic_ns()
        cpu_ns = time.thread_time_ns() - cpu_ns
        machine = None
        if len(lanes) == 1:
            machine = [self._sum({host: at[host].host.machine for host in hosts}).as_list() for at in (before, after)]
        records = []
        for lane in lanes:
            lane.orders += 1
            window = _Window(self, lane, before, after, parked)
            records.append(
                {
                    "lane": lane.name,
                    "order": lane.orders,
                    "open_ns": opened,
                    "close_ns": closing,
                    "last_byte_ns": opened + max(window.spans().values(), default=0),
                    "rest_ns": rest,
                    "senders": window.processes("senders"),
                    "receivers": window.processes("receivers"),
                    "machine": machine,
                    "observer_cpu_ns": (window.agents_ns() + self._at_home(cpu_ns)) // len(lanes),
                    **window.measures(),
                    **load_of(lane.point).record(window.areas(before), window.areas(after)),
                    "edge_skew_ns": window.skew_ns(),
                    "hosts": window.hosts(),
                }
            )
        return cast(list[WindowReading], records)

    def _at_home(self, cpu_ns: int) -> int:
        """Return what of the coordinator's CPU time is used on a measured machine: all or nothing."""
        return cpu_ns if self._here in self._first else 0

    def _closed(self, lanes: Sequence[ClusterLane], takers: Sequence[str], senders: Sequence[str]) -> dict[str, m.Parked]:
        """Close the gates of *lanes* and wait until their senders have parked."""
        orders = dict.fromkeys((*senders, *takers), m.Close([lane.number for lane in lanes]))
        return self.session.exchange(orders, m.Parked, ANSWER_S + max(lane.pass_s for lane in lanes))

    def _rest(
        self, lanes: Sequence[ClusterLane], takers: Sequence[str], senders: Sequence[str], parked: Mapping[str, m.Parked]
    ) -> dict[str, m.Settled]:
        """Wait until all is at rest: hosts that receive first, then those that only send, who have their last acknowledgements by then."""
        after: dict[str, m.Settled] = {}
        arriving = {lane.number: lane.layout.arriving({h: parked[h].sent[lane.number] for h in lane.layout.hosts}) for lane in lanes}
        for group in (takers, senders):
            orders: dict[str, m.Message] = {
                host: m.Settle({lane.number: arriving[lane.number].get(host, 0) for lane in lanes if host in lane.layout.senders_of})
                for host in group
            }
            after |= self.session.exchange(orders, m.Settled)
        return after

    def settle(self, lanes: Sequence[ClusterLane]) -> None:
        """Wait until *lanes*, whose gates are closed, are at rest on all hosts; raises StudyError, Interrupted."""
        takers, senders = _roles(lanes)
        self._rest(lanes, takers, senders, self._closed(lanes, takers, senders))

    def _tell(self, hosts: Iterable[str], order: m.Message) -> None:
        self.session.tell(dict.fromkeys(hosts, order))

    def _ask(self, hosts: Iterable[str], order: m.Message, answer: type[Any]) -> dict[str, Any]:
        return self.session.exchange(dict.fromkeys(hosts, order), answer)

    # Contamination.

    def watch(self) -> Watch:
        """Begin to watch all machines for other work; raises StudyError, Interrupted."""
        return Watch(self, self._counters())

    def clock_offset_ns(self, host: str) -> int:
        """Return how far the clock of *host* is ahead of the coordinator's, as far as pings tell."""
        return self.session.members[host].clock.offset_ns


class Watch:
    """The machines of all hosts from one instant on."""

    def __init__(self, bench: Bench, start: Mapping[str, m.HostCounters]) -> None:
        self._bench, self._start, self._own = bench, start, time.process_time_ns()

    def shares(self, windows: Iterable[WindowReading], interrupts_apart: bool) -> tuple[float, float, float]:
        """Return, of the machine on which others did most: their share of its CPU time, the share of steal, and its CPU seconds.

        What the workers of *windows*, the agents, the engine and, on its machine, the coordinator used is not others'.
        """
        bench, own = self._bench, time.process_time_ns() - self._own
        now = bench._counters()
        ours: dict[str, int] = dict.fromkeys(bench._first, 0)
        for window in windows:
            for host, ledger in window["hosts"].items():
                ours[bench._machines[host]] += ledger["senders_ns"] + ledger["receivers_ns"]
        for host, counters in now.items():
            then = self._start[host]
            ours[bench._machines[host]] += counters.agent_ns - then.agent_ns
            # Agents of one machine may have the same parent, the coordinator itself.
            if bench._machines[host] != bench._here:
                ours[bench._machines[host]] += counters.engine_ns - then.engine_ns
        if bench._here in ours:
            ours[bench._here] += own
        worst = (-1.0, 0.0, 1.0)
        for machine, host in bench._first.items():
            pair = (self._start[host].machine, now[host].machine)
            capacity = capacity_s(*pair)
            foreign = busy_s(*pair) - ours[machine] / 1e9 - (irq_s(*pair) if interrupts_apart else 0.0)
            worst = max(worst, (foreign / capacity, steal_s(*pair) / capacity, capacity))
        return worst


class _Window:
    """One window of one lane, from what all its hosts say of both edges."""

    def __init__(
        self,
        bench: Bench,
        lane: ClusterLane,
        before: Mapping[str, m.Settled],
        after: Mapping[str, m.Settled],
        parked: Mapping[str, m.Parked],
    ) -> None:
        self._bench, self._lane, self._parked = bench, lane, parked
        self._before, self._after = before, after

    def _part(self, at: Mapping[str, m.Settled], host: str) -> m.Counted:
        return at[host].lanes[self._lane.number]

    def processes(self, role: str) -> list[list[list[int]]]:
        """Return the two readings of each process of *role*, in the order of the layout."""
        pairs = []
        for host in self._lane.layout.hosts:
            first, last = (getattr(self._part(at, host), role) for at in (self._before, self._after))
            pairs += [[a, b] for a, b in zip(first, last, strict=True)]
        return pairs

    def areas(self, at: Mapping[str, m.Settled]) -> list[list[int]]:
        """Return what the load has written into the areas of all senders."""
        return [area for host in self._lane.layout.hosts for area in self._part(at, host).areas]

    def measures(self) -> dict[str, Any]:
        """Return what the receivers' sinks measured, as a window on one host has it."""
        names = SINKS[self._lane.variant.sink].measures
        if not names:
            return {}
        pairs = [
            (a, b)
            for host in self._lane.layout.hosts
            for a, b in zip(self._part(self._before, host).measured, self._part(self._after, host).measured, strict=True)
        ]
        return {"receiver_measures": {name: [[a[kind], b[kind]] for a, b in pairs] for kind, name in enumerate(names)}}

    def spans(self) -> dict[str, int]:
        """Return how long after its own opening each receiving host took its last byte, ns, by its own clock."""
        found = {}
        for host in self._lane.layout.hosts:
            part = self._part(self._after, host)
            if self._lane.layout.receivers_of[host]:
                found[host] = max(0, part.last_byte_ns - part.opened_ns)
        return found

    def skew_ns(self) -> int:
        """Return how far the openings on all hosts lay apart, with the clocks' offsets taken off."""
        opened = [self._part(self._after, host).opened_ns - self._bench.clock_offset_ns(host) for host in self._lane.layout.hosts]
        return max(opened) - min(opened)

    def agents_ns(self) -> int:
        """Return the CPU time of all agents while gates were open."""
        return sum(self._parked[host].overhead.agent_ns for host in self._lane.layout.hosts)

    def hosts(self) -> dict[str, Any]:
        """Return the ledger of each host: machine, workers' CPU time and bytes, what agent and engine used while gates were open."""
        spans, found = self.spans(), {}
        for host in self._lane.layout.hosts:
            before, after, overhead = self._part(self._before, host), self._part(self._after, host), self._parked[host].overhead
            found[host] = {
                "machine": [self._before[host].host.machine, self._after[host].host.machine],
                "open_ns": after.closed_ns - after.opened_ns,
                "senders_ns": _difference(before.senders, after.senders, 0),
                "receivers_ns": _difference(before.receivers, after.receivers, 0),
                "sent_bytes": _difference(before.senders, after.senders, 1),
                "received_bytes": _difference(before.receivers, after.receivers, 1),
                "span_ns": spans.get(host),
                "agent_ns": overhead.agent_ns,
                "agent_switches": overhead.agent_switches,
                "engine_ns": overhead.engine_ns,
                "engine_switches": overhead.engine_switches,
            }
        return found


def _roles(lanes: Sequence[ClusterLane]) -> tuple[list[str], list[str]]:
    """Return the hosts of *lanes* that receive, and those that only send."""
    hosts = dict.fromkeys(host for lane in lanes for host in lane.layout.hosts)
    takers = {host: any(lane.layout.receivers_of.get(host) for lane in lanes) for host in hosts}
    return [host for host in hosts if takers[host]], [host for host in hosts if not takers[host]]


def _difference(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]], index: int) -> int:
    return sum(b[index] - a[index] for a, b in zip(before, after, strict=True))
