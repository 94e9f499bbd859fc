"""psutil's view of the lanes: user and system time, context switches over all threads, faults; taken at rest, at most 10 times a second.

The time series of a result, the source of the counts that the exact clock does not have, and the cross-check of that clock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import psutil

from zcload.lane.lane import Lane
from zcload.observe.process import ObservedProcess

MIN_INTERVAL_NS = 100_000_000


class Sampler:
    """Sample all lanes of all *groups* as a whole: between windows all of them are at rest, so one instant serves all."""

    def __init__(self, groups: Iterable[Mapping[str, Lane]]) -> None:
        self._lanes = [lane for group in groups for lane in group.values()]
        self._processes = {process.pid: psutil.Process(process.pid) for lane in self._lanes for process in lane.observed}
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
        for lane in self._lanes:
            seen = lanes.setdefault(lane.name, {"orders": 0, "silent": 0, "bytes": 0, "senders": Counter(), "receivers": Counter()})
            seen["orders"] += lane.number
            seen["silent"] += lane.silent
            seen["bytes"] += lane.received()
            seen["senders"].update(self._sum(lane.observed_senders))
            seen["receivers"].update(self._sum(lane.observed_receivers))
            seen["senders"].update(self._read_bytes(lane.observed_senders))
        times = psutil.cpu_times()
        machine = {name: getattr(times, name, 0.0) for name in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")}
        self.taken += 1
        self.cost_ns += time.thread_time_ns() - start
        return {"t_ns": self._last_ns, "lanes": lanes, "machine": machine}

    def _read_bytes(self, processes: list[ObservedProcess]) -> dict[str, int]:
        """Return how many bytes the processes had the disk read (read_bytes of /proc/PID/io); nothing where the kernel does not count."""
        try:
            return {"read_bytes": sum(self._processes[observed.pid].io_counters().read_bytes for observed in processes)}
        except (AttributeError, NotImplementedError, psutil.AccessDenied, FileNotFoundError):  # without CONFIG_TASK_IO_ACCOUNTING
            return {}

    def _sum(self, processes: list[ObservedProcess]) -> dict[str, float]:
        total = {"user_s": 0.0, "system_s": 0.0, "voluntary": 0, "involuntary": 0, "minor_faults": 0, "major_faults": 0, "cpu_ns": 0}
        for observed in processes:
            process = self._processes[observed.pid]
            with process.oneshot():
                times = process.cpu_times()
                switches = [process.num_ctx_switches()]
            counters = observed.counters()
            if counters.threads > 1:
                # num_ctx_switches reads /proc/PID/status, which is the main thread's alone: ask every thread.
                switches = [psutil.Process(thread.id).num_ctx_switches() for thread in process.threads()]
            total["user_s"] += times.user
            total["system_s"] += times.system
            total["voluntary"] += sum(each.voluntary for each in switches)
            total["involuntary"] += sum(each.involuntary for each in switches)
            total["minor_faults"] += counters.minor_faults
            total["major_faults"] += counters.major_faults
            total["cpu_ns"] += observed.cpu_ns()
        return total
