"""Sample a lane's processes with psutil: CPU times, context switches and faults. At rest only, at most 10 times a second.

Samples are the time series of a result, the source of its switches and faults, and a check of the exact CPU clocks.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import psutil

from zcload.host.process import Observed, ObservedProcess
from zcload.lane.contract import Lane

MIN_INTERVAL_NS = 100_000_000


class Samples(Protocol):
    """Takes samples of lanes that are at rest."""

    taken: int

    @property
    def cost_ns(self) -> int:
        """The CPU time that sampling has taken."""

    def due(self) -> bool:
        """Say whether the last sample is old enough for another."""

    def sample(self) -> dict[str, Any]:
        """Take a sample now; see `Sampler.sample`."""


# What a sample says of a role.
SUMS = ("user_s", "system_s", "voluntary", "involuntary", "minor_faults", "major_faults", "cpu_ns")


class Sampler:
    """Sample all lanes of all *groups* as a whole: between windows all of them are at rest, so one instant serves all."""

    def __init__(self, groups: Iterable[Mapping[str, Lane]]) -> None:
        self._lanes = [lane for group in groups for lane in group.values()]
        self._processes: dict[int, psutil.Process] = {}
        self._seen: dict[tuple[int, str, int], dict[str, float]] = {}  # the last sample of a process, by its lane, role and pid
        self._last_ns = 0
        self.cost_ns = 0  # CPU time the sampling has taken
        self.taken = 0

    def due(self) -> bool:
        """Say whether the last sample is old enough for another."""
        return time.monotonic_ns() - self._last_ns >= MIN_INTERVAL_NS

    def sample(self) -> dict[str, Any]:
        """Take a sample now: for each variant the sums over its senders and over its receivers, and the machine's CPU times in s.

        The baseline has a lane in every group: its sums are over all of them.
        """
        start = time.thread_time_ns()
        self._last_ns = time.monotonic_ns()
        lanes: dict[str, Any] = {}
        for number, lane in enumerate(self._lanes):
            seen = lanes.setdefault(lane.name, {"orders": 0, "silent": 0, "bytes": 0, "senders": Counter(), "receivers": Counter()})
            seen["orders"] += lane.gate.number
            seen["silent"] += lane.gate.silent
            seen["bytes"] += lane.received()
            seen["senders"].update(self._sum(number, "senders", lane.observed_senders))
            seen["receivers"].update(self._sum(number, "receivers", lane.observed_receivers))
            if lane.observed_relays:
                seen.setdefault("relays", Counter()).update(self._sum(number, "relays", lane.observed_relays))
        times = psutil.cpu_times()
        machine = {name: getattr(times, name, 0.0) for name in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")}
        self.taken += 1
        self.cost_ns += time.thread_time_ns() - start
        return {"t_ns": self._last_ns, "lanes": lanes, "machine": machine}

    def _sum(self, lane: int, role: str, observed: Iterable[Observed]) -> Counter[str]:
        """Return the sums over all processes that a role of lane number *lane* ever had; one that has ended keeps its last sample."""
        for each in observed:
            for process in each.members():
                try:
                    self._seen[lane, role, process.pid] = self._look(process, role)
                except (psutil.NoSuchProcess, OSError, IndexError):
                    pass  # it ends at this moment
        total: Counter[str] = Counter(dict.fromkeys(SUMS, 0))  # zeros where no process lived long enough to be looked at
        for (number, its, _), found in self._seen.items():
            if (number, its) == (lane, role):
                total.update(found)
        if any("read_bytes" not in found for key, found in self._seen.items() if key[:2] == (lane, role)):
            total.pop("read_bytes", None)  # of some it is not known
        return total

    def _look(self, observed: ObservedProcess, role: str) -> dict[str, float]:
        process = self._processes.get(observed.pid)
        if process is None:
            process = self._processes[observed.pid] = psutil.Process(observed.pid)
        with process.oneshot():
            times = process.cpu_times()
            switches = [process.num_ctx_switches()]
        counters = observed.counters()
        if counters.threads > 1:
            # num_ctx_switches reads /proc/PID/status, which is the main thread's alone: ask every thread.
            switches = [psutil.Process(thread.id).num_ctx_switches() for thread in process.threads()]
        return {
            "user_s": times.user,
            "system_s": times.system,
            "voluntary": sum(each.voluntary for each in switches),
            "involuntary": sum(each.involuntary for each in switches),
            "minor_faults": counters.minor_faults,
            "major_faults": counters.major_faults,
            "cpu_ns": observed.cpu_ns(),
            **(_read_bytes(process) if role == "senders" else {}),
        }


def _read_bytes(process: psutil.Process) -> dict[str, int]:
    """Return how many bytes the process had the disk read (read_bytes of /proc/PID/io); nothing where that is not to be had."""
    try:
        return {"read_bytes": process.io_counters().read_bytes}
    # Without CONFIG_TASK_IO_ACCOUNTING there is no such file, and somebody else's may not be read.
    except (AttributeError, NotImplementedError, psutil.AccessDenied, FileNotFoundError):
        return {}
