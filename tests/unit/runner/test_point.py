"""Points in a world that is not real: generations, preparing, failures, and the rule that ends a point."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from zcload.analysis.stats import LOOKS
from zcload.errors import StudyError
from zcload.model.timing import LEAST_BLOCKS
from zcload.runner.block import Tolerance
from zcload.runner.point import MOST_BLOCKS
from zcload.runner.rounds import end


def one_generation(made):
    """Measure one generation of a point as a study does, and stop the point if it may."""
    made.run.measure_generation()
    made.run.close_cluster()
    if made.state.going and (reason := made.state.reason_to_stop()) is not None:
        end(made.state, reason, made.records.append)


def kinds(records, kind, *keys):
    return [tuple(r[key] for key in keys) for r in records if r["kind"] == kind]


def test_a_generation(run_of):
    """A generation is its lanes anew, a warm-up block, blocks for about a second, reports, and the lanes' end."""
    made = run_of("sendfile", max_time_s=60.0)
    one_generation(made)
    assert [what for what, _ in made.told] == ["set up", "ready"] * 2 + ["tear down"] * 2
    ((number, purpose, groups),) = kinds(made.records, "generation", "generation", "purpose", "groups")
    assert (number, purpose, [sorted(group) for group in groups]) == (0, "measure", [["copy", "sendfile"]])
    blocks_run = kinds(made.records, "block", "block", "purpose")
    assert blocks_run == [(-1, "warm-up"), *[(i, "measure") for i in range(9)]]  # 1 s at 0.1 s a block, the warm-up among them
    assert sorted(kinds(made.records, "reports", "lane")) == [("copy",), ("sendfile",)]
    assert len(kinds(made.records, "sample", "generation")) >= 2
    one_generation(made)
    assert kinds(made.records, "generation", "generation")[-1] == (1,)
    assert [what for what, _ in made.told].count("set up") == 4


@pytest.mark.parametrize("seed", range(5))
def test_each_cpu_has_each_role_equally_often(run_of, seed):
    """Of two generations in a row the second has the roles the other way round, also where another process measures it."""
    made = run_of("sendfile", seed=seed)
    for _ in range(3):
        one_generation(made)
    made.state.half_measured = list(made.state.half_measured)  # as the next replicate receives it
    made.context.half_measured, made.context.rng = made.state.half_measured, random.Random(seed + 100)
    one_generation(made)
    senders = [cpus[0] for (cpus,) in kinds(made.records, "generation", "cpus")]
    assert [sorted(first + second) for first, second in zip(senders[::2], senders[1::2], strict=True)] == [[0, 1], [0, 1]]


@pytest.mark.parametrize(("block_s", "count"), [(0.001, MOST_BLOCKS), (0.1, 9), (0.25, 3), (5.0, LEAST_BLOCKS)])
def test_how_many_blocks_a_generation_has(run_of, block_s, count):
    """A generation has as many blocks as fit into its second, within bounds."""
    made = run_of("sendfile", max_time_s=600.0)
    made.state.block_s = block_s
    one_generation(made)
    assert len(kinds(made.records, "block", "block")) == 1 + count


def test_samples_of_the_warm_up_are_apart(run_of):
    """What psutil saw before the first block is the warm-up's, and the generation's own first sample comes after it."""
    made = run_of("sendfile")
    one_generation(made)
    order = [(r["kind"], r["purpose"]) for r in made.records if r["kind"] in ("block", "sample")]
    assert order.index(("sample", "measure")) > order.index(("block", "warm-up"))
    assert order.index(("sample", "measure")) < order.index(("block", "measure"))


def test_groups_of_a_generation(run_of):
    """Five contenders are two groups, each with a baseline lane of its own, dealt anew in every generation."""
    made = run_of("a", "b", "c", "d", "e")
    for _ in range(4):
        one_generation(made)
    dealt = [groups for (groups,) in kinds(made.records, "generation", "groups")]
    for groups in dealt:
        assert sorted(len(group) for group in groups) == [3, 4]
        assert sorted(name for group in groups for name in group) == ["a", "b", "c", "copy", "copy", "d", "e"]
        assert all("copy" in group for group in groups)
    assert len({frozenset(map(frozenset, groups)) for groups in dealt}) > 1
    windows = Counter(kinds(made.records, "window", "lane", "generation", "block"))
    assert windows["copy", 0, 0] == 2
    assert windows["a", 0, 0] == 1


def test_the_same_seed_measures_in_the_same_order(run_of, world):
    """A study's whole course is drawn from its seed."""

    def course(seed):
        made = run_of("a", "b", "c", "d", seed=seed)
        one_generation(made)
        return kinds(made.records, "window", "lane")

    assert course(4) == course(4) != course(5)


def test_together_has_one_group(run_of):
    """Lanes that run together are one group, however many."""
    made = run_of("a", "b", "c", "d", "e", schedule="together")
    one_generation(made)
    ((groups,),) = kinds(made.records, "generation", "groups")
    assert [len(group) for group in groups] == [6]
    assert kinds(made.records, "idle", "machine") == []


def test_a_lane_that_fails_leaves_the_others(run_of, world):
    """A failed variant takes no further part; its block is abandoned, the generation goes on, and the cause is on record."""
    made = run_of("a", "b")
    world.fail = {"a": 3}
    one_generation(made)
    one_generation(made)
    assert kinds(made.records, "failed", "variant", "reason") == [("a", "it broke")]
    assert Counter(fate for (fate,) in kinds(made.records, "block", "fate"))["abandoned"] == 1
    assert [sorted(group) for group in kinds(made.records, "generation", "groups")[1][0]] == [["b", "copy"]]
    assert [v.name for v in made.state.contenders()] == ["copy", "b"]
    assert Counter(name for what, name in made.told if what == "tear down") == Counter(copy=2, a=1, b=2)


def test_a_baseline_that_fails_ends_the_study(run_of, world):
    """Without the baseline nothing can be said: the study fails, and every lane comes down."""
    made = run_of("a")
    world.fail = {"copy": 2}
    with pytest.raises(StudyError, match="the baseline failed: it broke"):
        one_generation(made)
    assert sorted(name for what, name in made.told if what == "tear down") == ["a", "copy"]


def test_the_long_windows(run_of):
    """--check-windows measures generations of two blocks of windows of 2 s, marked apart."""
    made = run_of("a")
    made.run.run_check()
    found = kinds(made.records, "block", "generation", "purpose")
    assert found == [(g, purpose) for g in range(4) for purpose in ("warm-up", "check", "check")]
    spans = {r["close_ns"] - r["open_ns"] for r in made.records if r["kind"] == "window" and r["purpose"] == "check"}
    assert spans == {2_000_000_000}


def test_the_long_windows_have_repeats_of_their_own(run_of, world):
    """However many short blocks were measured, others' work lets at most a quarter of the long ones be repeated."""
    made = run_of("a")
    made.state.tolerance = Tolerance(False, blocks=1000)
    world.foreign = 1.0
    made.run.run_check()
    fates = Counter(fate for fate, purpose in kinds(made.records, "block", "fate", "purpose") if purpose == "check")
    assert fates == {"kept": 8, "repeated": 2}
    assert (made.state.tolerance.blocks, made.state.tolerance.repeats) == (1000, 0)


# Preparing.


def test_verified_before_measured(run_of, world):
    """Every lane that moves payload is verified before any window; what a turn of the loop costs is measured with a lane of its own."""
    made = run_of("a", "b", measured=False)
    made.run.prepare()
    before = [name for what, name in made.told if what == "verify"]
    assert sorted(before) == ["a", "b", "copy"]
    assert sorted(name for (name,) in kinds(made.records, "verified", "variant")) == ["a", "b", "copy"]
    assert ("ready", "#null") in made.told
    ((window_s, best, extra, loop),) = kinds(made.records, "calibrated", "window_s", "best_chunk", "extra_lane", "loop_s_per_call")
    assert (window_s, best, extra) == (0.04, None, None)
    assert loop == pytest.approx(0.01 / 100)
    assert Counter(world.measured) == {"#null": 3, "copy": 3, "a": 3, "b": 3}
    assert kinds(made.records, "window", "lane") == []  # calibration is no measurement


@pytest.mark.parametrize("seed", range(5))
def test_roles_of_calibration_need_no_counterpart(run_of, seed):
    """The first two generations that are measured are a pair, in which each CPU has each role."""
    made = run_of("a", measured=False, seed=seed)
    made.run.prepare()
    made.state.block_s = 0.1
    for _ in range(2):
        one_generation(made)
    first, second = (cpus[0] for (cpus,) in kinds(made.records, "generation", "cpus"))
    assert sorted(first + second) == [0, 1]


def test_a_fixed_window_is_kept(run_of):
    """A window that the config sets is not changed by calibration."""
    made = run_of("a", measured=False, window_s=0.2)
    made.run.prepare()
    assert made.state.window_s == 0.2


def test_a_lane_that_fails_in_calibration(run_of, world):
    """A variant that fails before the first window is out, and the others are calibrated."""
    made = run_of("a", "b", measured=False)
    world.fail = {"a": 0}
    made.run.prepare()
    assert kinds(made.records, "failed", "variant") == [("a",)]
    assert [v.name for v in made.state.contenders()] == ["copy", "b"]


def test_the_best_chunk_gets_a_lane(run_of, world):
    """The chunk at which the baseline costs least is found in windows of its own, and measured as a lane beside the study's."""
    made = run_of("a", measured=False, best_chunk=True)
    world.cost = {"copy@64KiB": 0.01}
    made.run.prepare()
    ((best, lane_name, extra),) = kinds(made.records, "calibrated", "best_chunk", "best_chunk_lane", "extra_lane")
    assert best["chunk_bytes"] == 65_536
    assert (lane_name, extra["chunk_bytes"]) == ("copy@64KiB", 65_536)
    assert [v.name for v in made.state.contenders()] == ["copy", "a", "copy@64KiB"]
    assert ("copy@64KiB",) in kinds(made.records, "verified", "variant")


def test_a_baseline_at_its_best_needs_no_lane(run_of, world):
    """Where the baseline's own chunk costs least, no lane is added."""
    made = run_of("a", measured=False, best_chunk=True)
    world.cost = {"copy@256KiB": 0.01}
    made.run.prepare()
    ((lane_name, extra),) = kinds(made.records, "calibrated", "best_chunk_lane", "extra_lane")
    assert (lane_name, extra) == ("copy", None)
    assert [v.name for v in made.state.contenders()] == ["copy", "a"]


# The end of a point. A contender's luck is drawn for each generation; `spread` is its standard deviation in logs.


def finish(made, world, spread, *, names=("a",), most=300, before=lambda number: None):
    """Run generations until the point stops; return how many, and why it stopped."""
    rng = random.Random(8)
    for number in range(most):
        before(number)
        for name in names:
            world.cost[name] = 0.014 * math.exp(rng.gauss(0.0, spread))
        one_generation(made)
        if made.state.stopped:
            assert kinds(made.records, "stopped", "reason", "generations") == [(made.state.stopped, number + 1)]
            return number + 1, made.state.stopped
    raise AssertionError("the point never stopped")


def test_a_quiet_point_stops_as_early_as_it_may(run_of, world):
    """The rule is first asked at the least number of generations, and must be met three times in a row."""
    assert finish(run_of("a", max_time_s=1e6), world, 0.001) == (6 + LOOKS - 1, "target reached")
    assert finish(run_of("a", max_time_s=1e6, min_generations=10), world, 0.001) == (10 + LOOKS - 1, "target reached")


def test_a_noisy_point_goes_on_until_its_interval_is_narrow(run_of, world):
    """More noise takes more generations, and at the end the interval is within the target."""
    made = run_of("a", max_time_s=1e6)
    generations, reason = finish(made, world, 0.08)
    assert reason == "target reached"
    assert 8 < generations < 60
    assert all(100 * (r.high - r.low) / 2 <= 3.0 for r in made.state.ratios().values())


def test_it_never_stops_for_being_significant(run_of, world):
    """A difference that is plain from the first generations on does not end a point whose interval is wide."""
    made = run_of("a", max_time_s=30.0)
    world.cost = {"copy": 0.05}
    generations, reason = finish(made, world, 0.5)
    assert reason == "time limit"
    assert generations > 10


def test_the_widest_interval_decides(run_of, world):
    """A point goes on as long as one contender's interval is too wide."""
    made = run_of("a", "b", max_time_s=1e6)
    quiet = finish(run_of("a", max_time_s=1e6), world, 0.001)[0]
    rng = random.Random(2)

    def noise(number):
        world.cost["b"] = 0.014 * math.exp(rng.gauss(0.0, 0.06))

    assert finish(made, world, 0.001, before=noise)[0] > quiet


def test_the_time_limit(run_of, world):
    """A point ends when another generation would go beyond its time."""
    made = run_of("a", max_time_s=12.0)
    generations, reason = finish(made, world, 0.5)
    assert reason == "time limit"
    assert made.state.spent_s <= 12.0 < made.state.spent_s * (generations + 1) / generations


def test_a_narrow_interval_at_the_time_limit_is_a_target_reached(run_of, world):
    """Where time is up before the third look, an interval that is narrow enough is not told as a target missed."""
    one = run_of("a", max_time_s=1e6)
    finish(one, world, 0.001)
    seven = one.state.spent_s / one.state.generation * 7.5
    assert finish(run_of("a", max_time_s=seven), world, 0.001) == (7, "target reached")


def test_other_lanes_do_not_decide(run_of, world):
    """The A/A lane and one that moves nothing are measured along; their noise does not keep a point going."""
    made = run_of("a", "null", aa=True, max_time_s=1e6)
    rng = random.Random(3)

    def noise(number):
        for name in ("copy#2", "null"):
            world.cost[name] = 0.02 * math.exp(rng.gauss(0.0, 0.5))

    assert finish(made, world, 0.001, before=noise) == (6 + LOOKS - 1, "target reached")


def test_a_failed_lane_does_not_keep_a_point_going(run_of, world):
    """What a lane gave before it failed is no reason to go on: the others' intervals end the point."""
    made = run_of("a", "b", max_time_s=1e6)
    world.fail = {"b": 35}
    generations, reason = finish(made, world, 0.001)
    assert kinds(made.records, "failed", "variant") == [("b",)]
    assert (generations, reason) == (6 + LOOKS - 1, "target reached")


def test_a_single_variant_is_measured_for_its_own_figures(run_of, world):
    """A study without contenders is measured until its figures have intervals: the least number of generations, not one."""
    made = run_of(max_time_s=1e6)
    assert finish(made, world, 0.001) == (6, "nothing to compare")


def test_nothing_left_to_compare(run_of, world):
    """When the last contender has failed, the point ends, and not as one that reached its target."""
    made = run_of("a", max_time_s=1e6)
    world.fail = {"a": 12}
    generations, reason = finish(made, world, 0.001)
    assert reason == "nothing to compare"
    assert generations < 6
