"""The contract of a lane: what zcload/lane/contract.py promises holds for lanes of mechanisms, servers and relays, with real processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time

import pytest
from support.server_lanes import server_lanes

from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.board import RUN
from zcload.lane.contract import Lane
from zcload.lane.rest import wait_for_rest
from zcload.lane.sampler import Sampler
from zcload.linux import interrupt
from zcload.model.study import Sizes
from zcload.runner.window import LaneFailed, measure

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("leaks")]

SIZE = 300_000
FILE_KINDS = ("mechanism", "server")  # what sends small files
KINDS = (*FILE_KINDS, "relay")
ROLES = [
    *(("mechanism", "senders"), ("mechanism", "receivers"), ("server", "receivers")),
    *(("relay", "senders"), ("relay", "relays"), ("relay", "receivers")),
]
MEMBERS = sorted({name for name in {*vars(Lane), *Lane.__annotations__} if not name.startswith("_")})


@pytest.fixture
def bring_up(lane_of, source_file):
    """Return a function that sets up a lane of a kind, ready for windows unless told not to start; its `data` are the last one's file."""
    with server_lanes(SIZE) as serve:

        def make(kind, start=True, **point):
            if kind == "server":
                lane = serve(start=start, **point)
            else:
                file = source_file(SIZE)
                relay = {"mechanism": "relay_splice", "origin": "read_send"} if kind == "relay" else {}
                lane = lane_of(file=file, verify=not start, start=start, name="m", **relay, **point)
            make.data = (bytes(range(251)) * (SIZE // 251 + 1))[:SIZE] if kind == "server" else file.data
            if start:
                wait_for_rest(lane)
            return lane

        yield make


def run_window(lane, open_s=0.02):
    """Open the lane's gate for *open_s*, or longer on a busy machine: until bytes have arrived; close it and wait for rest."""
    before = lane.received()
    lane.gate.open(open_s)
    interrupt.pause(open_s)
    while lane.received() == before and lane.failure() is None:
        interrupt.pause(0.001)
    lane.gate.close()
    wait_for_rest(lane)


def gone(pid):
    """Return whether a process has ended."""
    return not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_lane_has_all_that_the_contract_names(kind, bring_up):
    """Every attribute and method of the contract is there on a running lane, and every attribute can be read."""
    lane = bring_up(kind)
    assert len(MEMBERS) > 20
    for name in MEMBERS:
        getattr(lane, name)
    assert lane.name == lane.variant.name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("connections", [1, 3])
def test_what_is_sent_in_a_window_is_received_by_its_rest(kind, connections, bring_up):
    """A window moves bytes; at its rest all that was sent has been received, on both sides of the reading, and nothing has failed."""
    lane = bring_up(kind, senders=connections, receivers=min(connections, 2))
    before = lane.received()
    run_window(lane)
    assert lane.received() > before
    assert lane.sent() == lane.received()
    assert lane.all_arrived()
    reading = lane.read()
    assert sum(tally[0] for tally in reading.senders) == sum(tally[0] for tally in reading.receivers) == lane.received()
    assert lane.failure() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_lane_parks_when_its_gate_is_closed_and_not_before(kind, bring_up):
    """While the gate is open a lane is not parked; once it is closed every gated worker parks for that order."""
    lane = bring_up(kind)
    assert lane.gate.parked()
    lane.gate.open(0.05)
    assert not lane.gate.parked()
    interrupt.pause(0.05)
    assert not lane.gate.parked()
    lane.gate.close()
    wait_for_rest(lane)
    assert lane.gate.parked()


@pytest.mark.parametrize("kind", KINDS)
def test_orders_are_numbered(kind, bring_up):
    """Each order has the next number, and the instants of a window are in order."""
    lane = bring_up(kind)
    number = lane.gate.number
    opened = lane.gate.open(0.01)
    interrupt.pause(0.01)
    closed = lane.gate.close()
    assert time.monotonic_ns() >= closed >= opened + 10_000_000
    wait_for_rest(lane)
    assert lane.gate.number == number + 1
    lane.gate.close()
    lane.gate.order(RUN)  # behind a closed gate it moves nothing
    wait_for_rest(lane)
    assert lane.gate.number == number + 2


@pytest.mark.parametrize("kind", KINDS)
def test_at_rest_nothing_changes(kind, bring_up):
    """Two readings of a lane at rest are the same, and what it has received stays as it is."""
    lane = bring_up(kind, senders=2)
    run_window(lane)
    before, received = lane.read(), lane.received()
    time.sleep(0.02)
    assert (lane.read(), lane.received()) == (before, received)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reading_has_a_row_for_each_process_observed(kind, bring_up):
    """A reading has as many rows as processes whose clocks are read, by role; receivers' have a column for each kind of call."""
    lane = bring_up(kind, senders=3, receivers=2)
    run_window(lane)
    reading = lane.read()
    assert len(reading.senders) == len(lane.observed_senders)
    assert len(reading.receivers) == len(lane.observed_receivers) == len(lane.workers.receivers) == 2
    assert all(len(tally) == 2 + len(lane.receiver_calls) for tally in reading.receivers)
    assert all(min(tally[:3]) > 0 for tally in reading.receivers)
    assert len(reading.relays) == len(lane.observed_relays) == len(lane.workers.relays) == (3 if kind == "relay" else 0)
    assert sum(tally[0] for tally in reading.relays) in (0, lane.received())
    assert reading.last_byte_ns <= time.monotonic_ns()


@pytest.mark.parametrize("kind", FILE_KINDS)
@pytest.mark.parametrize("arrivals", ["closed", "poisson"])
def test_small_files_are_counted_on_both_ends(kind, arrivals, bring_up):
    """Where small files are sent, as many arrive as were sent, each with a latency of its own."""
    rate = {} if arrivals == "closed" else {"arrivals": arrivals, "transfers_per_s": 2000.0}
    lane = bring_up(kind, senders=2, transfer="per-file", transfer_size=Sizes((1000, 5000)), **rate)
    before = lane.read().transfers[0]
    run_window(lane, 0.05)
    sent, received = lane.read().transfers
    assert sum(sent) == sum(received) > sum(before)
    assert lane.all_arrived()
    assert len(lane.transfer_plan.log.latencies(before, sent)) == sum(sent) - sum(before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_paced_lane_records_its_schedule(kind, bring_up):
    """At a rate the load of either lane counts its bursts and bytes in the areas of the reading, and makes the same record of them."""
    lane = bring_up(kind, senders=2, rate_bps=50e6, chunk=20_000)
    before = lane.read()
    run_window(lane, 0.1)
    after = lane.read()
    record = lane.load.record(before.areas, after.areas)["pacing"]
    assert sum(record["bytes"]) == sum(tally[0] for tally in after.receivers) - sum(tally[0] for tally in before.receivers) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_is_measured_alike(kind, bring_up):
    """The runner's record of a window has the same keys for either lane, and is JSON."""
    lane = bring_up(kind)
    machine = Machine()
    try:
        record = measure(lane, 0.02, machine)
    finally:
        machine.close()
    assert record["order"] == lane.gate.number
    assert {"lane", "open_ns", "close_ns", "last_byte_ns", "rest_ns", "senders", "receivers", "machine"} <= record.keys()
    assert record["open_ns"] < record["close_ns"] <= record["rest_ns"]
    json.dumps(record)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("connections", [1, 2])
def test_verification_compares_every_connection(kind, connections, bring_up):
    """The right digests pass, and so many bytes have arrived; a wrong one is an error that names lane and connection."""
    for wrong in (False, True):
        lane = bring_up(kind, start=False, senders=connections)
        right = [hashlib.sha256(bring_up.data[start:end]).hexdigest() for start, end in lane.parts]
        expected = [*right[:-1], "0" * 64] if wrong else right
        if wrong:
            with pytest.raises(StudyError, match=rf"lane {lane.name}: what arrived on connection {connections - 1} is not") as caught:
                lane.verify(expected, 10.0)
            assert right[-1][:16] in str(caught.value)
        else:
            lane.verify(expected, 10.0)
            wait_for_rest(lane)
            assert lane.received() == sum(end - start for start, end in lane.parts) >= SIZE
            run_window(lane)


@pytest.mark.parametrize(("kind", "role"), ROLES)
def test_a_worker_that_is_killed_is_named(kind, role, bring_up):
    """A worker that is killed is named with lane, role, number, pid and signal, by the wait for rest as by `failure`."""
    lane = bring_up(kind, senders=2, receivers=2)
    worker = getattr(lane.workers, role)[1]
    os.kill(worker.pid, signal.SIGKILL)
    machine = Machine()
    try:
        with pytest.raises(LaneFailed) as caught:
            measure(lane, 0.01, machine)
    finally:
        machine.close()
    named = f"lane {lane.name}, {worker.role} 1 (pid {worker.pid}): killed by SIGKILL"
    assert caught.value.lane == lane.name
    assert named in str(caught.value)
    assert named in str(lane.failure())


@pytest.mark.parametrize(("kind", "role"), ROLES)
def test_a_worker_that_ends_before_it_is_ready_is_named(kind, role, bring_up):
    """A worker that has ended and never said that it was ready is named by `ready`, with the signal that ended it."""
    lane = bring_up(kind, start=False)
    worker = getattr(lane.workers, role)[0]
    os.kill(worker.pid, signal.SIGKILL)
    while worker.alive():
        time.sleep(0.001)
    worker.failure()  # takes in what it may have said before the signal came
    worker.inbox.clear()
    with pytest.raises(StudyError) as caught:
        lane.ready()
    assert f"lane {lane.name}, {worker.role} 0 (pid {worker.pid}): killed by SIGKILL" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_reports_and_facts_are_json(kind, bring_up):
    """Reports have a row for each sender process of zcload's own, facts what else there is to say; both are JSON."""
    lane = bring_up(kind, senders=2)
    run_window(lane)
    received = lane.received()
    reports = lane.report()
    wait_for_rest(lane)
    assert len(reports) == len(lane.workers.senders)
    json.dumps([reports, lane.facts()])
    assert lane.received() == received
    assert lane.late_unauthenticated() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_orders_that_move_nothing_are_counted_where_no_receiver_wakes(kind, bring_up):
    """To forget the file and to report move no byte; what a receiver did not have to wake up for is counted as silent."""
    lane = bring_up(kind)
    run_window(lane)
    received, number, silent = lane.received(), lane.gate.number, lane.gate.silent
    forgot = lane.forget()
    lane.report()
    wait_for_rest(lane)
    assert lane.received() == received
    assert lane.gate.number == number + forgot + 1
    assert lane.gate.silent - silent == (0 if kind == "server" else lane.gate.number - number)


@pytest.mark.parametrize("kind", KINDS)
def test_rests_are_counted(kind, bring_up):
    """Every rest is counted; only a lane with patience for processes that are never still may be at rest loosely."""
    lane = bring_up(kind)
    before = lane.rests.total
    run_window(lane)
    run_window(lane)
    assert lane.rests.total == before + 2
    assert lane.rests.loose == 0 or lane.patience_s is not None


@pytest.mark.parametrize("kind", KINDS)
def test_the_sampler_takes_either_lane(kind, bring_up):
    """A sample of either lane has its bytes, its orders, and the CPU time of both roles, which only grows."""
    lane = bring_up(kind)
    sampler = Sampler([{lane.name: lane}])
    first = sampler.sample()["lanes"][lane.name]
    run_window(lane)
    second = sampler.sample()["lanes"][lane.name]
    assert second["bytes"] == lane.received() > first["bytes"]
    assert second["orders"] == first["orders"] + 1
    roles = ("senders", "receivers", *(("relays",) if kind == "relay" else ()))
    assert all(second[role]["cpu_ns"] > first[role]["cpu_ns"] for role in roles)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["set up", "at rest", "at work", "failed"])
def test_tear_down_ends_all_and_may_be_repeated(kind, state, bring_up):
    """From any state a lane ends with all its processes and eventfds, and to end it again changes nothing."""
    lane = bring_up(kind, start=state != "set up", senders=2, receivers=2)
    pids = [worker.pid for worker in lane.workers.members]
    pids += [process.pid for observed in lane.observed_senders for process in observed.members()]
    gates = list(lane.gate.fds)
    if state == "at work":
        lane.gate.open(10.0)
        interrupt.pause(0.02)
    elif state == "failed":
        os.kill(lane.workers.receivers[0].pid, signal.SIGKILL)
    for _ in range(2):
        lane.tear_down()
        assert lane.workers.members == []
        assert lane.gate.fds == []
    assert gates
    assert all(gone(pid) for pid in pids)
    assert lane.odd is None
