"""Whether a point that cannot meet its target says so early, and one that can does not."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.study import Point, Stop, Study, Variant
from zcload.runner.point_state import TELLING_CLUSTERS, PointState

MAX_TIME_S, TARGET, RUNS = 40.0, 0.03, 300
STUDY = Study(
    "outlook",
    "read_send",
    (Variant("read_send", "read_send"), Variant("sendfile", "sendfile")),
    points=(Point(),),
    stop=replace(Stop(), max_time_s=MAX_TIME_S, target=TARGET),
)


def outlooks(sd, rng):
    """Measure a point, one cluster a second with log-ratios of spread *sd*; return what it says it needs after each cluster."""
    state = PointState(STUDY, 0, TOTAL_CPU_S_PER_GB)
    state.extra = None
    for _ in range(int(MAX_TIME_S)):
        state.logs.setdefault("sendfile", []).append(rng.gauss(math.log(0.6), sd))
        state.clusters += 1
        state.spent_s += 1.0
        yield state.needed_s()


def sd_needing(seconds):
    """Return the spread at which the ratio's half-width is the target after so many clusters of a second."""
    return TARGET / 0.6 * math.sqrt(seconds) / 2.25  # 2.25: t of the interval, which is wider than 95 % to allow for looks


@pytest.mark.slow
def test_what_cannot_be_met_is_said_early():
    """A point that needs four times its time says so before half of it is over, and names a time within a factor of two."""
    rng, early, near = random.Random(1), 0, 0
    for _ in range(RUNS):
        said = list(outlooks(sd_needing(4 * MAX_TIME_S), rng))
        assert said[: TELLING_CLUSTERS - 1] == [None] * (TELLING_CLUSTERS - 1)
        early += any(said[: len(said) // 2])
        near += said[-1] is not None and 2 * MAX_TIME_S < said[-1] < 8 * MAX_TIME_S
    assert early > 0.95 * RUNS
    assert near > 0.9 * RUNS


@pytest.mark.slow
def test_what_can_be_met_is_rarely_doubted():
    """A point that needs a quarter of its time says the contrary in few runs, and at the end of none."""
    rng, doubted = random.Random(2), 0
    for _ in range(RUNS):
        said = list(outlooks(sd_needing(MAX_TIME_S / 4), rng))
        doubted += any(said)
        assert said[-1] is None
    assert doubted < 0.1 * RUNS
