"""One result of another tool in zcload's units, with notes on what its figures include."""

from __future__ import annotations

from dataclasses import dataclass

from zcload.model.metrics import GOODPUT_BPS, RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.values import ImportedRecord


class NotOurs(Exception):
    """The text is not the output of this tool; another reader may know it."""


@dataclass(frozen=True, slots=True)
class ImportedResult:
    """What *tool* measured of *what*: goodput in bit/s and CPU seconds per GB, None where it does not say; *notes* are its caveats."""

    tool: str
    what: str
    goodput_bps: float
    sender_cpu_s_per_gb: float | None = None
    receiver_cpu_s_per_gb: float | None = None
    system_cpu_s_per_gb: float | None = None
    notes: tuple[str, ...] = ()

    def record(self, name: str) -> ImportedRecord:
        """Return it under *name*, with the CPU of both ends where they are known."""
        both = (self.sender_cpu_s_per_gb, self.receiver_cpu_s_per_gb)
        total = None if None in both or self.system_cpu_s_per_gb is not None else sum(part for part in both if part is not None)
        return {
            "name": name,
            "tool": self.tool,
            "what": self.what,
            GOODPUT_BPS: self.goodput_bps,
            SENDER_CPU_S_PER_GB: self.sender_cpu_s_per_gb,
            RECEIVER_CPU_S_PER_GB: self.receiver_cpu_s_per_gb,
            SYSTEM_CPU_S_PER_GB: self.system_cpu_s_per_gb,
            TOTAL_CPU_S_PER_GB: total,
            "notes": list(self.notes),
        }
