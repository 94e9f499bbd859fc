"""Lanes without processes, and a machine whose clock moves only in windows."""

from __future__ import annotations

from types import SimpleNamespace

from zcload.errors import StudyError
from zcload.host.machine import Machine, MachineReading
from zcload.lane.placement import Placement
from zcload.runner.window import LaneFailed

CPUS = 2
WINDOW_S = 0.05


class World(Machine):
    """A machine of two CPUs whose clock moves only in windows; *foreign* is what others use (CPU seconds) in a window."""

    def __init__(self):
        self.t_ns = 10**12
        self.idle_s = self.irq_s = self.steal_s = 0.0
        self.foreign = self.interrupts = self.steal = 0.0
        self.measured = []  # the names of the lanes, window by window
        self.fail = {}  # lane -> how many windows until it fails
        self.cost = {}  # lane -> CPU seconds of a window; 0.02 where it is not given

    def seconds(self):
        return self.t_ns / 1e9

    def pass_time(self, seconds, used=0.0):
        self.t_ns += round(seconds * 1e9)
        self.idle_s += CPUS * seconds - used
        return True

    def read(self):
        return MachineReading(self.t_ns, round(self.idle_s * 100), round(self.steal_s * 100), round(self.irq_s * 100), CPUS)

    def window(self, lane, open_s, machine):
        self.measured.append(lane.name)
        if lane.name in self.fail:
            self.fail[lane.name] -= 1
            if self.fail[lane.name] < 0:
                raise LaneFailed(lane.name, StudyError("it broke"))
        start, opened = self.read().as_list(), self.t_ns
        used = self.cost.get(lane.name, 0.02)
        self.irq_s += self.interrupts
        self.steal_s += self.steal
        self.pass_time(open_s, used + self.foreign + self.interrupts + self.steal)
        done, now = self.t_ns, lane.take(used)
        return {
            "lane": lane.name,
            "order": lane.gate.number,
            "open_ns": opened,
            "close_ns": done,
            "last_byte_ns": done,
            "rest_ns": done,
            "senders": [now[0]],
            "receivers": [now[1]],
            "machine": [start, self.read().as_list()],
            "observer_cpu_ns": 1000,
        }

    def together(self, lanes, open_s, machine):
        return [self.window(lane, open_s, machine) | {"machine": None} for lane in lanes]


class Lane:
    """A lane without processes: it counts, and notes what is asked of it."""

    unauthenticated = burst_bytes = 0
    odd, parts = None, ()
    observed_senders = observed_receivers = observed_relays = ()

    identity = None

    def __init__(self, variant, placement=None, told=None):
        self.variant, self.name = variant, variant.name
        self.gate = SimpleNamespace(number=0, silent=0)
        everywhere = (frozenset({0}),)
        self.placement = placement or Placement(everywhere, everywhere, everywhere[0])
        self.workers = SimpleNamespace(senders=(None,), receivers=(None,), killed=None)
        self.ended = None  # what is wrong with it, if a process of it has ended
        self.told = told if told is not None else []
        self.sender, self.receiver = [0, 0, 0, 0], [0, 0, 0, 0]
        self.told.append(("set up", self.name))

    def take(self, used):
        self.gate.number += 1
        before = [list(self.sender), list(self.receiver)]
        for counter in (self.sender, self.receiver):
            counter[0] += round(used * 1e9 / 2)
            counter[1] += 100_000_000
            counter[2] += 100
            counter[3] += 100
        return [before[0], list(self.sender)], [before[1], list(self.receiver)]

    def received(self):
        return self.receiver[1]

    def ready(self):
        self.told.append(("ready", self.name))

    def verify(self, expected, timeout_s):
        self.told.append(("verify", self.name))

    transfer_plan = None

    def failure(self):
        return self.ended

    def late_unauthenticated(self):
        return 0

    def report(self):
        return [{"tcp_info": {}, "completions": {}}]

    def facts(self):
        return {}

    def traced(self):
        return None

    def tear_down(self):
        self.told.append(("tear down", self.name))
