"""What an agent holds on its host, and how each order is carried out: files, listeners, parts of lanes, and the counters around them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zcload.cluster import messages as m
from zcload.cluster.channel import ChannelClosed
from zcload.cluster.part import LanePart, listen_for, set_up_part, verify_part, wait_until_parked
from zcload.host.doctor import cautions, findings
from zcload.host.environment import describe
from zcload.host.machine import Machine
from zcload.host.nic import data_address, nic_facts
from zcload.host.process import ObservedProcess, read_proc
from zcload.host.topology import allowed_cpus, read_cores
from zcload.lane.payload import Source, open_source
from zcload.lane.rest import clocks, wait_for_rest
from zcload.lane.sampler import Sampler
from zcload.linux.process import own_usage
from zcload.mechanisms import mechanism_of
from zcload.sinks import SINKS

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
REST_S = 6.0  # without a byte or CPU time: so a host that was cut off is found, and everything ended, within 10 s


class Station:
    """This host's side of a run. *parent* is the process of the engine here, whose CPU time is read as the engine's."""

    def __init__(self, parent: int) -> None:
        self.lost: Callable[[], bool] = lambda: False  # whether the coordinator has gone
        self.failing: int | None = None  # the lane that the current order failed at
        self._machine, self._parent = Machine(), ObservedProcess(parent)
        self._cores = read_cores()
        self._address = ""
        self._files: dict[tuple[Any, ...], Source] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._orders: dict[int, m.SetUp] = {}
        self._parts: dict[int, LanePart] = {}
        self._sampler: Sampler | None = None
        self._at_open = (0, 0, 0, 0)
        self._carry_out: dict[str, Callable[[Any], m.Message]] = {
            "ping": lambda order: m.Pong(time.monotonic_ns()),
            "describe": self._describe,
            "probe": self._probe,
            "open-file": self._open_file,
            "check-files": self._check_files,
            "listen": self._listen,
            "set-up": self._set_up,
            "verify": self._verify,
            "ready": self._ready,
            "arm": self._arm,
            "close": self._close,
            "settle": self._settle,
            "read-machine": lambda order: m.MachineRead(self._counters()),
            "take-sample": self._sample,
            "report": self._report,
            "tear-down": self._tear_down,
        }

    def carry_out(self, order: m.Message) -> m.Message:
        """Return the answer to *order*; raises ZcloadError if it cannot be carried out, ChannelClosed if nobody waits for the answer."""
        self.failing = None
        return self._carry_out[order.kind](order)

    # What this host is.

    def _describe(self, order: m.Describe) -> m.Described:
        device, self._address = data_address(order.address)
        found = [asdict(caution) for caution in cautions(findings())] if order.checks else []
        nic = None if device == "lo" else nic_facts(device)
        return m.Described(self._address, describe(), found, boot_id(), sorted(allowed_cpus()), self._parent.pid, nic)

    def _probe(self, order: m.Probe) -> m.Probed:
        found = []
        for contender in order.contenders:
            mechanism, sink = mechanism_of(contender), SINKS[contender.sink]
            whys = {"sender": (mechanism.name, mechanism.probe), "receiver": (sink.name, sink.probe)}
            for role in order.roles:
                name, probe = whys[role]
                why = probe()
                if why is not None:
                    found.append(m.CannotRun(contender.name, name, why.reason, why.remedy))
        return m.Probed(found)

    def _open_file(self, order: m.OpenFile) -> m.FileOpened:
        point = order.point
        key = point.file_identity
        if key not in self._files:
            self._files[key] = open_source(point, lambda what, fraction: self._look())
        return m.FileOpened(self._files[key].size, self._files[key].digest)

    def _check_files(self, order: m.CheckFiles) -> m.Done:
        for source in self._files.values():
            source.check()
        return m.Done()

    # Lanes.

    def _listen(self, order: m.Listen) -> m.Listening:
        self._forget_listener(order.lane)
        listener = self._listeners[order.lane] = listen_for(order.point, self._address, order.connections)
        return m.Listening(*listener.getsockname()[:2])

    def _set_up(self, order: m.SetUp) -> m.LaneUp:
        listener, point = self._listeners.get(order.lane), order.point
        source = self._files.get(point.file_identity) if order.targets else None
        try:
            part = set_up_part(order, listener, source, self._cores)
        finally:
            self._forget_listener(order.lane)
        self._parts[order.lane], self._orders[order.lane], self._sampler = part, order, None
        found = [asdict(caution) for caution in part.placement.cautions]
        return m.LaneUp([sorted(cpus) for cpus in part.placement.workers], found, part.unauthenticated)

    def _verify(self, order: m.Verify) -> m.Verified:
        part, how = self._parts[order.lane], self._orders[order.lane]
        source = self._files.get(how.point.file_identity) if how.targets else None
        sent, came = verify_part(part, how, source)
        part.expected_bytes = part.received()
        return m.Verified(sent, came, part.received())

    def _ready(self, order: m.Ready) -> m.Done:
        self._parts[order.lane].ready()
        return m.Done()

    def _arm(self, order: m.Arm) -> m.Settled:
        return self._settled({lane: clocks(self._parts[lane]) for lane in order.lanes})

    def open(self, order: m.Open) -> None:
        """Open the gates: there is nobody to tell of an error until they are closed."""
        engine = self._engine()
        for lane in order.lanes:
            part = self._parts[lane]
            part.opened_ns = part.gate.open(order.open_s)
        self._at_open = (*_own(), *engine)

    def _close(self, order: m.Close) -> m.Parked:
        own, parts = _own(), {lane: self._parts[lane] for lane in order.lanes}
        for part in parts.values():
            part.closed_ns = part.gate.close()
        overhead = m.Overhead(*(now - then for now, then in zip((*own, *self._engine()), self._at_open, strict=True)))
        for self.failing, part in parts.items():
            wait_until_parked(part, REST_S, self._look)
            if (error := part.failure()) is not None:
                raise error  # a receiver that has ended is the cause of what its senders tell from elsewhere
        self.failing = None
        return m.Parked({lane: [tally[0] for tally in part.read().senders] for lane, part in parts.items()}, overhead)

    def _settle(self, order: m.Settle) -> m.Settled:
        cpu_ns = {}
        for self.failing, expected in order.expected.items():
            part = self._parts[self.failing]
            part.expected_bytes = expected
            cpu_ns[self.failing] = wait_for_rest(part, REST_S, self._look)
            if (error := part.failure()) is not None:
                raise error
        self.failing = None
        return self._settled(cpu_ns)

    def _settled(self, cpu_ns: dict[int, list[int]]) -> m.Settled:
        now, host = time.monotonic_ns(), self._counters()
        return m.Settled({lane: _counted(self._parts[lane], clocks_ns, now) for lane, clocks_ns in cpu_ns.items()}, host)

    def _counters(self) -> m.HostCounters:
        return m.HostCounters(self._machine.read().as_list(), *_own(), *self._engine())

    def _engine(self) -> tuple[int, int]:
        """Return CPU time (ns) and context switches of the engine's process here."""
        try:
            return self._parent.cpu_ns(), _switches(self._parent.pid)
        except OSError:
            raise ChannelClosed("the process that started this agent has ended") from None

    def _sample(self, order: m.TakeSample) -> m.Sampled:
        if self._sampler is None:
            self._sampler = Sampler([{str(lane): part for lane, part in self._parts.items()}])
        return m.Sampled(self._sampler.sample(), self._sampler.cost_ns)

    def _report(self, order: m.Report) -> m.Reported:
        part = self._parts[order.lane]
        return m.Reported(part.report() if part.workers.senders else [])

    def _tear_down(self, order: m.TearDown) -> m.Done:
        self._forget_listener(order.lane)
        part = self._parts.pop(order.lane, None)
        if part is not None:
            part.tear_down()
            self._sampler = None
        return m.Done()

    def _forget_listener(self, lane: int) -> None:
        listener = self._listeners.pop(lane, None)
        if listener is not None:
            listener.close()

    def _look(self) -> None:
        """Give up if the coordinator has gone: nobody waits for what is going on here."""
        if self.lost():
            raise ChannelClosed("the coordinator is gone")

    def close(self) -> None:
        """End all workers and give everything back."""
        for lane in list(self._parts):
            self._tear_down(m.TearDown(lane))
        for lane in list(self._listeners):
            self._forget_listener(lane)
        for source in self._files.values():
            source.close()
        self._machine.close()
        self._parent.close()


def _counted(part: LanePart, cpu_ns: Sequence[int], now: int) -> m.Counted:
    """Return the counters of *part* at rest, with the CPU clocks of its senders, then of its receivers."""
    board = part.read()
    count = len(board.senders)
    return m.Counted(
        senders=[[cpu, *tally] for cpu, tally in zip(cpu_ns[:count], board.senders, strict=True)],
        receivers=[[cpu, *tally] for cpu, tally in zip(cpu_ns[count:], board.receivers, strict=True)],
        opened_ns=part.opened_ns,
        closed_ns=part.closed_ns,
        last_byte_ns=board.last_byte_ns,
        rest_ns=now,
        measured=board.measured,
        areas=board.areas[:count] if board.areas else [],
    )


def boot_id() -> str:
    """Return what tells this machine from others: network namespaces of one machine have the same."""
    return _BOOT_ID.read_text().strip()


def _own() -> tuple[int, int]:
    """Return CPU time (ns) and context switches of this process."""
    usage = own_usage()
    return usage["cpu_ns"], usage["voluntary"] + usage["involuntary"]


def _switches(pid: int) -> int:
    """Return the context switches of all threads of process *pid*; raises OSError when it is gone."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            status = read_proc(f"/proc/{pid}/task/{tid}/status")
        except FileNotFoundError:
            continue
        total += sum(int(line.split()[1]) for line in status.splitlines() if b"ctxt_switches:" in line)
    return total
