"""Which point gets the next generation: rounds over all points, or a search for where one variant starts to beat another.

A point that fails takes no other point with it. Only when all have failed the study has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from zcload.analysis.crossover_search import Search
from zcload.errors import StudyError
from zcload.model.study import Crossover, Study
from zcload.runner.context import PointFailed
from zcload.runner.point import PointRun
from zcload.runner.resources import StudyResources
from zcload.runner.window import LaneFailed

FOUND, OUT_OF_TIME = "enough is known of the crossing", "the search's time is over"


def run_points(resources: StudyResources, check_windows: bool) -> None:
    """Measure every point of an ordinary study; raises StudyError if no point could be, Interrupted."""
    points = [resources.point(index) for index in range(len(resources.study.points))]
    for point in points:
        if point.stopped is None:
            _attempt(point, point.prepare)
    rounds(points, resources.rng.shuffle)
    if check_windows:
        for point in points:
            if point.failure is None:
                _attempt(point, point.run_check)
    _require_one(points)


def rounds(points: Sequence[PointRun], shuffle: Callable[[list[PointRun]], None]) -> None:
    """Give every point that may not stop yet one generation a round, in random order, so that drift is not taken for a trend."""
    while going := [point for point in points if point.stopped is None]:
        shuffle(going)
        for point in going:
            _attempt(point, point.run_generation)


def run_crossover(resources: StudyResources, crossover: Crossover) -> None:
    """Measure, in rounds in random order, those points that tell where the contender starts to beat the baseline.

    Raises StudyError if no point could be measured, Interrupted.
    """
    study = resources.study
    search = search_of(study, crossover)
    index = {value: number for number, value in enumerate(search.values)}
    points: dict[float, PointRun] = {}
    for number in sorted(resources.previous):
        value = search.values[number]
        points[value] = resources.point(number)
        search.begin(value, points[value].logs.get(crossover.contender, ()))
        if points[value].stopped is None:
            _attempt(points[value], points[value].prepare)
    start, longest_s = time.monotonic() - sum(point.spent_s for point in points.values()), 0.0
    wanted, reason = search.look() if points else list(search.logs), FOUND
    while wanted and reason == FOUND:
        resources.rng.shuffle(wanted)
        for value in wanted:
            began = time.monotonic()
            if began - start + longest_s > crossover.max_time_s:
                reason = OUT_OF_TIME
                break
            if value not in points:
                points[value] = resources.point(index[value])
                _attempt(points[value], points[value].prepare)
            _measure(search, value, points[value], crossover.contender)
            longest_s = max(longest_s, time.monotonic() - began)
        else:
            wanted = search.look()
    for point in points.values():
        if point.stopped is None:
            point.end(reason)
    _require_one(list(points.values()))


def search_of(study: Study, crossover: Crossover) -> Search:
    """Return the search that *crossover* asks for, with nothing measured."""
    return Search(
        [swept_value(study, number) for number in range(len(study.points))],
        margin=study.stop.margin,
        precision=1 + crossover.precision,
        least=study.stop.min_generations,
    )


def swept_value(study: Study, number: int) -> float:
    """Return the value that the point *number* has on the axis of the study's crossover."""
    assert study.crossover is not None
    key, point = study.crossover.sweep, study.points[number]
    if key == "transfer_size":
        return float(point.sizes[0])
    return float(getattr(point, "rate_bps" if key == "rate" else key))


def _measure(search: Search, value: float, point: PointRun, contender: str) -> None:
    """Give *point* one generation and the search what it gave; a value that cannot be measured is dropped."""
    if point.stopped is None:
        _attempt(point, point.measure_generation)
    if point.stopped is None and contender in point.context.out:
        point.end("nothing to compare")
    if point.stopped is not None:
        search.drop(value)
        return
    for log in point.logs.get(contender, [])[len(search.logs[value]) :]:
        search.take(value, log)


def _attempt(point: PointRun, step: Callable[[], None]) -> None:
    if point.stopped is not None and point.failure is not None:
        return
    try:
        step()
    except (PointFailed, LaneFailed) as error:
        point.fail(error)


def _require_one(points: Sequence[PointRun]) -> None:
    failures: list[StudyError] = [point.failure for point in points if point.failure is not None]
    if failures and len(failures) == len(points):
        raise failures[0]
