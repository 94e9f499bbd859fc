"""How long the phases of a run may take: no shipped study is planned to take longer than its limits allow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.paths import CONFIGS

from benchmarks.scale import make
from zcload.config import load
from zcload.errors import StudyError
from zcload.model import timing
from zcload.model.cluster import Cluster
from zcload.model.schedule import LONGEST_WINDOW_S
from zcload.model.study import Server, Variant
from zcload.report.charts import draw
from zcload.runner import limits, run
from zcload.runner.block import Tolerance
from zcload.runner.calibrate import LONGEST_S
from zcload.runner.cluster_measurer import deadline_s
from zcload.runner.plan import plan

ON_HOSTS = sorted(path for path in CONFIGS.rglob("*.toml") if "\n[cluster]" in path.read_text())
STUDIES = sorted(path for path in CONFIGS.glob("*.toml") if "[cluster]" not in path.read_text())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_limits_leave_room_for_the_plan(path):
    """All phases together may take at least twice what is planned beside the time limit, and never less than that."""
    planned = plan(load(path), check_windows=True)
    assert planned.limit_s > planned.total_s
    assert planned.limit_s - planned.measure_s > 2 * (planned.setup_s + planned.check_s)


def test_the_limit_of_a_run_is_the_sum_of_its_phases():
    """Each point adds the limits of its file, preparation, time, three more generations, check, evaluation and page."""
    study = load(CONFIGS / "smoke.toml", ["stop.replicates=1"])
    (point,) = study.points
    parts = [limits.making_s(point), limits.preparing_s(study, point), study.stop.max_time_s, 3 * limits.generation_s(study, point)]
    assert limits.point_s(study, point) == pytest.approx(sum(parts))
    alone = limits.run_s(study, check_windows=False)
    stored = limits.STORED_BYTES_PER_S * study.stop.max_time_s
    parts += 2 * [limits.concluding_s(stored) - limits.concluding_s(0)]
    assert alone == pytest.approx(sum(parts) + limits.run_s(replace(study, points=()), check_windows=False))
    assert limits.run_s(study, check_windows=True) == pytest.approx(alone + limits.check_s(study, point))


def smoke(**stop):
    """Return the study of smoke.toml, with *stop* changed, and its point."""
    study = load(CONFIGS / "smoke.toml", [f"stop.{key}={value}" for key, value in stop.items()])
    return study, study.points[0]


@pytest.mark.parametrize("max_time_s", [60, 3600, 36_000])
def test_a_generation_may_repeat_all_blocks_that_may_be_repeated(max_time_s):
    """Work of others that begins late in a long run, and lasts, does not make the point fail by its limit."""
    study, point = smoke(max_time=f"'{max_time_s}s'")
    block_s = 0.1
    tolerance = Tolerance(False, blocks=round(max_time_s / block_s))
    while tolerance.may_repeat():
        tolerance.blocks, tolerance.repeats = tolerance.blocks + 1, tolerance.repeats + 1
    assert limits.generation_s(study, point) > tolerance.repeats * block_s + limits.START_S


@pytest.mark.parametrize("limit", [limits.preparing_s, limits.generation_s, limits.check_s])
def test_servers_have_the_times_of_their_config(limit):
    """Every set of lanes may take as long as each of its servers may take to be ready and to end."""
    study, point = smoke()
    server = Server(command=("true",), ready_s=200.0, grace_s=100.0)
    serving = replace(study, variants=tuple(replace(v, server=server) for v in study.variants))
    assert limit(serving, point) - limit(study, point) >= 300 * len(study.variants)


def test_a_slow_disk_is_no_reason_to_give_up():
    """A file on a disk may be written or read at 5 MB/s, before the run and in each window that begins with a cold cache."""
    study, point = smoke()
    for there in (replace(point, file="/somewhere"), replace(point, dir="/somewhere")):
        assert limits.making_s(there) > point.file_size / 5e6
    windows = 3 * len(study.variants)  # a warm-up and two that count
    assert limits.generation_s(study, replace(point, cache="cold")) > windows * point.file_size / 5e6


def test_lanes_of_many_processes_have_time_to_start():
    """Each process of each lane adds to the time in which lanes are set up and torn down."""
    study, point = smoke()
    many = replace(point, senders=1000, receivers=1000)
    for limit in (limits.preparing_s, limits.generation_s, limits.check_s):
        assert limit(study, many) - limit(study, point) > len(study.variants) * 1900 * 0.01


def test_agents_outlast_every_run():
    """Agents of the shipped studies on several hosts end by themselves only after the limit of the whole run."""
    assert ON_HOSTS
    for path in ON_HOSTS:
        study = load(path)
        assert deadline_s(study) > plan(study, check_windows=True).limit_s


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_generation_has_room_for_the_longest_windows_of_calibration(path):
    """Also where every window, that of perf events too, is as long as calibration lets it be, half a minute is left for the rest."""
    study = load(path)
    for point in study.points:
        window = LONGEST_WINDOW_S if timing.least_window_s(study, point) else LONGEST_S
        lanes = timing.lanes_measured(study)
        measured = timing.generation_s(study, point, window, lanes) + lanes * window
        assert limits.generation_s(study, point) >= measured + limits.START_S


def across(*variants):
    """Return a study on two hosts with *variants*, and its point of 64 MiB."""
    study, point = smoke()
    whole = replace(study, variants=tuple(Variant(name, name) for name in variants), baseline=variants[0], cluster=Cluster("tcp://a:1"))
    return whole, replace(point, file_size=64 << 20)


def test_a_link_of_10_mbit_is_no_reason_to_give_up():
    """Between hosts a lane is verified at 1 MB/s, and one that moves the whole file in each window has the time for that."""
    assert timing.longest_transfer_s(100_000_000) == pytest.approx(30.0)
    assert timing.longest_transfer_s(100_000_000, across=True) == pytest.approx(110.0)
    pass_s = (64 << 20) / 1e6
    study, point = across("read_send", "slurp_send")
    chunked, _ = across("read_send", "sendfile")
    assert limits.preparing_s(chunked, point) > pass_s
    for limit, windows in ((limits.preparing_s, 3), (limits.generation_s, 3), (limits.check_s, 2)):
        assert limit(study, point) - limit(chunked, point) >= windows * pass_s, limit
        on_one_host = [limit(replace(each, cluster=None), point) for each in (study, chunked)]
        assert on_one_host[0] == on_one_host[1], limit


def test_a_long_result_may_be_evaluated_longer():
    """The limit of evaluation and page grows with the windows: a million of them, 1 GB, have a quarter of an hour more than none."""
    assert limits.concluding_s(1e9) - limits.concluding_s(0) > 900
    assert limits.concluding_s(0) >= 60
    assert draw.TIMEOUT_S == limits.DRAW_S


def test_an_evaluation_that_takes_too_long_loses_nothing(tmp_path, monkeypatch):
    """Its end is an error that says how to evaluate later, and the windows are as they were."""
    make(tmp_path, 64, points=1)
    windows = tmp_path / "windows.jsonl"
    before = windows.read_bytes()
    monkeypatch.setattr(run, "concluding_s", lambda stored_bytes: -1.0)
    with pytest.raises(
        StudyError, match=f"^evaluating: not done after -1 s, .*; nothing is lost, evaluate it with: zcload report {tmp_path}$"
    ):
        run._evaluate(windows)
    assert windows.read_bytes() == before
    monkeypatch.undo()
    assert len(run._evaluate(windows)["points"]) == 1
