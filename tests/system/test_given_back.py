"""What many lanes take from the kernel they give back: processes, descriptors, sockets, pipes, locked and pinned memory, namespaces."""

from __future__ import annotations

import os
import resource
from itertools import cycle, islice, product

import psutil
import pytest
from support.contenders import goes
from support.namespaces import held_by_us
from support.own_memory import status_bytes
from support.veth import open_veth

from zcload.lane.placement import Placement
from zcload.lane.rest import wait_for_rest
from zcload.lane.set_up import set_up
from zcload.mechanisms import MECHANISMS
from zcload.model.study import Point, Variant
from zcload.sinks import SINKS

FEW, MANY = 25, 200  # lanes of one test; many are nightly
RUNNABLE = [[name for name, cls in registry.items() if cls.probe() is None] for registry in (MECHANISMS, SINKS)]
PAIRS = [pair for pair in product(*RUNNABLE) if goes(*pair)]
# Each mechanism and each sink once or more: sinks take turns.
EACH = [sinks[n % len(sinks)] for n, name in enumerate(RUNNABLE[0]) if (sinks := [pair for pair in PAIRS if pair[0] == name])]
EACH += [next(pair for pair in PAIRS if pair[1] == name) for name in RUNNABLE[1] if name not in {sink for _, sink in EACH}]

pytestmark = pytest.mark.serial


def run_lane(mechanism, sink, file, network=None, chunk=1 << 16):
    """Set a lane up, have it send the file once, and tear it down; return what its sender reports and the pids of its workers."""
    everywhere = frozenset(os.sched_getaffinity(0))
    place = {"network": "veth"} if network else {}
    point = Point(file_size=file.size, chunk=chunk, placement="free", sink=sink, **place)
    placement = Placement((everywhere,), (everywhere,), everywhere)
    moves = MECHANISMS[mechanism].moves_payload
    lane = set_up(
        Variant(mechanism, mechanism).at(point),
        point,
        fd=file.fd,
        size=file.size,
        placement=placement,
        congestion=None,
        verify=moves,
        network=network,
    )
    try:
        if moves:
            lane.verify(file.digests(), 10.0)
        else:
            lane.ready()
        wait_for_rest(lane)
        return lane.report()[0]["completions"], [worker.pid for worker in lane.workers.members]
    finally:
        lane.tear_down()


def locked():
    """Return what this process has pinned and locked, in bytes; what its user has is seen by the limit of the test below."""
    return [status_bytes("VmPin"), status_bytes("VmLck")]


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [EACH, pytest.param(list(islice(cycle(PAIRS), MANY)), marks=pytest.mark.nightly)], ids=["each", "many"])
def test_lanes_leave_nothing(pairs, leaks, source_file):
    """Lanes of all mechanisms and sinks, one after the other, leave no process, descriptor, socket, pipe or pinned memory."""
    file = source_file(300_007)
    before, pinned = leaks(), locked()
    pids = []
    for mechanism, sink in pairs:
        pids += run_lane(mechanism, sink, file)[1]
    assert len(pids) == 2 * len(pairs)
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).ppid() == os.getpid() for pid in pids)
    assert leaks() == before
    assert locked() == pinned


LIMIT = 6 << 20  # of locked memory: one ring of 4 MiB, not two


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(("name", "counter"), [("uring_send_zc_fixed", "slots"), ("uring_splice", "pipe_bytes")])
def test_the_last_of_many_lanes_gets_what_the_first_got(name, counter, lanes, source_file, in_child):
    """A user with room for few rings and pipes at once runs many lanes of them: each has as much as the first."""
    if os.geteuid():
        pytest.skip("only root can become a user with nothing in use (run the tests as root)")
    why = MECHANISMS[name].probe()
    if why is not None:
        pytest.skip(f"{name}: {why.reason} ({why.remedy})")
    file = source_file(2 << 20)

    def run():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (LIMIT, LIMIT))
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        return [run_lane(name, "discard", file, chunk=1 << 20)[0][counter] for _ in range(lanes)]

    had = in_child(run)
    assert len(had) == lanes
    assert set(had) == {had[0]}
    assert had[0] > 1


def test_networks_are_given_back(leaks, source_file):
    """20 veth networks with a lane in each leave no namespace, process or descriptor."""
    file = source_file(100_003)
    before, held, children = leaks(), held_by_us(), len(psutil.Process().children())
    for _ in range(20):
        network = open_veth()
        try:
            run_lane("sendfile", "recv", file, network)
        finally:
            network.close()
    assert leaks() == before
    assert held_by_us() <= held
    assert len(psutil.Process().children()) == children
