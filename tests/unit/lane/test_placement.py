"""The topology as read from a made-up /sys, and the CPU sets that are dealt from it."""

from __future__ import annotations

import random

import pytest

from zcload.errors import ConfigError
from zcload.host.topology import Core, Host, allowed_cpus, parse_cpus, read_cores
from zcload.lane.placement import Placement, choose_placement, place

CPU = "/sys/devices/system/cpu"


def make_host(root, files):
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return Host(root)


def cpu_files(cpu, siblings, sharing, size="32768K"):
    """The sysfs files of one CPU with private first levels and a last-level cache shared by the CPUs *sharing*."""
    caches = {0: (1, "Data", "32K", siblings), 1: (1, "Instruction", "64K", siblings), 2: (2, "Unified", "1024K", siblings)}
    caches[3] = (3, "Unified", size, sharing)
    files = {f"{CPU}/cpu{cpu}/topology/core_cpus_list": siblings}
    for index, values in caches.items():
        for name, value in zip(("level", "type", "size", "shared_cpu_list"), values, strict=True):
            files[f"{CPU}/cpu{cpu}/cache/index{index}/{name}"] = str(value)
    return files


def flat(count, threads=1, per_cache=64, per_node=64):
    """*count* cores of *threads* hardware threads; siblings are *count* apart, as Linux mostly numbers them."""
    cores = []
    for index in range(count):
        cpus = tuple(index + count * thread for thread in range(threads))
        cores.append(Core(cpus, cpus, node=index // per_node, cache_cpus=frozenset({1000 + index // per_cache})))
    return cores


def workers_of(placement: Placement):
    return list(placement.workers)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,8", {0, 1, 2, 3, 8}),
        ("5", {5}),
        ("", set()),
        (None, set()),
        ("(null)", set()),  # what nohz_full says when there is none
        ("0-1,10-11", {0, 1, 10, 11}),
    ],
)
def test_cpu_lists_are_read_as_the_kernel_writes_them(text, cpus):
    """A kernel CPU list gives exactly its CPUs, and what is no list gives none."""
    assert parse_cpus(text) == cpus


def test_hardware_threads_are_grouped_into_cores_with_node_and_caches(tmp_path):
    """Allowed CPUs become cores that know their siblings, node, L2 and last-level cache; instruction caches do not count."""
    files = {
        f"{CPU}/online": "0-3",
        "/proc/self/status": "Name:\tpython\nCpus_allowed:\tf\nCpus_allowed_list:\t0-2",
        "/sys/devices/system/node/online": "0-1",
        "/sys/devices/system/node/node0/cpulist": "0,2",
        "/sys/devices/system/node/node1/cpulist": "1,3",
    }
    for cpu, siblings in ((0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")):
        files |= cpu_files(cpu, siblings, siblings)
    assert read_cores(make_host(tmp_path, files)) == (
        Core((0, 2), (0, 2), 0, 1 << 20, 32 << 20, frozenset({0, 2})),
        Core((1,), (1, 3), 1, 1 << 20, 32 << 20, frozenset({1, 3})),
    )


def test_the_old_name_of_the_sibling_list_is_read_too(tmp_path):
    """A kernel before 5.2, which has thread_siblings_list only, shows the same cores."""
    host = make_host(tmp_path, {f"{CPU}/cpu{cpu}/topology/thread_siblings_list": "0-1" for cpu in (0, 1)})
    assert [core.cpus for core in read_cores(host, frozenset({0, 1}))] == [(0, 1)]


def test_cpus_without_any_topology_are_cores_of_their_own(tmp_path):
    """With an empty /sys each allowed CPU is one core of unknown node and caches, and nothing is raised."""
    assert read_cores(Host(tmp_path), frozenset({0, 1})) == (Core((0,), (0,)), Core((1,), (1,)))


def test_cpus_that_are_off_are_not_allowed(tmp_path):
    """An affinity mask that names CPUs which are off or missing is cut to those online."""
    host = make_host(tmp_path, {f"{CPU}/online": "0-1", "/proc/self/status": "Cpus_allowed_list:\t0-127"})
    assert allowed_cpus(host) == {0, 1}


def test_the_real_host_has_a_core_for_every_allowed_cpu():
    """On this machine the cores' CPUs are exactly the allowed ones, each in one core and among its siblings."""
    cores = read_cores()
    assert sorted(cpu for core in cores for cpu in core.cpus) == sorted(allowed_cpus())
    assert all(set(core.cpus) <= set(core.siblings) for core in cores)


@pytest.mark.parametrize(
    ("cores", "senders", "receivers", "spare"),
    [
        (flat(2), 1, 1, False),
        (flat(3), 1, 1, True),
        (flat(8), 3, 2, True),
        (flat(4), 2, 2, False),
        (flat(4, threads=2), 2, 2, False),
        (flat(4, threads=2), 1, 2, True),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_spread_gives_each_worker_a_core_of_its_own(cores, senders, receivers, spare, seed):
    """Where there are enough cores no two workers share one, and the coordinator has its own exactly if one is left over."""
    placed = place("spread", senders, receivers, cores, random.Random(seed))
    assert (len(placed.senders), len(placed.receivers)) == (senders, receivers)
    used = [next(core for core in cores if cpus <= set(core.cpus)) for cpus in workers_of(placed)]
    assert len(set(used)) == senders + receivers
    assert all(len(cpus) == 1 for cpus in workers_of(placed))
    assert placed.coordinator
    assert spare == all(placed.coordinator.isdisjoint(core.cpus) for core in used)
    assert placed.cautions == ()


@pytest.mark.parametrize("count", range(2, 9))
@pytest.mark.parametrize(("senders", "receivers", "relays"), [(1, 1, 1), (4, 2, 4), (9, 1, 9)])
def test_no_relay_shares_a_core_with_an_end(count, senders, receivers, relays):
    """Spread gives relays cores that no sender or receiver has, however few there are; the other placements are as without them."""
    placed = place("spread", senders, receivers, flat(count), random.Random(count), relays)
    assert (len(placed.senders), len(placed.receivers), len(placed.relays)) == (senders, receivers, relays)
    ends = frozenset().union(*placed.senders, *placed.receivers)
    assert frozenset().union(*placed.relays).isdisjoint(ends)
    if count >= senders + receivers + relays:
        assert len(set(workers_of(placed))) == senders + receivers + relays
    same = place("same", senders, receivers, flat(count), random.Random(1), relays)
    assert len(set(same.workers)) == 1
    assert set(place("free", senders, receivers, flat(count), random.Random(1), relays).workers) == {frozenset(range(count))}


@pytest.mark.parametrize(
    ("count", "senders", "receivers", "sender_cpus", "receiver_cpus"),
    [
        (2, 8, 1, 1, 1),
        (2, 1, 8, 1, 1),
        (4, 4, 4, 2, 2),
        (4, 9, 1, 3, 1),
        (4, 1, 9, 1, 3),
        (3, 2, 2, 2, 1),
    ],
)
def test_too_few_cores_are_split_between_the_roles(count, senders, receivers, sender_cpus, receiver_cpus):
    """With more workers than cores each role gets cores in proportion, at least one, and its workers are dealt evenly over them."""
    placed = place("spread", senders, receivers, flat(count), random.Random(1))
    for sets, cpus in ((placed.senders, sender_cpus), (placed.receivers, receiver_cpus)):
        loads = [sets.count(one) for one in set(sets)]
        assert len(loads) == cpus
        assert max(loads) - min(loads) <= 1
    assert frozenset().union(*placed.senders).isdisjoint(frozenset().union(*placed.receivers))
    assert placed.coordinator == frozenset(range(count))


def test_siblings_of_the_only_core_are_used_with_a_caution():
    """On one physical core sender and receiver get a hardware thread each, and the result is told so."""
    placed = place("spread", 1, 1, flat(1, threads=2), random.Random(0))
    assert sorted(map(sorted, workers_of(placed))) == [[0], [1]]
    assert [caution.code for caution in placed.cautions] == ["smt_siblings"]


def test_a_core_shared_by_two_workers_of_a_role_is_a_caution():
    """Workers that outnumber the cores use sibling threads, and the caution names the CPUs."""
    placed = place("spread", 2, 1, flat(2, threads=2), random.Random(0))
    assert len(set(placed.senders)) == 2
    (caution,) = placed.cautions
    assert caution.code == "smt_siblings"
    assert " and ".join(str(*cpus) for cpus in sorted(placed.senders, key=min)) in caution.message


def test_threads_that_share_a_cpu_are_no_smt_siblings():
    """Workers that take turns on the same CPU give no SMT caution: they never run at the same time."""
    assert place("spread", 6, 1, flat(2), random.Random(0)).cautions == ()


@pytest.mark.parametrize(
    ("cores", "workers", "expected"),
    [
        (flat(8, per_cache=4), 3, [{1, 2, 3}]),  # one cache has enough: core 0 is the coordinator's
        (flat(8, per_cache=4), 4, [{0, 1, 2, 3}]),  # and is better full than left
        (flat(8, per_cache=2, per_node=4), 4, [{0, 1, 2, 3}]),  # no cache has enough, a node has
        (flat(4, per_cache=2, per_node=2), 4, [{0, 1, 2, 3}]),
    ],
)
def test_spread_stays_within_one_cache_or_node_if_that_has_enough_cores(cores, workers, expected):
    """Workers share a last-level cache where one has enough cores, else a NUMA node, else they take what there is."""
    for seed in range(4):
        placed = place("spread", workers - 1, 1, cores, random.Random(seed))
        assert set().union(*workers_of(placed)) in expected
        assert placed.coordinator


def test_the_spare_core_may_lie_outside_the_workers_cache():
    """When the workers fill a cache, the coordinator gets a core of another one."""
    placed = place("spread", 2, 2, flat(8, per_cache=4), random.Random(0))
    assert placed.coordinator == {4}


def test_spread_on_one_cpu_is_refused_with_the_remedy():
    """One CPU cannot hold sender and receiver apart: the error names the key and both ways out."""
    with pytest.raises(ConfigError) as caught:
        place("spread", 1, 1, [Core((3,), (3, 7))], random.Random(0))
    (problem,) = caught.value.problems
    assert problem.key == "workload.placement"
    assert "CPU 3" in problem.what
    assert '"same"' in (problem.remedy or "")
    assert '"free"' in (problem.remedy or "")
    assert caught.value.exit_code == 2


def test_same_puts_all_workers_on_one_cpu_chosen_by_the_seed():
    """All workers share one CPU, every CPU is chosen by some seed, and the coordinator keeps off that core."""
    chosen = set()
    for seed in range(40):
        placed = place("same", 2, 2, flat(2, threads=2), random.Random(seed))
        (only,) = set(workers_of(placed))
        (cpu,) = only
        chosen.add(cpu)
        assert placed.coordinator == {(cpu + 1) % 2, (cpu + 1) % 2 + 2}
    assert chosen == {0, 1, 2, 3}


def test_same_works_on_one_cpu():
    """With a single CPU `same` needs no second one, not even for the coordinator."""
    placed = place("same", 1, 1, flat(1), random.Random(0))
    assert set(workers_of(placed)) == {placed.coordinator} == {frozenset({0})}


def test_free_leaves_everyone_all_cpus():
    """`free` gives each worker and the coordinator the whole allowed set."""
    placed = place("free", 3, 2, flat(2, threads=2), random.Random(0))
    assert placed == Placement((frozenset(range(4)),) * 3, (frozenset(range(4)),) * 2, frozenset(range(4)))


@pytest.mark.parametrize("placement", ["spread", "same", "free"])
def test_the_same_seed_gives_the_same_cpus(placement):
    """A placement depends on the seed and the topology only, not on the order in which the cores are listed."""
    cores = flat(8, threads=2, per_cache=4)
    for seed in range(10):
        placed = place(placement, 2, 3, cores, random.Random(seed))
        assert placed == place(placement, 2, 3, cores[::-1], random.Random(seed))


@pytest.mark.parametrize(("placement", "count"), [("spread", 2), ("spread", 4), ("same", 2), ("same", 5), ("free", 3)])
def test_a_swapped_draw_gives_the_roles_the_other_way_round(placement, count):
    """A draw and the same draw swapped use the same CPUs, and on two CPUs sender and receiver change places."""
    for seed in range(10):
        one, other = (place(placement, 1, 1, flat(count), random.Random(seed), swapped=swapped) for swapped in (False, True))
        if placement == "spread" and count == 2:
            assert (one.senders, one.receivers) == (other.receivers, other.senders)
        elif placement == "same":
            (there,), (here,) = (sorted(each.senders[0]) for each in (one, other))
            assert there + here == count - 1
        else:
            assert sorted(map(sorted, one.workers)) == sorted(map(sorted, other.workers))


def test_either_role_may_get_either_cpu():
    """On two CPUs the seed decides which one the sender gets, so that neither CPU's luck sticks to a role."""
    assert {place("spread", 1, 1, flat(2), random.Random(seed)).senders for seed in range(20)} == {
        (frozenset({0}),),
        (frozenset({1}),),
    }


@pytest.mark.parametrize(("cores", "taken"), [(flat(1), "same"), (flat(2), "spread"), (flat(1, threads=2), "spread"), (flat(8), "spread")])
def test_auto_is_spread_where_there_are_two_cpus(cores, taken):
    """`auto` places every worker, and draws every role, as `spread` does where there are two CPUs, and as `same` where there is one."""
    assert choose_placement("auto", cores) == taken
    for seed in range(20):
        for senders, receivers in ((1, 1), (4, 1), (2, 3)):
            drawn = [place(name, senders, receivers, cores, random.Random(seed)) for name in ("auto", taken)]
            assert drawn[0] == drawn[1]


@pytest.mark.parametrize("placement", ["spread", "same", "free"])
def test_a_placement_that_was_asked_for_stays(placement):
    """Only `auto` depends on the host."""
    assert choose_placement(placement, flat(1)) == choose_placement(placement, flat(8)) == placement
