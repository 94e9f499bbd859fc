"""How steady the cost of copying memory is. Guests of one host share it: steal tells of its CPUs, and nothing of its memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_S = 0.04  # as short as zcload's own windows
WINDOWS = 12
BUFFER_BYTES = 64 << 20  # each of two: more than most last-level caches hold
_PIECE_BYTES = 4 << 20  # 0.4 to 4 ms of copying between two looks at the clock


@dataclass(frozen=True, slots=True)
class CopyCost:
    """CPU seconds per GB that copying memory costs: the *median* of short windows, and their standard deviation over it, *variation*."""

    median: float
    variation: float


def copy_cost(clock: Callable[[], float] = time.thread_time, windows: int = WINDOWS, buffer_bytes: int = BUFFER_BYTES) -> CopyCost | None:
    """Copy one buffer of *buffer_bytes* into another, for *windows* windows of CPU time; None without the memory for both.

    *clock* returns seconds. The default is the CPU time of this thread (CLOCK_THREAD_CPUTIME_ID): waiting for a CPU counts nowhere.
    """
    try:
        source, target = memoryview(bytearray(buffer_bytes)), memoryview(bytearray(buffer_bytes))
    except MemoryError:
        return None
    source[::4096] = target[::4096] = bytes(len(source[::4096]))  # a page that was never written is the kernel's one page of zeros
    costs, offset = [], 0
    for _ in range(windows):
        copied, began = 0, clock()
        while (took_s := clock() - began) < WINDOW_S:
            target[offset : offset + _PIECE_BYTES] = source[offset : offset + _PIECE_BYTES]
            copied += _PIECE_BYTES
            offset = (offset + _PIECE_BYTES) % buffer_bytes
        costs.append(took_s / copied * 1e9)
    median = statistics.median(costs)
    return CopyCost(median, statistics.pstdev(costs) / median)
