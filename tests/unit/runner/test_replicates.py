"""The time that replicates take counts as time of their points."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.progress import nobody
from zcload.model.study import Point, Stop, Study, Variant
from zcload.runner import replicates
from zcload.runner.known_files import KnownFiles
from zcload.runner.point_state import PointState
from zcload.runner.replicate import Done

MEASURED_S, PROCESS_S = 1.0, 0.75  # of a replicate: its generation, and the start and end of its process with a file


@pytest.fixture
def points(monkeypatch):
    """Return a measurer whose replicates only take time, and the states of two points."""
    study = Study("s", "copy", (Variant("copy", "read_send"), Variant("sendfile", "sendfile")), (Point(), Point(senders=2)), Stop())
    clock = [0.0]

    def converse(name, module, order, view, **more):
        (task, _) = order
        for state in task.states:
            state.spent_s += MEASURED_S
            state.prepared = True
        clock[0] += MEASURED_S * len(task.states) + PROCESS_S
        return Done(task.states, task.files, None)

    monkeypatch.setattr(replicates, "converse", converse)
    monkeypatch.setattr(replicates, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(KnownFiles, "of", classmethod(lambda cls, study: cls()))
    recorder = SimpleNamespace(fileno=lambda: -1, directory="r")
    measurer = replicates.Replicates(study, None, "1", recorder, nobody)
    return measurer, [PointState(study, index, TOTAL_CPU_S_PER_GB) for index in (0, 1)]


def test_start_and_end_of_a_replicate_count(points):
    """What the processes take to start and to end is shared by their points, but for the first, which prepares them."""
    measurer, states = points
    measurer.measure(states)
    assert [state.spent_s for state in states] == [MEASURED_S, MEASURED_S]
    measurer.measure(states)
    assert [state.spent_s for state in states] == [pytest.approx(2 * MEASURED_S + PROCESS_S / 2)] * 2
