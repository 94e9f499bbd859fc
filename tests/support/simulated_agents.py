"""Simulated agents, many in one process: they speak the real channel protocol, and make up what a host would do and count.

`SimulatedEngine` starts that process and is given to a run in place of Dask. Each agent has a clock of its own, and may be late to join,
slow to answer, silent, or end in the middle of a window.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import json
import os
import queue
import random
import select
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO

from zcload import __version__
from zcload.cluster import messages as m
from zcload.cluster.agent import AUTHORITY, SECRET
from zcload.cluster.channel import Channel, ChannelClosed, agent_context, introduce
from zcload.cluster.engine import AgentEnd, EngineFacts, EngineHost
from zcload.errors import StudyError
from zcload.host.environment import describe
from zcload.lane.call_kinds import receiver_calls, sender_calls
from zcload.mechanisms import mechanism_of

BYTES_PER_S = 1e9  # of a sender whose gate is open
CPU_S_PER_GB = {"read_send": 0.30}  # of each end; of any other mechanism 0.2
CPUS, TICKS_PER_S = 4, 100
_JOINERS = 8  # threads that connect, so that handshakes overlap as those of real hosts do
_MOST_OFFSET_NS = 10**12  # of a clock


@dataclass(frozen=True, slots=True)
class Fault:
    """How an agent misbehaves: seconds until it joins, seconds until each answer, and the window in which it falls silent or ends."""

    join_s: float = 0.0
    answer_s: float = 0.0
    silent_in: int | None = None
    dies_in: int | None = None


@dataclass(slots=True)
class SimulatedLane:
    """A host's part of a lane: the bytes and CPU time of its workers so far."""

    order: m.SetUp
    opened_ns: int = 0
    closed_ns: int = 0
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def tallies(self, moved: Sequence[int], role: str) -> list[list[int]]:
        """Return the counters of workers of *role* that have *moved* so many bytes."""
        contender, point = self.order.contender, self.order.point
        cost = CPU_S_PER_GB.get(contender.mechanism, 0.2)
        kinds = sender_calls(contender, point) if role == "senders" else receiver_calls(contender, point)
        return [[round(cost * n), n, *[n // contender.chunk] * (1 + len(kinds))] for n in moved]

    def counted(self, now: int) -> m.Counted:
        """Return the answer of an agent that is asked for this lane's counters."""
        last = self.closed_ns if any(self.received) else 0
        senders, receivers = self.tallies(self.sent, "senders"), self.tallies(self.received, "receivers")
        return m.Counted(senders, receivers, self.opened_ns, self.closed_ns, last, now, [[0]] * len(receivers), [])


class SimulatedHost:
    """One agent: answers orders as a station does, with a clock that differs from everybody's."""

    def __init__(self, name: str, fault: Fault) -> None:
        self.name, self.fault, self.windows = name, fault, 0
        self._offset_ns = random.Random(name).randrange(_MOST_OFFSET_NS)
        self._lanes: dict[int, SimulatedLane] = {}
        self._busy_ns = 0

    def answer(self, order: m.Message) -> m.Message | None:
        """Return the answer to *order*; None where there is none."""
        now = time.monotonic_ns() + self._offset_ns
        match order:
            case m.Ping():
                return m.Pong(now)
            case m.Describe():
                return m.Described("192.0.2.1", _environment(), [], self.name, list(range(CPUS)), os.getpid(), None)
            case m.Probe():
                return m.Probed([])
            case m.OpenFile():
                return m.FileOpened(order.point.file_size, "0" * 64)
            case m.Listen():
                return m.Listening("192.0.2.1", 9)
            case m.SetUp():
                numbers = [number for target in order.targets for number in target.numbers]
                self._lanes[order.lane] = SimulatedLane(order, sent=[0] * len(numbers), received=[0] * len(order.receivers))
                return m.LaneUp([[0]] * (len(numbers) + len(order.receivers)), [], 0)
            case m.Verify():
                return self._verified(self._lanes[order.lane])
            case m.Arm():
                return self._settled(order.lanes, now)
            case m.Open():
                self.windows += 1
                for number in order.lanes:
                    self._lanes[number].opened_ns = self._lanes[number].closed_ns = now
                return None
            case m.Close():
                return self._parked(order, now)
            case m.Settle():
                for number, expected in order.expected.items():
                    self._take(self._lanes[number], expected)
                return self._settled(order.expected, now)
            case m.ReadMachine():
                return m.MachineRead(self._counters(now))
            case m.TakeSample():
                return m.Sampled(self._sample(now), 0)
            case m.Report():
                lane = self._lanes[order.lane]
                info = {"total_retrans": 0, "data_segs_out": 1, "rtt_us": 100}
                return m.Reported(
                    [{"cpu_ns": t[0], "bytes": t[1], "tcp_info": info, "completions": {}} for t in lane.tallies(lane.sent, "senders")]
                )
            case m.TearDown():
                self._lanes.pop(order.lane, None)
        return m.Done()

    def _verified(self, lane: SimulatedLane) -> m.Verified:
        sent = {number: "0" * 64 for target in lane.order.targets for number in target.numbers}
        came = {number: "0" * 64 for numbers in lane.order.receivers for number in numbers}
        return m.Verified(sent, came, sum(lane.order.expected.values()))

    def _parked(self, order: m.Close, now: int) -> m.Parked:
        for number in order.lanes:
            lane = self._lanes[number]
            if lane.opened_ns and lane.closed_ns == lane.opened_ns and mechanism_of(lane.order.contender).moves_payload:
                moved = round((now - lane.opened_ns) * BYTES_PER_S / 1e9)
                lane.sent = [total + moved for total in lane.sent]
                self._busy_ns += sum(t[0] for t in lane.tallies([moved] * len(lane.sent), "senders"))
            lane.closed_ns = now
        return m.Parked({number: self._lanes[number].sent for number in order.lanes}, m.Overhead(0, 0, 0, 0))

    def _take(self, lane: SimulatedLane, expected: int) -> None:
        count = len(lane.received)
        if count:
            before = lane.tallies(lane.received, "receivers")
            lane.received = [expected // count + (i < expected % count) for i in range(count)]
            self._busy_ns += sum(b[0] - a[0] for a, b in zip(before, lane.tallies(lane.received, "receivers"), strict=True))

    def _settled(self, lanes: Mapping[int, int] | Sequence[int], now: int) -> m.Settled:
        return m.Settled({number: self._lanes[number].counted(now) for number in lanes}, self._counters(now))

    def _counters(self, now: int) -> m.HostCounters:
        idle = (CPUS * now - self._busy_ns) * TICKS_PER_S // 10**9
        return m.HostCounters([now, idle, 0, 0, CPUS], 0, 0, 0, 0)

    def _sample(self, now: int) -> dict[str, object]:
        def used(lane: SimulatedLane, role: str) -> dict[str, float]:
            cpu_ns = sum(tally[0] for tally in lane.tallies(lane.sent if role == "senders" else lane.received, role))
            zero = dict.fromkeys(("user_s", "voluntary", "involuntary", "minor_faults", "major_faults"), 0)
            return {**zero, "system_s": cpu_ns / 1e9, "cpu_ns": cpu_ns}

        lanes = {
            lane.order.contender.name: {
                "orders": self.windows,
                "silent": 0,
                "bytes": sum(lane.received),
                "senders": used(lane, "senders"),
                "receivers": used(lane, "receivers"),
            }
            for lane in self._lanes.values()
        }
        return {"t_ns": now, "lanes": lanes, "machine": {"user": 0.0, "system": self._busy_ns / 1e9, "idle": 0.0}}


# The process of all agents: reads a line of JSON for each, and serves them in one loop.


class Simulation:
    """Serves all agents of a process: one loop, and some threads that only connect."""

    def __init__(self, orders: IO[bytes]) -> None:
        self._orders = orders
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int, Channel, m.Message]] = []
        self._count = 0
        self._specs: queue.Queue[tuple[float, dict[str, str], Fault]] = queue.Queue()
        self._joined: queue.Queue[tuple[Channel, SimulatedHost]] = queue.Queue()
        self._wake = os.eventfd(0)

    def run(self) -> None:
        """Serve until the orders end and every agent has gone."""
        self._selector.register(self._wake, selectors.EVENT_READ)
        threading.Thread(target=self._read, daemon=True).start()
        for _ in range(_JOINERS):
            threading.Thread(target=self._join, daemon=True).start()
        while True:
            timeout = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(timeout):
                if key.fd == self._wake:
                    os.eventfd_read(self._wake)
                    while not self._joined.empty():
                        channel, host = self._joined.get()
                        self._selector.register(channel, selectors.EVENT_READ, host)
                        self._serve(channel, host)  # the first order may have come with the greeting
                else:
                    self._serve(key.fileobj, key.data)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, channel, message = heapq.heappop(self._due)
                self._say(channel, message)

    def _read(self) -> None:
        for line in self._orders:
            spec = json.loads(line)
            self._specs.put((time.monotonic(), spec, Fault(**spec.pop("fault"))))
        os._exit(0)  # the coordinator has closed the engine, or is gone

    def _join(self) -> None:
        while True:
            begun, spec, fault = self._specs.get()
            if (left := begun + fault.join_s - time.monotonic()) > 0:
                threading.Timer(left, self._specs.put, [(begun, spec, fault)]).start()
                continue
            try:
                sock = socket.create_connection((spec["coordinator"], int(spec["port"])), timeout=300)
                context = agent_context(spec["ca"]) if spec["ca"] else None
                channel = Channel(context.wrap_socket(sock) if context else sock, "coordinator")
                introduce(channel, bytes.fromhex(spec["secret"]), spec["host"])
            except (OSError, StudyError) as error:
                print(f"{spec['host']}: {error}", file=sys.stderr, flush=True)
                continue
            self._joined.put((channel, SimulatedHost(spec["host"], fault)))
            os.eventfd_write(self._wake, 1)

    def _serve(self, channel: Channel, host: SimulatedHost) -> None:
        try:
            while channel._read or _readable(channel):
                self._take(channel, host)
        except (ChannelClosed, ValueError):
            self._drop(channel)

    def _take(self, channel: Channel, host: SimulatedHost) -> None:
        order = channel.receive()
        if isinstance(order, m.Quit):
            raise ChannelClosed("quit")
        answer, fault = host.answer(order), host.fault
        if fault.dies_in is not None and host.windows >= fault.dies_in:
            raise ChannelClosed("dies")
        if answer is None or (fault.silent_in is not None and host.windows >= fault.silent_in):
            return
        if fault.answer_s:
            self._count += 1
            heapq.heappush(self._due, (time.monotonic() + fault.answer_s, self._count, channel, answer))
        else:
            self._say(channel, answer)

    def _say(self, channel: Channel, message: m.Message) -> None:
        try:
            channel.send(message)
        except ChannelClosed:
            self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        if channel.fileno() >= 0:
            host = self._selector.unregister(channel).data
            channel.close()
            print(host.name, flush=True)


@functools.cache
def _environment() -> dict[str, object]:
    return describe()


def _readable(channel: Channel) -> bool:
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    return bool(poller.poll(0))


class SimulatedEngine:
    """Implements `Engine` for *count* simulated hosts; *faults* says by name which of them misbehave."""

    def __init__(self, count: int, faults: Mapping[str, Fault] | None = None) -> None:
        self.names = tuple(f"h{number:04}" for number in range(count))
        self._faults = faults or {}
        self.process: subprocess.Popen[bytes] | None = None
        self._ended: set[str] = set()
        self._read = b""

    def hosts(self) -> Sequence[EngineHost]:
        return [EngineHost(name, "127.0.0.1", frozenset(), __version__, None) for name in self.names]

    def start_agent(self, host: str, arguments: Sequence[str], environment: Mapping[str, str], deadline_s: float) -> int:
        if self.process is None:
            self.process = subprocess.Popen([sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self.process.stdout is not None
            os.set_blocking(self.process.stdout.fileno(), False)
        given = dict(itertools.pairwise(arguments))
        spec = {
            "host": host,
            "coordinator": given["--coordinator"],
            "port": given["--port"],
            "secret": environment[SECRET],
            "ca": environment.get(AUTHORITY, ""),
            "fault": asdict(self._faults.get(host, Fault())),
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(spec).encode() + b"\n")
        self.process.stdin.flush()
        return self.names.index(host)

    def poll(self, agent: int) -> AgentEnd | None:
        if self.process is not None and self.process.stdout is not None:
            *lines, self._read = (self._read + (self.process.stdout.read() or b"")).split(b"\n")
            self._ended |= {line.decode() for line in lines}
        return AgentEnd(0) if self.names[agent] in self._ended else None

    def stop(self, agent: int) -> None:
        """Do nothing: all agents end together, in `close`."""

    def facts(self) -> EngineFacts:
        return EngineFacts("simulated", __version__, "this machine", encrypted=False, quiet=True)

    def close(self) -> None:
        if self.process is not None and self.process.stdin is not None and self.process.stdout is not None:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()


if __name__ == "__main__":
    Simulation(sys.stdin.buffer).run()
