"""Find a time limit that cannot hold the least number of generations, from the windows that they need."""

from __future__ import annotations

import math
from dataclasses import replace

from zcload.config.finding import Finding, Path
from zcload.config.resolved import Resolved
from zcload.model.study import Point, Study
from zcload.model.timing import FEWEST_GENERATIONS, SHORTEST_PACED_S, least_generation_s, least_window_s, shortest_window_s
from zcload.model.units import format_duration, format_size, human_duration

VALUES_OF_A_CROSSOVER = 2  # a crossing lies between two values
_STEPS_PER_S = 200  # windows are multiples of 5 ms
_SMALLEST_CHUNK = 4096


def find_short_limit(study: Study, config: Resolved) -> Finding | None:
    """Return what is wrong with the time limit of the resolved *study*, None where each point can have its least number of generations.

    Where zcload may choose the length of windows, and no rate makes them long, a short limit gives fewer generations than
    stop.min_generations asks for: wide intervals, but intervals. Only a limit that cannot hold two generations is refused there.
    """
    needs = _needs(study)
    number = max(range(len(needs)), key=needs.__getitem__)
    needed, limit = needs[number], study.stop.max_time_s
    if study.crossover is not None:
        number = min(range(len(needs)), key=needs.__getitem__)
        needed = VALUES_OF_A_CROSSOVER * needs[number]
    point = _with_unknown_size(study.points[number])
    if needed <= limit:
        return None
    window = shortest_window_s(study, point)
    what = (
        f"{human_duration(limit)} cannot hold {_generations(study, point)} generations of {len(study.variants)} lanes "
        f"with windows of {human_duration(window)}{_reason(study, point)}, which take {human_duration(math.ceil(needed))}"
    )
    remedies = [f'max_time = "{format_duration(_with_room(needed))}"', *_shorter_windows(study, point, limit / needed)]
    return Finding(_path(study, config, point), what, ", or ".join(remedies))


def sufficient_limit_s(study: Study) -> float:
    """Return a time limit for each point of *study*, no search, that holds the least number of generations at all of them."""
    return _with_room(max(_needs(study)))


def _needs(study: Study) -> list[float]:
    return [_least_s(study, _with_unknown_size(point)) for point in study.points]


def _with_room(needed_s: float) -> int:
    return math.ceil(1.25 * needed_s)


def _with_unknown_size(point: Point) -> Point:
    """Return *point* with a size for the user's own file that makes no request longer than it is: the file has not been opened yet."""
    return point if point.file is None else replace(point, file_size=1)


def _generations(study: Study, point: Point) -> int:
    fixed = study.stop.window_s is not None or least_window_s(study, point) > 0
    return study.stop.min_generations if fixed else FEWEST_GENERATIONS


def _least_s(study: Study, point: Point) -> float:
    return _generations(study, point) * least_generation_s(study, point)


def _reason(study: Study, point: Point) -> str:
    """Say what makes the windows of *point* as long as they are."""
    if study.stop.window_s is not None:
        return " (stop.window)"
    return " (for the rate)" if least_window_s(study, point) else ""


def _shorter_windows(study: Study, point: Point, share: float) -> list[str]:
    """Return what makes the windows short enough where they may last *share* of what they do now."""
    if study.stop.window_s is not None:
        steps = math.floor(0.8 * share * study.stop.window_s * _STEPS_PER_S)
        return [f'window = "{format_duration(steps / _STEPS_PER_S)}"'] if steps else []
    if point.paced and share * shortest_window_s(study, point) > SHORTEST_PACED_S:
        chunk = 1 << max(int(0.8 * share * point.chunk), 1).bit_length() - 1
        return [f'chunk = "{format_size(chunk)}"'] if chunk >= _SMALLEST_CHUNK else []
    return []


def _path(study: Study, config: Resolved, point: Point) -> Path:
    """Return the key to name: the limit where it is written, else the key that makes the windows long."""
    if config.crossover is not None:
        return config.crossover.at("max_time")
    if "max_time" not in config.stop and study.stop.window_s is not None:
        return config.stop.at("window")
    if "max_time" not in config.stop and point.rate_bps is not None:
        return next(found.path for found in config.workload.values("rate") if found.value == point.rate_bps)
    return config.stop.at("max_time")
