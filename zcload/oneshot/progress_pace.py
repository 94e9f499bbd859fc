"""Limit progress output to once a second, whatever the chunk."""

from __future__ import annotations

import time

from zcload.model.progress import Progress, Viewer
from zcload.model.units import human_bytes

_INTERVAL_S = 1.0


class Pace:
    """Hand progress to a viewer at most once a second."""

    def __init__(self, view: Viewer) -> None:
        self._view = view
        self._next_s = time.monotonic() + _INTERVAL_S

    def report(self, phase: str, done: int, size: int | None = None) -> None:
        """Tell that *done* bytes, of *size* if that is known, have been through *phase*."""
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + _INTERVAL_S
        detail = human_bytes(done) if size is None else f"{human_bytes(done)} of {human_bytes(size)}"
        self._view(Progress(phase, detail, fraction=done / size if size else None))
