"""One result of another tool in zcload's units, with notes on what its figures include."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


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

    def as_dict(self) -> dict[str, Any]:
        both = (self.sender_cpu_s_per_gb, self.receiver_cpu_s_per_gb)
        total = None if None in both or self.system_cpu_s_per_gb is not None else sum(part for part in both if part is not None)
        return {**asdict(self), "notes": list(self.notes), "total_cpu_s_per_gb": total}
