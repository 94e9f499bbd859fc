"""The rounds of a study: points take turns."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.study import Point
from zcload.runner.measurer import InProcess
from zcload.runner.point_state import PointState
from zcload.runner.rounds import run_points


def test_points_take_turns(run_of):
    """Points take turns, a generation each, in random order, until each may stop."""
    study = replace(run_of("a").context.study, points=(Point(),) * 3)
    turns, states = [], [PointState(study, index, TOTAL_CPU_S_PER_GB) for index in range(3)]
    needed = dict(enumerate((30, 30, 5)))

    class Turn:
        def __init__(self, state):
            self.state = state
            self.context = SimpleNamespace(study=state.study, point=state.study.points[state.index])

        def measure_generation(self):
            turns.append(self.state.index)
            needed[self.state.index] -= 1

        def close_cluster(self):
            self.state.stopped = None if needed[self.state.index] else "done"

    measurer = InProcess.__new__(InProcess)
    measurer._rng, measurer._resources = random.Random(1), SimpleNamespace(check_sources=lambda: None)
    measurer.points = lambda states: [Turn(state) for state in states]
    run_points(measurer, states, print, False)
    assert Counter(turns) == {0: 30, 1: 30, 2: 5}
    taken = [tuple(turns[i : i + 3]) for i in range(0, 15, 3)]
    assert all(sorted(each) == [0, 1, 2] for each in taken)
    assert len(set(taken)) > 1
