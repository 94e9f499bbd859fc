"""Which points are measured next: rounds over all of them, or a search for where one variant starts to beat another.

If a point fails, the others continue. The study fails only if all points have failed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from zcload.analysis.crossover_search import Search
from zcload.errors import StudyError
from zcload.model.study import Crossover, Study
from zcload.runner.block import Emit
from zcload.runner.measurer import Measurer
from zcload.runner.point_state import PointState

FOUND, OUT_OF_TIME = "enough is known of the crossing", "the search's time is over"


def run_points(measurer: Measurer, states: Sequence[PointState], emit: Emit, check_windows: bool) -> None:
    """Measure every point of an ordinary study; raises StudyError if no point could be, Interrupted."""
    while going := [state for state in states if state.going]:
        measurer.measure(going)
        for state in going:
            if state.going and (reason := state.reason_to_stop()) is not None:
                end(state, reason, emit)
    if check_windows and (sound := [state for state in states if state.failed is None]):
        measurer.check(sound)
    require_one(states)


def end(state: PointState, reason: str, emit: Emit) -> None:
    """Stop measuring the point of *state*, for *reason*."""
    state.stopped = reason
    emit({"kind": "stopped", "point": state.index, "reason": reason, "generations": state.generation})


def require_one(states: Sequence[PointState]) -> None:
    """Raise StudyError if all of *states* have failed."""
    failures = [state.failed for state in states if state.failed is not None]
    if failures and len(failures) == len(states):
        raise StudyError(failures[0])


def run_crossover(measurer: Measurer, states: Sequence[PointState], crossover: Crossover, emit: Emit) -> None:
    """Measure, in rounds, the points that show where the contender starts to beat the baseline.

    *states* are those of all values; one that an interrupted run measured continues. Raises StudyError if no point could be
    measured, Interrupted.
    """
    study = states[0].study
    search = search_of(study, crossover)
    by_value = dict(zip(search.values, states, strict=True))
    begun = {value: state for value, state in by_value.items() if state.generation}
    for value, state in begun.items():
        search.begin(value, state.logs.get(crossover.contender, ()))
    start, longest_s = time.monotonic() - sum(state.spent_s for state in begun.values()), 0.0
    wanted, reason = search.look() if begun else list(search.logs), FOUND
    while wanted:
        left_s = crossover.max_time_s - (time.monotonic() - start)
        fit = int(left_s / longest_s) if longest_s else len(wanted)
        if fit < len(wanted):
            reason, wanted = OUT_OF_TIME, wanted[:fit]
        if not wanted:
            break
        began = time.monotonic()
        measurer.measure([by_value[value] for value in wanted if by_value[value].going])
        longest_s = max(longest_s, (time.monotonic() - began) / len(wanted))
        for value in wanted:
            begun[value] = by_value[value]
            _take(search, value, by_value[value], crossover.contender, emit)
        if reason == OUT_OF_TIME:
            break
        wanted = search.look()
    for state in begun.values():
        if state.going:
            end(state, reason, emit)
    require_one(list(begun.values()))


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


def _take(search: Search, value: float, state: PointState, contender: str, emit: Emit) -> None:
    """Give the search what was measured of *value*; one that cannot be measured is dropped."""
    if state.going and contender in state.out:
        end(state, "nothing to compare", emit)
    if not state.going:
        search.drop(value)
        return
    for log in state.logs.get(contender, [])[len(search.logs[value]) :]:
        search.take(value, log)
