"""One result of another tool in zcload's units, with notes on what its figures include and why others are left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zcload.model.metrics import GOODPUT_BPS, RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.values import ImportedRecord

Tree = Mapping[str, Any]  # what another tool wrote as JSON: every key is looked at before it is believed
LARGEST = 1e18  # of bytes, bit/s and the like: no test of one connection reaches it


class NotOurs(Exception):
    """The text is not the output of this tool; another reader may know it."""


@dataclass(frozen=True, slots=True)
class ImportedResult:
    """What *tool* measured of *what*: goodput in bit/s and CPU seconds per GB, None where the file does not prove it.

    *notes* are caveats of the figures, and the reasons of those that are left out. *one_sum* says that sender and receiver may be added.
    """

    tool: str
    what: str
    goodput_bps: float | None
    sender_cpu_s_per_gb: float | None = None
    receiver_cpu_s_per_gb: float | None = None
    system_cpu_s_per_gb: float | None = None
    notes: tuple[str, ...] = ()
    one_sum: bool = True

    def as_record(self, name: str) -> ImportedRecord:
        """Return the result as a row of a report, called *name*."""
        both = (self.sender_cpu_s_per_gb, self.receiver_cpu_s_per_gb)
        summed = self.one_sum and None not in both and self.system_cpu_s_per_gb is None
        return {
            "name": name,
            "tool": self.tool,
            "what": self.what,
            GOODPUT_BPS: self.goodput_bps,
            SENDER_CPU_S_PER_GB: self.sender_cpu_s_per_gb,
            RECEIVER_CPU_S_PER_GB: self.receiver_cpu_s_per_gb,
            SYSTEM_CPU_S_PER_GB: self.system_cpu_s_per_gb,
            TOTAL_CPU_S_PER_GB: sum(part for part in both if part is not None) if summed else None,
            "notes": list(self.notes),
        }


def number_at(tree: Tree, *path: str) -> float:
    """Return the number at *path* of a JSON tree; raises ValueError if there is none, or none that a test can have."""
    found: object = tree
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return checked(found, ".".join(path))


def checked(found: object, where: str) -> float:
    """Return *found* as a number of 0 to LARGEST; raises ValueError that names *where* it stands."""
    if isinstance(found, str):
        text = found
        try:
            found = float(text)
        except ValueError:
            raise ValueError(f"{where} is {text[:40]!r}: expected a number") from None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{where} is {'not there' if found is None else repr(found)[:40]}: expected a number")
    if not 0 <= found <= LARGEST or not math.isfinite(found):
        shown = repr(found) if isinstance(found, float) else f"{'-' if found < 0 else ''}a number of {found.bit_length()} bits"
        raise ValueError(f"{where} is {shown}: expected 0 to {LARGEST:g}")
    return float(found)
