"""Measure in a fresh process for each replicate, one after another, while this process sleeps.

Two processes differ in ways in which the generations of one process do not: where their memory lies, how their dictionaries are laid out,
which pages their file has. Intervals over replicates cover these differences; those over generations do not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from zcload.model.progress import Viewer
from zcload.model.study import Study
from zcload.runner import limits
from zcload.runner.fresh_process import converse
from zcload.runner.known_files import KnownFiles
from zcload.runner.measurer import Host
from zcload.runner.point_state import PointState
from zcload.runner.replicate import Done, Task
from zcload.store.writer import Recorder

_SET_UP_SHARE = 0.75  # of what is measured: a replicate that takes longer to start and end measures more rounds
_MOST_ROUNDS = 12
_END_S = 10.0  # a replicate that was asked to end takes its lanes down within this


class FreshReplicates:
    """Measures each cluster in what `_run` sets up afresh: as many rounds in each as make its set-up a part of what is measured."""

    def __init__(self, study: Study, first: int) -> None:
        self._study, self._number = study, first
        self._set_up_s = self._round_s = 0.0  # of the last replicate: what it took beside its rounds, and one round

    def measure(self, states: Sequence[PointState]) -> None:
        rounds = self._rounds(states)
        before = {state.index: state.spent_s for state in states}
        fresh = {state.index for state in states if not state.prepared}
        took_s = self._run(states, rounds)
        measured_s = sum(state.spent_s - before[state.index] for state in states)
        self._round_s = measured_s / rounds
        if not fresh:  # what preparing takes is extra; what a replicate takes is part of the point's time
            self._set_up_s = max(0.0, took_s - measured_s)
            for state in states:
                state.set_up_s = self._set_up_s / len(states)
                state.spent_s += state.set_up_s

    def check(self, states: Sequence[PointState]) -> None:
        self._run(states, 0)

    def _rounds(self, states: Sequence[PointState]) -> int:
        """Return how many rounds the next replicate measures: so many that its set-up is a part of them, if enough replicates fit."""
        if not self._round_s or not self._set_up_s:
            return 1
        stop = self._study.stop
        wanted = math.ceil(self._set_up_s / (_SET_UP_SHARE * self._round_s))
        left_s = min(stop.max_time_s - state.spent_s for state in states) * len(states)
        missing = max(1, stop.replicates - min(state.clusters for state in states))
        fit = int((left_s / missing - self._set_up_s) / self._round_s)
        return max(1, min(wanted, fit, _MOST_ROUNDS))

    def _run(self, states: Sequence[PointState], rounds: int) -> float:
        """Measure *rounds* of *states*, or with 0 the check of their windows, and bring them up to date; return how long it took (seconds).

        Raises the error that ended it early, with the states as far as they came.
        """
        raise NotImplementedError


class Replicates(FreshReplicates):
    """Measures each cluster in a process of its own."""

    def __init__(self, study: Study, host: Host, seed: str, recorder: Recorder, view: Viewer, first: int = 0) -> None:
        super().__init__(study, first)
        self._host, self._seed, self._recorder, self._view = host, seed, recorder, view
        self._files = KnownFiles.of(study)

    def close(self) -> None:
        self._files.close()

    def _run(self, states: Sequence[PointState], rounds: int) -> float:
        """Have a fresh process do a task for *states* and bring them up to date."""
        number, self._number = self._number, self._number + 1
        task = Task(self._study, self._host, f"{self._seed}, replicate {number}", number, states, self._files, rounds)
        inherited = [self._recorder.fileno(), *self._files.descriptors()]
        began = time.monotonic()  # a process takes time to start and to end, which is no less spent than what it measures
        limit_s = limits.replicate_s(self._study, states, rounds)
        order = (task, str(self._recorder.directory))
        done = converse(f"replicate {number}", "replicate", order, self._view, limit_s=limit_s, end_s=_END_S, inherited=inherited)
        assert isinstance(done, Done)
        for state, now in zip(states, done.states, strict=True):
            state.update(now)
        self._files = done.files
        if done.error is not None:
            raise done.error
        return time.monotonic() - began
