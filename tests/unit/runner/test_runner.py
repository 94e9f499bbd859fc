"""The course of a study, with a clock and lanes that are not real: orders, groups, repeats, failures, and the rule that ends a point."""

from __future__ import annotations

import math
import os
import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcload.analysis.stats import LOOKS
from zcload.errors import StudyError
from zcload.host.machine import MachineReading
from zcload.host.topology import Core
from zcload.lane.placement import Placement
from zcload.linux import interrupt
from zcload.linux.interrupt import Interrupted
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.progress import nobody
from zcload.model.study import Point, Stop, Study, Variant
from zcload.model.timing import LEAST_BLOCKS
from zcload.runner import block, calibrate, context, window
from zcload.runner import point as point_module
from zcload.runner.block import REPEAT_LIMIT, Tolerance, groups_of, run_block
from zcload.runner.context import PointContext
from zcload.runner.measurer import InProcess
from zcload.runner.plan import plan, point_name
from zcload.runner.point import MOST_BLOCKS, PointRun
from zcload.runner.point_state import PointState
from zcload.runner.rounds import end, run_points
from zcload.runner.window import LaneFailed

CPUS = 2
WINDOW_S = 0.05


class World:
    """A machine of two CPUs whose clock moves only in windows; *foreign* is what others use (CPU seconds) in a window."""

    def __init__(self):
        self.t_ns = 10**12
        self.idle_s = self.irq_s = self.steal_s = 0.0
        self.foreign = self.interrupts = self.steal = 0.0
        self.measured = []  # the names of the lanes, window by window
        self.fail = {}  # lane -> how many windows until it fails
        self.cost = {}  # lane -> CPU seconds of a window; 0.02 where it is not given

    def seconds(self):
        return self.t_ns / 1e9

    def pass_time(self, seconds, used=0.0):
        self.t_ns += round(seconds * 1e9)
        self.idle_s += CPUS * seconds - used
        return True

    def read(self):
        return MachineReading(self.t_ns, round(self.idle_s * 100), round(self.steal_s * 100), round(self.irq_s * 100), CPUS)

    def window(self, lane, open_s, machine):
        self.measured.append(lane.name)
        if lane.name in self.fail:
            self.fail[lane.name] -= 1
            if self.fail[lane.name] < 0:
                raise LaneFailed(lane.name, StudyError("it broke"))
        start, opened = self.read().as_list(), self.t_ns
        used = self.cost.get(lane.name, 0.02)
        self.irq_s += self.interrupts
        self.steal_s += self.steal
        self.pass_time(open_s, used + self.foreign + self.interrupts + self.steal)
        done, now = self.t_ns, lane.take(used)
        return {
            "lane": lane.name,
            "order": lane.gate.number,
            "open_ns": opened,
            "close_ns": done,
            "last_byte_ns": done,
            "rest_ns": done,
            "senders": [now[0]],
            "receivers": [now[1]],
            "machine": [start, self.read().as_list()],
            "observer_cpu_ns": 1000,
        }

    def together(self, lanes, open_s, machine):
        return [self.window(lane, open_s, machine) | {"machine": None} for lane in lanes]


class Lane:
    """A lane without processes: it counts, and notes what is asked of it."""

    unauthenticated = burst_bytes = 0
    odd, parts = None, ()
    observed_senders = observed_receivers = ()

    identity = None

    def __init__(self, variant, placement=None, told=None):
        self.variant, self.name = variant, variant.name
        self.gate = SimpleNamespace(number=0, silent=0)
        everywhere = (frozenset({0}),)
        self.placement = placement or Placement(everywhere, everywhere, everywhere[0])
        self.workers = SimpleNamespace(senders=(None,), receivers=(None,))
        self.told = told if told is not None else []
        self.sender, self.receiver = [0, 0, 0, 0], [0, 0, 0, 0]
        self.told.append(("set up", self.name))

    def take(self, used):
        self.gate.number += 1
        before = [list(self.sender), list(self.receiver)]
        for counter in (self.sender, self.receiver):
            counter[0] += round(used * 1e9 / 2)
            counter[1] += 100_000_000
            counter[2] += 100
            counter[3] += 100
        return [before[0], list(self.sender)], [before[1], list(self.receiver)]

    def received(self):
        return self.receiver[1]

    def ready(self):
        self.told.append(("ready", self.name))

    def verify(self, expected, timeout_s):
        self.told.append(("verify", self.name))

    transfer_plan = None

    def late_unauthenticated(self):
        return 0

    def report(self):
        return [{"tcp_info": {}, "completions": {}}]

    def facts(self):
        return {}

    def traced(self):
        return None

    def tear_down(self):
        self.told.append(("tear down", self.name))


@pytest.fixture
def world(monkeypatch):
    """Return a world in which windows, pauses and clocks are those of its own."""
    made = World()
    for module in (block, calibrate):
        monkeypatch.setattr(module, "measure", made.window)
    monkeypatch.setattr(block, "measure_together", made.together)
    monkeypatch.setattr(block, "time", SimpleNamespace(process_time_ns=lambda: 0))
    monkeypatch.setattr(point_module, "time", SimpleNamespace(monotonic=made.seconds))
    monkeypatch.setattr(interrupt, "pause", made.pass_time)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: None)
    monkeypatch.setattr(context, "wait_for_rest", lambda lane: None, raising=False)
    return made


# Groups.


@given(st.integers(0, 40), st.integers())
def test_groups(count, seed):
    """Contenders are dealt into as few groups of at most three as there can be, all of them once, in sizes as equal as can be."""
    names = [f"v{i}" for i in range(count)]
    groups = groups_of(names, random.Random(seed))
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert len(groups) == max(1, math.ceil(count / 3))
    sizes = [len(group) for group in groups]
    assert max(sizes) <= 3
    assert max(sizes) - min(sizes) <= 1
    assert groups == groups_of(names, random.Random(seed))


def test_groups_are_dealt_anew():
    """Who shares a group with whom is drawn each time: every pair meets."""
    rng = random.Random(3)
    met = {frozenset((a, b)) for _ in range(100) for group in groups_of("abcdef", rng) for a in group for b in group if a != b}
    assert len(met) == 15


# Blocks.


def block_of(world, names, *, seed=1, tolerance=None, together=False, count=1, between=lambda: None):
    """Run blocks of groups of lanes; return what was recorded."""
    groups = [{name: Lane(Variant(name, "sendfile")) for name in group.split()} for group in names]
    records, rng = [], random.Random(seed)
    for number in range(count):
        run_block(
            groups,
            label={"generation": 0, "block": number},
            open_s=WINDOW_S,
            together=together,
            machine=world,
            rng=rng,
            record=records.append,
            tolerance=tolerance,
            between=between,
        )
    return records


def test_every_lane_has_one_window_in_a_block(world):
    """A block visits each lane of each group once, a group's lanes one after the other, and ends with its own line."""
    records = block_of(world, ["copy a b c", "copy d e"])
    windows, (end,) = records[:-1], records[-1:]
    assert Counter((w["group"], w["lane"]) for w in windows) == Counter(
        [(0, "copy"), (0, "a"), (0, "b"), (0, "c"), (1, "copy"), (1, "d"), (1, "e")]
    )
    assert [w["group"] for w in windows] in ([0] * 4 + [1] * 3, [1] * 3 + [0] * 4)
    assert {k: end[k] for k in ("kind", "generation", "block", "attempt", "fate")} == {
        "kind": "block",
        "generation": 0,
        "block": 0,
        "attempt": 0,
        "fate": "counted",
    }
    assert all(w["kind"] == "window" and w["attempt"] == 0 for w in windows)


def test_the_order_is_random_and_repeatable(world):
    """The same seed gives the same order in every block, another seed another one, and no lane has a place of its own."""

    def order(seed):
        return [r["lane"] for r in block_of(world, ["copy a b c"], seed=seed, count=60) if r["kind"] == "window"]

    assert order(1) == order(1) != order(2)
    places = Counter((name, i % 4) for i, name in enumerate(order(1)))
    assert len(places) == 16
    assert max(places.values()) <= 30  # of 60; 15 is the mean
    blocks_seen = {tuple(order(1)[i : i + 4]) for i in range(0, 240, 4)}
    assert len(blocks_seen) > 12


def test_the_order_of_groups_is_random(world):
    """Which group comes first changes from block to block."""
    records = block_of(world, ["copy a", "copy b"], count=40)
    first = Counter(records[i]["group"] for i in range(0, 200, 5))
    assert min(first[0], first[1]) >= 8


def test_together_is_one_interval(world, monkeypatch):
    """With `together` a block is one measurement of all lanes of the group, recorded in the order they were opened."""
    calls = []

    def measure_together(lanes, open_s, machine):
        calls.append([lane.name for lane in lanes])
        return World.together(world, lanes, open_s, machine)

    monkeypatch.setattr(block, "measure_together", measure_together)
    records = block_of(world, ["copy a b"], together=True)
    assert len(calls) == 1
    assert [r["lane"] for r in records[:-1]] == calls[0]
    assert {r["machine"] for r in records[:-1]} == {None}


def test_between_windows(world):
    """After each window, recorded and at rest, the coordinator has its turn."""
    seen = []
    block_of(world, ["copy a"], between=lambda: seen.append(len(world.measured)))
    assert seen == [1, 2]


# Contamination. Two windows of 50 ms on two CPUs are 0.2 s of CPU time: 5 % of it are 10 ms, a tick of idle time more is allowed.


@pytest.mark.parametrize(
    ("foreign_s", "fate"),
    [
        (0.0, "counted"),
        (0.010, "counted"),  # 5 % itself
        (0.020, "counted"),  # 10 %: a tick of rounding on top of 5 %
        (0.030, "kept"),
        (0.100, "kept"),
        (-0.030, "counted"),  # less than nothing is rounding
    ],
)
@pytest.mark.parametrize("kind", ["foreign", "steal"])
def test_foreign_cpu_contaminates(world, foreign_s, fate, kind):
    """CPU time that was neither idle nor ours, stolen time too, contaminates a block beyond 5 % and a tick of rounding."""
    setattr(world, kind, foreign_s / 2)
    end = block_of(world, ["copy a"], tolerance=Tolerance(False))[-1]
    assert (end["fate"], end["limit"]) == (fate, 0.1)
    assert end["foreign_share"] == pytest.approx(foreign_s / 0.2)
    assert end["steal_share"] == pytest.approx(foreign_s / 0.2 if kind == "steal" else 0.0, abs=1e-9)


@pytest.mark.parametrize(("open_windows", "limit"), [(1, 0.15), (4, 0.075), (20, 0.055)])
def test_the_allowance_shrinks_with_the_block(world, open_windows, limit):
    """A tick of rounding is much of a short block and little of a long one."""
    names = " ".join(f"v{i}" for i in range(open_windows))
    assert block_of(world, [names], tolerance=Tolerance(False))[-1]["limit"] == pytest.approx(limit)


@pytest.mark.parametrize(("apart", "fate"), [(True, "counted"), (False, "kept")])
def test_interrupts_are_ours_where_they_are_kept_apart(world, apart, fate):
    """Where the kernel accounts interrupts apart from processes they are the traffic's own; elsewhere the lanes have them already."""
    world.interrupts = 0.02
    assert block_of(world, ["copy a"], tolerance=Tolerance(apart))[-1]["fate"] == fate


def test_a_contaminated_block_is_repeated_whole(world):
    """Once there were enough blocks to allow it, a contaminated block is done again, all of it, and both are on record."""
    tolerance = Tolerance(False, blocks=10)
    calm = iter([0.05, 0.05, 0.0, 0.0])
    groups = [{name: Lane(Variant(name, "sendfile")) for name in ("copy", "a")}]
    records = []

    def next_mood():
        world.foreign = next(calm, 0.0)

    next_mood()
    label = {"generation": 0, "block": 3}
    run_block(
        groups,
        label=label,
        open_s=WINDOW_S,
        together=False,
        machine=world,
        rng=random.Random(1),
        record=records.append,
        tolerance=tolerance,
        between=next_mood,
    )
    ends = [(r["block"], r["attempt"], r["fate"]) for r in records if r["kind"] == "block"]
    assert ends == [(3, 0, "repeated"), (3, 1, "counted")]
    assert [r["attempt"] for r in records if r["kind"] == "window"] == [0, 0, 1, 1]
    assert (tolerance.blocks, tolerance.repeats) == (12, 1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_no_more_than_a_quarter_is_repeated(world, share):
    """Of all blocks at most a quarter are repeats, however bad the machine; the rest is kept."""
    rng, tolerance = random.Random(5), Tolerance(False)

    def mood():
        world.foreign = 0.05 if rng.random() < share else 0.0

    mood()
    records = block_of(world, ["copy a"], tolerance=tolerance, count=100, between=mood)
    fates = Counter(r["fate"] for r in records if r["kind"] == "block")
    assert fates["counted"] + fates["kept"] == 100
    assert tolerance.blocks == sum(fates.values())
    assert tolerance.repeats == fates["repeated"] <= REPEAT_LIMIT * tolerance.blocks
    if share == 1.0:
        assert fates == {"kept": 100, "repeated": 33}  # the limit is used up: 33 of 133
    if share == 0.0:
        assert fates == {"counted": 100}


def test_the_first_blocks_are_not_repeated():
    """A repeat must fit into a quarter of the blocks there are, so the first three are kept whatever happens."""
    assert [Tolerance(False, blocks=n).may_repeat() for n in range(5)] == [False, False, False, True, True]
    assert [Tolerance(False, blocks=n, repeats=1).may_repeat() for n in (6, 7)] == [False, True]


def test_a_warm_up_is_never_judged(world):
    """A block without a tolerance counts as it is, and its foreign CPU time as nobody's."""
    world.foreign = 0.05
    assert [r["fate"] for r in block_of(world, ["copy a"]) if r["kind"] == "block"] == ["counted"]


def test_a_failure_abandons_the_block(world):
    """A lane that fails leaves the windows before it on record, and the block as abandoned."""
    world.fail = {"a": 0}
    records = []
    with pytest.raises(LaneFailed) as caught:
        run_block(
            [{name: Lane(Variant(name, "sendfile")) for name in ("copy", "a", "b")}],
            label={"generation": 2, "block": 1},
            open_s=WINDOW_S,
            together=False,
            machine=world,
            rng=random.Random(0),
            record=records.append,
            tolerance=Tolerance(False),
            between=lambda: None,
        )
    assert (caught.value.lane, str(caught.value)) == ("a", "it broke")
    assert records[-1] == {"kind": "block", "generation": 2, "block": 1, "attempt": 0, "fate": "abandoned"}
    assert len(records) == len(world.measured)  # all but the failed window, and the block's end


def test_an_interrupt_ends_the_block_after_the_window(world, monkeypatch):
    """A Ctrl-C lets the window in progress end, and no other begins."""
    records = []

    def between():
        monkeypatch.setattr(interrupt, "requested", 2)

    with pytest.raises(Interrupted):
        run_block(
            [{name: Lane(Variant(name, "sendfile")) for name in ("copy", "a", "b")}],
            label={},
            open_s=WINDOW_S,
            together=False,
            machine=world,
            rng=random.Random(0),
            record=records.append,
            tolerance=None,
            between=between,
        )
    assert [r["kind"] for r in records] == ["window", "block"]
    assert records[-1]["fate"] == "abandoned"


# Points.


@pytest.fixture
def run_of(world, monkeypatch):
    """Return a function that makes a PointRun of a study with lanes that are not real, all its records, and what its lanes were told."""

    def make(*contenders, baseline="copy", schedule="alternate", aa=False, best_chunk=False, measured=True, seed=1, **stop):
        variants = [Variant(baseline, "read_send")]
        variants += [Variant("copy#2", "read_send", aa=True)] if aa else []
        variants += [Variant(name, "null" if name == "null" else "sendfile") for name in contenders]
        study = Study("s", baseline, tuple(variants), (Point(),), Stop(**stop), schedule, aa, best_chunk)
        records, told = [], []

        def set_up(variant, point, *, placement, verify, **more):
            return Lane(variant, placement, told)

        monkeypatch.setattr(context, "set_up", set_up)
        source = SimpleNamespace(fd=-1, size=1 << 28, digest="d", check=lambda: None, share_digests=lambda parts, view: ("d",))
        state = PointState(study, 0, TOTAL_CPU_S_PER_GB)
        own = PointContext(
            study=study,
            index=0,
            point=study.points[0],
            source=source,
            cache=SimpleNamespace(cold=False, settle=lambda: 1.0),
            network=SimpleNamespace(facts=None),
            cores=(Core((0,), (0,)), Core((1,), (1,))),
            congestion=None,
            machine=world,
            rng=random.Random(seed),
            interrupts_apart=False,
            emit=records.append,
            out=state.out,
            cautioned=state.cautioned,
        )
        if measured:  # as prepare() would leave it
            state.window_s, state.block_s = WINDOW_S, 0.1
        return SimpleNamespace(run=PointRun(own, state, nobody), state=state, records=records, told=told, context=own)

    return make


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


def test_nothing_left_to_compare(run_of, world):
    """When the last contender has failed, the point ends, and not as one that reached its target."""
    made = run_of("a", max_time_s=1e6)
    world.fail = {"a": 12}
    generations, reason = finish(made, world, 0.001)
    assert reason == "nothing to compare"
    assert generations < 6


def test_points_take_turns(run_of):
    """Points take turns, a generation each, in random order, until each may stop."""
    study = replace(run_of("a").context.study, points=(Point(),) * 3)
    turns, states = [], [PointState(study, index, TOTAL_CPU_S_PER_GB) for index in range(3)]
    needed = dict(enumerate((30, 30, 5)))

    class Turn:
        def __init__(self, state):
            self.state = state

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


# Windows.


def test_a_failed_lane_is_named_in_the_window(monkeypatch):
    """A lane that fails while it is read is told apart from the others of the window."""
    lane = SimpleNamespace(name="a")

    def fail(lane):
        raise StudyError("sender 0 is gone")

    with pytest.raises(LaneFailed) as caught:
        window._of(lane, fail)
    assert (caught.value.lane, str(caught.value)) == ("a", "sender 0 is gone")


# Plans.


POINT = Point()


def study_of(*names, points=(POINT,), **more):
    return Study("s", "read_send", tuple(Variant(name, name) for name in ("read_send", *names)), points, **more)


def test_plan():
    """A plan says what a study takes at most: its limit for each point, long windows only when asked for, and its processes."""
    points = tuple(Point(file_size=1 << 28, chunk=chunk, senders=2) for chunk in (1 << 16, 1 << 18))
    study = study_of("sendfile", points=points, stop=Stop(max_time_s=10.0), swept=("chunk",), best_chunk=False)
    planned = plan(study)
    assert planned.points == ("chunk=64KiB", "chunk=256KiB")
    assert planned.lanes == ("read_send", "sendfile")
    assert (planned.measure_s, planned.check_s) == (20.0, 0.0)
    assert planned.total_s == planned.setup_s + 20.0
    assert planned.setup_s > 0
    assert planned.disk_bytes == 0  # made in memory
    assert planned.memory_bytes >= 1 << 28  # the two points share one file
    assert planned.memory_bytes < 2 << 28
    assert planned.processes == 3 * (2 + 1)  # the idle loop beside the two variants
    assert plan(study, check_windows=True).check_s == 4 * 2 * 2.0 * 2 * 2


@pytest.mark.parametrize(
    ("contenders", "more", "lanes"),
    [
        (3, {}, 5),
        (4, {}, 6),
        (6, {"best_chunk": True}, 7 + 3),
        (1, {"best_chunk": True}, 8),
        (7, {}, 7 + 3),
        (7, {"schedule": "together"}, 9),
    ],
)
def test_plan_counts_the_baseline_of_every_group(contenders, more, lanes):
    """A plan counts the most lanes there are at once: every group's own baseline, the idle loop, or one for each chunk tried."""
    names = ["sendfile", "splice", "mmap_send", "msg_zerocopy", "uring_splice", "uring_send_zc", "uring_read_send"][:contenders]
    study = study_of(*names, **{"best_chunk": False, **more})
    assert plan(study).processes == lanes * 2


def test_plan_of_renamed_variants_and_files_on_disk():
    """A variant with a name of its own shows its mechanism, the best chunk is a lane more, and a file on disk is disk space."""
    variants = (Variant("read_send", "read_send"), Variant("mine", "sendfile"))
    study = Study("s", "read_send", variants, (Point(dir="/somewhere", file_size=1 << 20),))
    planned = plan(study)
    assert planned.lanes == ("read_send", "mine (sendfile)")
    assert (planned.points, planned.processes, planned.disk_bytes) == (("one point",), 8 * 2, 1 << 20)


@pytest.mark.parametrize(
    ("swept", "values", "name"),
    [
        ((), {}, ""),
        (("chunk",), {"chunk": 1 << 16}, "chunk=64KiB"),
        (("senders", "chunk"), {"chunk": 1 << 20, "senders": 4}, "senders=4, chunk=1MiB"),  # in the config's order
        (("rate",), {"rate_bps": 5e9}, "rate=5Gbit/s"),
        (("file_size", "receive_chunk"), {"file_size": 1 << 30, "receive_chunk": 100}, "file_size=1GiB, receive_chunk=100B"),
        (("placement", "receivers"), {"placement": "same", "receivers": "per-sender"}, "placement=same, receivers=per-sender"),
        (("dir",), {"dir": None}, "dir=auto"),
    ],
)
def test_point_names(swept, values, name):
    """A point is named by what sets it apart, in units that a config file accepts."""
    point = Point(**values)
    assert point_name(study_of(points=(point,), swept=swept), point) == name
