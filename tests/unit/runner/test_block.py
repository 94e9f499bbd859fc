"""Groups and blocks in a world that is not real: orders, repeats, failures."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_lanes import WINDOW_S, Lane, World

from zcload.linux import interrupt
from zcload.linux.interrupt import Interrupted
from zcload.model.study import Variant
from zcload.runner import block
from zcload.runner.block import REPEAT_LIMIT, Tolerance, groups_of, run_block
from zcload.runner.window import LaneFailed

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
