"""How long the phases of a run may take: no shipped study is planned to take longer than its limits allow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.paths import CONFIGS

from zcload.config import load
from zcload.runner import limits
from zcload.runner.plan import plan

STUDIES = sorted(path for path in CONFIGS.glob("*.toml") if "[cluster]" not in path.read_text())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_limits_leave_room_for_the_plan(path):
    """All phases together may take at least twice what is planned beside the time limit, and never less than that."""
    planned = plan(load(path), check_windows=True)
    assert planned.limit_s > planned.total_s
    assert planned.limit_s - planned.measure_s > 2 * (planned.setup_s + planned.check_s)


def test_the_limit_of_a_run_is_the_sum_of_its_phases():
    """Each point adds the limits of its file, its preparation, its time, three more generations, and the check of its windows."""
    study = load(CONFIGS / "smoke.toml", ["stop.replicates=1"])
    (point,) = study.points
    parts = [limits.making_s(point), limits.preparing_s(study, point), study.stop.max_time_s, 3 * limits.generation_s(study, point)]
    assert limits.point_s(study, point) == pytest.approx(sum(parts))
    alone = limits.run_s(study, check_windows=False)
    assert alone == pytest.approx(sum(parts) + limits.run_s(replace(study, points=()), check_windows=False))
    assert limits.run_s(study, check_windows=True) == pytest.approx(alone + limits.check_s(study, point))
