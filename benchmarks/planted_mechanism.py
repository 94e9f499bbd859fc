"""The mechanism of planted.py: read_send that burns a known amount per call. Every process that measures registers it."""

from __future__ import annotations

import os
import time

from zcload.mechanisms import MECHANISMS
from zcload.mechanisms.read_send import ReadSend

BURNS_NS = "PLANTED_NS"  # the environment variable with what is burnt per call, in ns


def burn(ns: int) -> None:
    """Use the CPU for *ns*, and a little more."""
    until = time.perf_counter_ns() + ns
    while time.perf_counter_ns() < until:
        pass


def overhead_ns() -> int:
    """Return how much more that is."""
    start = time.perf_counter_ns()
    for _ in range(50_000):
        burn(0)
    return (time.perf_counter_ns() - start) // 50_000


class Planted(ReadSend):
    """Read a chunk, send it, and burn what was planted."""

    name = "planted"
    summary = "read_send that burns a known amount per call"

    def __init__(self, *arguments: object, **options: int) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._burns_ns = max(0, int(os.environ.get(BURNS_NS, "0")) - overhead_ns())

    def send(self, offset: int, count: int) -> int:
        sent = super().send(offset, count)
        burn(self._burns_ns)
        return sent


MECHANISMS[Planted.name] = Planted
