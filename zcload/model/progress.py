"""The progress of a run, as a record for a viewer. It is sent only while no window is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. *fraction* (0..1) is of the phase; *intervals* are (variant, saving low, estimate, high in %, half-width).

    *needed_s* is how long the point would have to be measured to meet its target, where its time is clearly too short for that.
    """

    phase: str
    detail: str = ""
    fraction: float | None = None
    point: int = 0
    points: int = 1
    generations: int = 0
    at_least: int = 0
    target_percent: float = 0.0
    intervals: tuple[tuple[str, float, float, float, float], ...] = ()
    left_s: float | None = None
    needed_s: float | None = None


Viewer = Callable[[Progress], None]


def nobody(progress: Progress) -> None:
    """Show nothing."""
