"""Counters of the whole machine at one instant, for the machine ledger and for contamination."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class MachineReading:
    """*t_ns* is CLOCK_MONOTONIC; *idle* (with iowait), *steal* and *irq* (with softirq) are ticks of all *cpus* together."""

    t_ns: int
    idle: int
    steal: int
    irq: int
    cpus: int

    def as_list(self) -> list[int]:
        return [self.t_ns, self.idle, self.steal, self.irq, self.cpus]


class Machine:
    """Read /proc/stat.

    Busy time is cpus x wall - idle - iowait: idle is exact under NO_HZ, while user and system are samples of the tick
    (Documentation/admin-guide/cpu-load.rst).
    """

    def __init__(self, path: str = "/proc/stat") -> None:
        self._stat = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._cpus = os.cpu_count() or 1

    def read(self) -> MachineReading:
        """Take a reading: one system call."""
        t_ns = time.monotonic_ns()
        fields = os.pread(self._stat, 256, 0).split(None, 10)
        return MachineReading(t_ns, int(fields[4]) + int(fields[5]), int(fields[8]), int(fields[6]) + int(fields[7]), self._cpus)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._stat)


def busy_s(before: list[int], after: list[int]) -> float:
    """Return the CPU seconds that the machine spent not idle between two readings (as lists); stolen time is busy time."""
    return capacity_s(before, after) - (after[1] - before[1]) / TICKS_PER_S


def capacity_s(before: list[int], after: list[int]) -> float:
    """Return the CPU seconds that the machine had to give between two readings."""
    return after[4] * (after[0] - before[0]) / 1e9


def steal_s(before: list[int], after: list[int]) -> float:
    """Return the CPU seconds that the hypervisor took between two readings."""
    return (after[2] - before[2]) / TICKS_PER_S


def irq_s(before: list[int], after: list[int]) -> float:
    """Return the CPU seconds accounted to hard and soft interrupts between two readings."""
    return (after[3] - before[3]) / TICKS_PER_S
