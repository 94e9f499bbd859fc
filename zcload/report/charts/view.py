"""A result prepared for charts: its measured points, the variants with their colours, what was swept, the raw series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zcload.model.metrics import (
    RECEIVER_CPU_CORES,
    RECEIVER_CPU_S_PER_GB,
    RECEIVER_CPU_S_PER_TRANSFER,
    RELAY_CPU_CORES,
    RELAY_CPU_S_PER_GB,
    SENDER_CPU_CORES,
    SENDER_CPU_S_PER_GB,
    SENDER_CPU_S_PER_TRANSFER,
    SYSTEM_CPU_S_PER_GB,
    SYSTEM_CPU_S_PER_TRANSFER,
    TOTAL_CPU_CORES,
    TOTAL_CPU_S_PER_GB,
    TOTAL_CPU_S_PER_TRANSFER,
)
from zcload.model.records.summary import PointSummary, Summary, VariantRecord
from zcload.report.charts.parts import Look, looks
from zcload.report.charts.series import PointRaw
from zcload.report.text.figures import NONE, significant

Point = PointSummary
Variant = VariantRecord

LEDGERS: tuple[tuple[str, str, str | None], ...] = (
    ("sender", SENDER_CPU_S_PER_GB, SENDER_CPU_CORES),
    ("receiver", RECEIVER_CPU_S_PER_GB, RECEIVER_CPU_CORES),
    ("both ends", TOTAL_CPU_S_PER_GB, TOTAL_CPU_CORES),
    ("machine", SYSTEM_CPU_S_PER_GB, None),
)


_OF_THREE = {"both ends": "all three"}  # what the sum of a lane is called that has a relay

LEDGERS_PER_FILE = (
    ("sender", SENDER_CPU_S_PER_TRANSFER),
    ("receiver", RECEIVER_CPU_S_PER_TRANSFER),
    ("both ends", TOTAL_CPU_S_PER_TRANSFER),
    ("machine", SYSTEM_CPU_S_PER_TRANSFER),
)


@dataclass(frozen=True, slots=True)
class Demand:
    """The service demand that a chart shows: each ledger's metric, the *unit* of its figures, and their *scale*."""

    ledgers: tuple[tuple[str, str], ...]
    unit: str
    scale: float


def ledgers_of(points: Sequence[Point]) -> tuple[tuple[str, str, str | None], ...]:
    """Return the ledgers of *points*, each with the metrics of its CPU per GB and of its cores: of relays their own comes first."""
    if any("relay" in point for point in points):
        return (("relay", RELAY_CPU_S_PER_GB, RELAY_CPU_CORES), *((_OF_THREE.get(each[0], each[0]), *each[1:]) for each in LEDGERS))
    return LEDGERS


def demand_of(points: Sequence[Point]) -> Demand:
    """Return CPU microseconds per file where all *points* are of small files, else CPU seconds per GB."""
    if all(point["point"].get("transfer_bytes") for point in points):
        return Demand(LEDGERS_PER_FILE, "us/file", 1e6)
    return Demand(tuple((ledger, key) for ledger, key, _ in ledgers_of(points)), "s/GB", 1.0)


@dataclass(frozen=True, slots=True)
class View:
    """One result. *points* are those with measured windows, each with its number in the summary; *swept* is the sweep's axis title."""

    summary: Summary
    points: tuple[tuple[int, Point], ...]
    looks: Mapping[str, Look]
    swept: str
    labels: tuple[str, ...]
    raw: Mapping[str, PointRaw]

    @property
    def several(self) -> bool:
        """Say whether there is more than one point."""
        return len(self.points) > 1

    def share(self, most: int) -> int:
        """Return how many of at most so many marks one point's chart may have: fewer when many points have one each."""
        return max(most // 3, most // max(1, len(self.points)))


def view_of(summary: Summary, raw: Mapping[str, PointRaw]) -> View:
    """Return the view of a summary and what was read of its records."""
    measured = tuple((i, point) for i, point in enumerate(summary["points"]) if point["generations"])
    mechanisms = {v["name"]: v["mechanism"] for point in summary["points"] for v in point["variants"]}
    title, labels = swept([point["name"] for _, point in measured])
    return View(summary, measured, looks(mechanisms), title, labels, raw)


def swept(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return what a sweep's axis is called and its steps: of "chunk=4KiB", "chunk=16KiB" it is chunk, 4KiB and 16KiB."""
    keys = {name.partition("=")[0] for name in names}
    if len(keys) == 1 and all("=" in name and "," not in name for name in names):
        return keys.pop(), tuple(name.partition("=")[2] for name in names)
    return "point", tuple(name or "the point" for name in names)


def drawn(point: Point) -> list[Variant]:
    """Return the variants of a point that moved payload in measured windows."""
    return [v for v in point["variants"] if v["windows"] and v.get("moves_payload", True)]


def figure(variant: Variant, key: str | None) -> Mapping[str, Any] | None:
    """Return a metric of a variant if it has a value; results of earlier versions lack some, or have some below 0."""
    found = variant["metrics"].get(key) if key else None
    return found if found and found["estimate"] is not None and found["estimate"] >= 0 else None


def interval(found: Mapping[str, Any] | None, scale: float = 1.0) -> str:
    """Write a figure with the ends of its interval: "12.3 (12.0..12.6)"."""
    if not found or found["estimate"] is None:
        return NONE
    if found["low"] is None:
        return significant(found["estimate"] * scale)
    return f"{significant(found['estimate'] * scale)} ({significant(found['low'] * scale)}..{significant(found['high'] * scale)})"
