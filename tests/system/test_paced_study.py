"""Studies at a rate: windows that hold enough chunks, lanes that keep to it and to each other, and rates that nobody reaches."""

from __future__ import annotations

import pytest

from zcload.analysis.tally import window_tally
from zcload.config import loads
from zcload.errors import ConfigError
from zcload.model.schedule import LEAST_BURSTS
from zcload.model.study import Point, Stop, Study, Variant
from zcload.model.timing import least_window_s, may_try, probe_window_s
from zcload.runner.plan import plan, point_name
from zcload.runner.run import run

MODERATE = "400Mbit/s"


def study(**workload):
    """Return a small study of three mechanisms."""
    schedule, window = workload.pop("schedule", "alternate"), workload.pop("window", "auto")
    longest, generations = workload.pop("max_time", "4s"), workload.pop("min_generations", 2)
    more = "".join(f"{key} = {value!r}\n" for key, value in workload.items())
    return loads(
        "[study]\nname = 'paced'\nbaseline = 'read_send'\nvariants = ['read_send', 'sendfile', 'splice']\nbest_chunk = false\n"
        f"schedule = '{schedule}'\n[workload]\nfile_size = '4MiB'\nchunk = '32KiB'\n{more}"
        f"[stop]\nmax_time = '{longest}'\ntarget = '90%'\nmin_generations = {generations}\nreplicates = 1\nwindow = '{window}'\n"
    )


def windows(outcome):
    return [r for r in outcome.result.records if r["kind"] == "window" and r["purpose"] == "measure"]


def achieved_by(outcome):
    """Return the goodput of each lane's best window, in bit/s."""
    rates = {}
    for record in windows(outcome):
        tally = window_tally(record, None)
        rates.setdefault(record["lane"], []).append(tally["bits"] / tally["elapsed_s"])
    return [max(of_lane) for of_lane in rates.values()]


# The plan.


def test_windows_are_long_enough_for_the_largest_chunk():
    """A window at a rate is as long as 200 chunks take in the lane whose chunks are the largest; none is needed at max."""
    variants = (Variant("a", "read_send"), Variant("b", "sendfile", chunk=1 << 20))
    study = Study("s", "a", variants, (Point(),))
    assert least_window_s(study, Point()) == 0.0
    assert least_window_s(study, Point(rate_bps=1e9, senders=2)) == pytest.approx(200 * (1 << 20) * 8 / 1e9)
    assert probe_window_s(2.0, 0.04) == pytest.approx(0.2)
    assert probe_window_s(0.0, 0.04) == 0.04


def test_chunks_too_large_for_a_rate_are_not_tried():
    """The best chunk is looked for among those whose windows stay short at the rate, and the point's own and smaller ones always."""
    slow = Point(chunk=64 << 10, rate_bps=100e6)
    variants = (Variant("a", "read_send"), Variant("b", "sendfile"))
    patient = Study("s", "a", variants, (slow,), Stop(max_time_s=90.0))
    sizes = (16 << 10, 64 << 10, 128 << 10, 1 << 20)
    assert [size for size in sizes if may_try(patient, slow, size)] == [16 << 10, 64 << 10, 128 << 10]
    assert may_try(patient, Point(), 1 << 20)


def test_chunks_that_would_use_up_the_limit_are_not_tried():
    """A chunk whose windows let the limit hold fewer generations than it should is not tried as the baseline's best."""
    slow = Point(chunk=64 << 10, rate_bps=100e6)
    variants = (Variant("a", "read_send"), Variant("b", "sendfile"))
    least_s = 6 * 3 * (2 * 2.097 + 0.105)  # of 128 KiB: six generations of three lanes, two blocks and a warm-up of a tenth
    assert may_try(Study("s", "a", variants, (slow,), Stop(max_time_s=least_s + 1)), slow, 128 << 10)
    assert not may_try(Study("s", "a", variants, (slow,), Stop(max_time_s=least_s - 1)), slow, 128 << 10)


def test_points_are_named_as_the_config_writes_rates():
    """A sweep's points say rate=max and rate=1Gbit/s."""
    swept = study(rate=["max", "1Gbit/s"])
    assert [point_name(swept, point) for point in swept.points] == ["rate=max", "rate=1Gbit/s"]


def test_a_plan_holds_what_slow_rates_take():
    """A plan holds the fewest generations of a rate's windows where the limit does not, and long windows are calibrated longer."""
    long = (Variant("a", "read_send"), Variant("b", "sendfile"))
    point = Point(chunk=1 << 20, rate_bps=400e6)  # windows of 4.2 s
    slow = Study("s", "a", long, (point,), Stop(max_time_s=1.0, replicates=1), best_chunk=False)
    # Two generations, which every point gets, of two blocks and a warm-up.
    assert plan(slow).measure_s == pytest.approx(2 * 2 * (2 + 0.1) * 200 * (1 << 20) * 8 / 400e6)
    fast = Study("s", "a", long, (Point(),), Stop(max_time_s=1.0, replicates=1), best_chunk=False)
    assert plan(fast).measure_s == 1.0
    assert plan(slow).setup_s > plan(fast).setup_s + 3


# The config.


def test_a_rate_that_is_too_slow_is_refused_with_a_chunk_that_fits():
    """A rate at which a window would take longer than 5 s is refused at its place in the list, with the chunk to take instead."""
    with pytest.raises(ConfigError) as error:
        study(rate=["1Gbit/s", "1Mbit/s"])
    assert "workload.rate[2]" in str(error.value)
    assert "a window would need 52.4 s for 200 chunks, 20 of each sender: expected" in str(error.value)
    with pytest.raises(ConfigError) as error:
        study(rate="8Mbit/s")
    assert "chunk = '16KiB'" in str(error.value)


def test_a_variants_chunk_and_the_senders_count():
    """The largest chunk of any variant and the most senders decide whether a rate is too slow; a window of one's own is one's own."""
    text = "[study]\nname='s'\nbaseline='a'\n[workload]\nrate='300Mbit/s'\nsenders=[1, 20]\n[[variant]]\nname='a'\nmechanism='read_send'\n"
    assert len(loads(text).points) == 2
    with pytest.raises(ConfigError, match=r"in chunks of 1MiB by 20 sender"):
        loads(text + "chunk='1MiB'\n")
    assert loads(text + "chunk='1MiB'\n[stop]\nwindow='100ms'\n").stop.window_s == 0.1


def test_a_pass_that_takes_for_ever_is_refused():
    """A mechanism whose windows end with its pass is refused a rate at which a pass takes over a minute."""
    text = "[study]\nname='s'\nbaseline='read_send'\nvariants=['read_send', 'slurp_send']\n[workload]\nrate='100Mbit/s'\nchunk='64KiB'\n"
    with pytest.raises(ConfigError, match=r"which ends with its pass, would take \d+ s: expected at most 60 s \(a smaller file_size\)"):
        loads(text + "file_size='2GiB'\n")
    assert loads(text + "file_size='16MiB'\n").points[0].rate_bps == 100e6


# Runs.


@pytest.mark.slow
@pytest.mark.alone
def test_all_lanes_move_the_same_at_a_moderate_rate(tmp_path):
    """At a rate that all reach, every lane's goodput is within 2 % of the asked rate and of the others', in windows of 200 chunks."""
    # Of each lane the window counts that the machine's other work disturbed the least: what is late at the end of a window is missing
    # from it. So there are many, each just long enough. No window may hold more.
    outcome = run(study(rate=MODERATE, senders=2, window="300ms", min_generations=6, max_time="15s"), tmp_path / "r", seed=3)
    assert outcome.exit_code == 0
    (point,) = outcome.summary["points"]
    achieved = achieved_by(outcome)
    assert len(achieved) == 3
    assert achieved == pytest.approx([400e6] * 3, rel=0.02)
    assert max(achieved) <= 1.02 * min(achieved)
    assert [v["rate"]["asked_bps"] for v in point["variants"]] == [400e6] * 3
    chunks = [count for record in windows(outcome) for count in record["pacing"]["bursts"]]
    assert sorted(chunks)[len(chunks) // 2] >= LEAST_BURSTS // 2 - 1
    assert point["pacing"]["cpu_s_per_sleep"] > 0
    assert point["loop_s_per_call"] is None


@pytest.mark.slow
@pytest.mark.serial
def test_windows_are_chosen_for_the_rate(tmp_path):
    """Without a length of one's own the windows are as long as 200 chunks of the lane take, and warm-ups shorter."""
    outcome = run(study(rate="200Mbit/s", senders=2), tmp_path / "r", seed=3)
    assert outcome.summary["points"][0]["window_s"] == pytest.approx(LEAST_BURSTS * 32768 * 8 / 200e6, abs=0.006)
    warm_ups = [r for r in outcome.result.records if r["kind"] == "window" and r["purpose"] == "warm-up"]
    assert max(r["close_ns"] - r["open_ns"] for r in warm_ups) < min(r["close_ns"] - r["open_ns"] for r in windows(outcome))


@pytest.mark.slow
@pytest.mark.serial
def test_a_rate_that_nobody_reaches_is_no_error(tmp_path):
    """A run at an absurd rate ends as any other, exit code 0, with a caution for each lane and no verdict about CPU."""
    outcome = run(study(rate="100Tbit/s"), tmp_path / "r", seed=3)
    assert outcome.exit_code == 0
    (point,) = outcome.summary["points"]
    assert [v["rate"]["reached"] for v in point["variants"]] == [False] * 3
    assert [c["code"] for c in outcome.summary["cautions"]].count("rate_missed") == 3
    assert {c["verdict"] for c in point["comparisons"] if c["headline"]} == {"inconclusive"}


@pytest.mark.slow
@pytest.mark.serial
def test_lanes_together_keep_to_their_rates(tmp_path):
    """Lanes that run side by side are offered the rate each, and each keeps to it."""
    outcome = run(study(rate="100Mbit/s", schedule="together", window="400ms"), tmp_path / "r", seed=3)
    achieved = achieved_by(outcome)
    assert achieved == pytest.approx([100e6] * 3, rel=0.05)


@pytest.mark.slow
@pytest.mark.serial
def test_windows_of_ones_own_that_are_too_short_are_told(tmp_path):
    """A stop.window that holds fewer than 200 chunks at the rate is taken, with a caution."""
    outcome = run(study(rate="50Mbit/s", window="100ms"), tmp_path / "r", seed=3)
    assert "few_chunks" in {c["code"] for c in outcome.summary["cautions"]}


@pytest.mark.slow
@pytest.mark.serial
def test_the_best_chunk_is_looked_for_at_the_rate(tmp_path, monkeypatch):
    """The chunks that are tried for the baseline are tried in paced lanes, in the regime in which the point is measured."""
    from dataclasses import replace

    from zcload.runner import calibrate

    seen = []
    plain = calibrate.measure

    def measure(lane, open_s, machine):
        record = plain(lane, open_s, machine)
        seen.append(("@" in lane.name, "pacing" in record))
        return record

    monkeypatch.setattr(calibrate, "measure", measure)
    asked = study(rate="2Gbit/s")
    run(replace(asked, best_chunk=True, stop=replace(asked.stop, max_time_s=1.0, replicates=1)), tmp_path / "r", seed=3)
    tried = [paced for trying, paced in seen if trying]
    assert len(tried) >= 20
    assert all(tried)
