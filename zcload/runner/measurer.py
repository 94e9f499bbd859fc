"""The interface of a measurer: the run's own process, or a fresh one for each replicate. Each measures one cluster of each point."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from zcload.errors import TimeLimitExceeded
from zcload.host.topology import Core
from zcload.linux import interrupt
from zcload.model.progress import Viewer
from zcload.model.study import Point, Study
from zcload.runner import limits
from zcload.runner.block import Emit
from zcload.runner.context import PointFailed
from zcload.runner.known_files import KnownFiles
from zcload.runner.point import PointRun
from zcload.runner.point_state import PointState
from zcload.runner.resources import StudyResources
from zcload.runner.window import LaneFailed


class Measurer(Protocol):
    """Measures points and updates their states. A point that fails is stopped; the others are measured."""

    def measure(self, states: Sequence[PointState]) -> None:
        """Prepare each point that is not prepared yet, then measure one cluster of each. Raises ZcloadError when the run must end."""

    def check(self, states: Sequence[PointState]) -> None:
        """Measure long windows of each point, to compare them with the short ones."""

    def close(self) -> None:
        """Give everything back; harmless when called twice."""


@dataclass(frozen=True, slots=True)
class Host:
    """What a run found on its host: cores, environment, and for each point the variants that cannot run there, with the reason."""

    cores: tuple[Core, ...]
    environment: Mapping[str, Any]
    out: Sequence[Mapping[str, Any]]


class Resources(Protocol):
    """Provides what the lanes of points run on, opened when first needed and closed together."""

    def point(self, state: PointState) -> PointRun:
        """Return the point of *state*, ready to be prepared or measured; raises ZcloadError."""

    def check_sources(self) -> None:
        """Raise StudyError if a file was changed."""

    def close(self) -> None:
        """Give everything back."""


class RoundsOf:
    """Measures rounds of points with *resources*, whose order *rng* draws; a cluster is what was measured since the last call."""

    def __init__(self, resources: Resources, rng: random.Random) -> None:
        self._resources, self._rng = resources, rng
        self._points: dict[int, PointRun] = {}

    def points(self, states: Sequence[PointState]) -> list[PointRun]:
        """Return the points of *states*, each prepared or failed."""
        for state in states:
            if state.index not in self._points:
                self._points[state.index] = self._resources.point(state)
        points = [self._points[state.index] for state in states]
        for point in points:
            if not point.state.prepared:
                attempt(point, point.prepare, limits.preparing_s)
        return points

    def measure(self, states: Sequence[PointState], rounds: int = 1) -> None:
        points = self.points(states)
        for _ in range(rounds):
            self._rng.shuffle(points)  # so that drift is not taken for a trend
            for point in points:
                attempt(point, point.measure_generation, limits.generation_s)
        for point in points:
            point.close_cluster()
        self._resources.check_sources()

    def check(self, states: Sequence[PointState]) -> None:
        for point in self.points(states):
            attempt(point, point.run_check, limits.check_s)
        self._resources.check_sources()

    def close(self) -> None:
        """Give everything back."""
        self._resources.close()


class InProcess(RoundsOf):
    """Measures in this process; a cluster is a generation."""

    def __init__(
        self,
        study: Study,
        host: Host,
        rng: random.Random,
        emit: Emit,
        view: Viewer,
        *,
        replicate: int | None = None,
        files: KnownFiles | None = None,
    ) -> None:
        files = files or KnownFiles()
        super().__init__(StudyResources(study, host.cores, host.environment, host.out, rng, emit, view, replicate, files), rng)


def attempt(point: PointRun, step: Callable[[], None], limit_s: Callable[[Study, Point], float]) -> None:
    """Do *step* for *point*, unless it has failed, for *limit_s* at most; if it fails now, other points continue."""
    if point.state.failed is not None:
        return
    try:
        with interrupt.limited(limit_s(point.context.study, point.context.point), lambda: point.doing):
            step()
    except (PointFailed, LaneFailed, TimeLimitExceeded) as error:
        point.fail(error)
