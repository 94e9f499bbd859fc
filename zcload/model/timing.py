"""How long windows and generations take, from a study alone. Config check, plan and calibration use it."""

from __future__ import annotations

from zcload.model.schedule import LONGEST_WINDOW_S, burst_bytes, window_s
from zcload.model.study import Point, Study

CONTENDERS_PER_GROUP = 3
LEAST_BLOCKS = 2  # of a generation, beside its warm-up
SHORTEST_S = 0.040  # 25..50 ms give the tightest intervals for their time; below 40 ms the coordinator's own share nears 1 %
SHORTEST_ACROSS_S = 0.15  # between hosts: an agent needs about 0.1 ms to close its gates, which is to stay below 0.1 % of a core
SHORTEST_PACED_S = 0.2  # at a rate: a sender that was held up for some milliseconds is to catch up before its window ends
LEAST_ARRIVALS = 50  # of a lane in a window: with fewer, windows would differ by chance alone
_PROBE_SHARE = 0.1  # of such a window is enough for one that only calibrates or warms up
FEWEST_GENERATIONS = 2  # of a point, whatever its limit: an interval needs two


_STALL_S = 10.0
_LEAST_BYTES_PER_S = 5_000_000  # a lane that is slower moves too little in a window to be measured
_LEAST_BYTES_PER_S_ACROSS = 1_000_000  # between hosts: a link of 10 Mbit/s carries 1.2 MB/s


def longest_transfer_s(count: int, across: bool = False) -> float:
    """Return how long *count* bytes may take in all (seconds), however evenly they drip: ten seconds, and one for each 5 MB.

    *across*: from host to host, one for each MB.
    """
    return _STALL_S + count / (_LEAST_BYTES_PER_S_ACROSS if across else _LEAST_BYTES_PER_S)


def lanes_of(contenders: int, together: bool) -> int:
    """Return how many lanes *contenders* beside the baseline are measured in: each group of them has a baseline lane of its own."""
    return contenders + (1 if together else max(1, -(-contenders // CONTENDERS_PER_GROUP)))


def lanes_measured(study: Study) -> int:
    """Return how many lanes a generation has at most: the variants, the best-chunk lane, and a baseline for each further group."""
    return lanes_of(len(study.variants) - 1 + study.best_chunk, study.schedule == "together")


def least_window_s(study: Study, point: Point) -> float:
    """Return how long the windows of *point* must be for its rate, 0.0 without one: long enough for the lane with the largest bursts,
    or for as many small files.
    """
    if point.transfers_per_s is not None:
        return min(LEAST_ARRIVALS / point.transfers_per_s, LONGEST_WINDOW_S)
    return max(chunk_window_s(point, contender.burst_bytes) for contender in study.contenders(point))


def chunk_window_s(point: Point, chunk: int) -> float:
    """Return how long a window must be for a lane with *chunk* to have its least number of bursts in it; 0.0 without a rate."""
    return window_s(point.rate_bps, burst_bytes(chunk, point.chunk), point.senders) if point.paced and point.rate_bps else 0.0


def probe_window_s(least_s: float, shortest_s: float) -> float:
    """Return how long a window must be that is only to be looked at, where one that counts must last *least_s*."""
    return max(shortest_s, least_s * _PROBE_SHARE)


def shortest_s(study: Study) -> float:
    """Return how long windows of *study* last at least where nothing else asks for more."""
    return SHORTEST_ACROSS_S if study.cluster else SHORTEST_S


def shortest_window_s(study: Study, point: Point) -> float:
    """Return the length of the shortest windows that *point* may get: stop.window, or what its rate needs, or the shortest there are."""
    paced = least_window_s(study, point)
    return study.stop.window_s or max(shortest_s(study), paced, SHORTEST_PACED_S if paced else 0.0)


def generation_s(study: Study, point: Point, window: float, lanes: int) -> float:
    """Return how long the windows of the shortest generation take, each *window* seconds: a warm-up block and the least blocks."""
    paced = least_window_s(study, point)
    warm_up = probe_window_s(paced, SHORTEST_S) if paced else window
    return (warm_up + LEAST_BLOCKS * window) * (1 if study.schedule == "together" else lanes)


def least_generation_s(study: Study, point: Point) -> float:
    """Return how long the windows of a generation of *point* take at least: the best-chunk lane, which may not come, is left out."""
    lanes = lanes_of(len(study.variants) - 1, study.schedule == "together")
    return generation_s(study, point, shortest_window_s(study, point), lanes)


def may_try(study: Study, point: Point, chunk: int) -> bool:
    """Say whether *chunk* is small enough for the rate to be tried as the baseline's best.

    Twice its window must be one that is allowed, and the time limit must hold the least number of generations with such windows.
    """
    if chunk <= point.chunk or not point.paced:
        return True
    window = chunk_window_s(point, chunk)
    takes = study.stop.min_generations * generation_s(study, point, window, lanes_measured(study))
    return window <= LONGEST_WINDOW_S / 2 and takes <= study.stop.max_time_s
