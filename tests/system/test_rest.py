"""The rule of rest and the readings taken there: what the observer outside reads is what the workers themselves know."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from zcload.errors import StudyError
from zcload.host.machine import Machine, busy_s, capacity_s
from zcload.host.process import ObservedProcess
from zcload.lane.contract import RestCounts
from zcload.lane.rest import STALL_S, clocks, wait_for_rest
from zcload.lane.sampler import MIN_INTERVAL_NS, Sampler
from zcload.lane.worker_group import WorkerGroup
from zcload.linux import interrupt
from zcload.runner.window import measure, measure_together

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("leaks")]

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def switches(pid):
    """Return the (voluntary, involuntary) context switches of all threads of a process, from the kernel's own files."""
    sums = {"voluntary_ctxt_switches": 0, "nonvoluntary_ctxt_switches": 0}
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            key, _, value = line.partition(":")
            if key in sums:
                sums[key] += int(value)
    return tuple(sums.values())


@pytest.fixture
def machine():
    """Return the machine's counters."""
    machine = Machine()
    yield machine
    machine.close()


# Readings.


@pytest.mark.parametrize("mechanism", ["read_send", "sendfile"])
def test_the_clock_read_outside_is_the_workers_own(mechanism, lane_of, machine):
    """At rest a sender's CPU clock, read from outside, is less than the sender's own by 1 ms at most."""
    lane = lane_of(mechanism, senders=2)
    measure(lane, 0.25, machine)
    outside = wait_for_rest(lane)
    own = [report["cpu_ns"] for report in lane.report()]
    for seen, known in zip(outside, own, strict=False):
        assert seen <= known
        assert known - seen <= 1e6


def test_switches_read_outside_are_the_workers_own(lane_of, machine):
    """At rest the switches that psutil and /proc tell are equal, and they are those that the sender itself counts."""
    lane = lane_of("sendfile", senders=2)
    sampler = Sampler([{lane.name: lane}])
    for _ in range(5):
        measure(lane, 0.02, machine)
        before = [switches(worker.pid) for worker in lane.workers.senders]
        sample = sampler.sample()["lanes"][lane.name]["senders"]
        assert (sample["voluntary"], sample["involuntary"]) == tuple(map(sum, zip(*before, strict=True)))
        reports = lane.report()
        wait_for_rest(lane)
        after = [switches(worker.pid) for worker in lane.workers.senders]
        for first, report, last in zip(before, reports, after, strict=True):
            assert report["voluntary"] == first[0]  # it has been woken, and has not slept again
            assert last[0] == first[0] + 1  # parking again is the one switch of an order
            assert first[1] <= report["involuntary"] <= last[1]  # being woken may cost somebody's turn


def test_faults_read_outside_are_the_workers_own(lane_of, machine):
    """At rest the page faults read from outside are not more than the sender itself counts, nor fewer by more than its report costs."""
    lane = lane_of("mmap_send")
    measure(lane, 0.05, machine)
    outside = lane.observed_senders[0].counters()
    own = lane.report()[0]
    assert outside.minor_faults <= own["minor_faults"] <= outside.minor_faults + 100
    assert outside.minor_faults > 16  # a fault for every 64 KiB of each pass


def test_user_and_system_time_add_up_to_the_clock(lane_of, machine):
    """psutil's user and system time of a sender are its CPU clock, cut into ticks."""
    lane = lane_of("read_send")
    measure(lane, 0.3, machine)
    wait_for_rest(lane)
    sample = Sampler([{lane.name: lane}]).sample()["lanes"][lane.name]
    for role in ("senders", "receivers"):
        assert abs(sample[role]["user_s"] + sample[role]["system_s"] - sample[role]["cpu_ns"] / 1e9) <= 2.5 * TICK_S
    assert sample["bytes"] == lane.received()
    assert sample["orders"] == lane.gate.number


def test_sent_equals_received_at_every_rest(lane_of, machine):
    """Over twenty windows every reading has as many bytes received as sent, clocks that do not run, and no process running."""
    lane = lane_of("sendfile", senders=3, receivers=2, socket_buffer=65_536)
    total = lane.received()
    for _ in range(20):
        record = measure(lane, 0.005, machine)
        sent = sum(b[1] - a[1] for a, b in record["senders"])
        total += sent
        assert sent == sum(b[1] - a[1] for a, b in record["receivers"])
        assert lane.sent() == lane.received() == total
        assert all(process.blocked() for process in (*lane.observed_senders, *lane.observed_receivers))
        assert clocks(lane) == [b[0] for _, b in (*record["senders"], *record["receivers"])]


def test_a_reading_stays_until_the_gate_opens(lane_of, machine):
    """A lane at rest does nothing: half a tenth of a second later every clock, byte and switch is what it was."""
    lane = lane_of("read_send", senders=2)
    measure(lane, 0.02, machine)
    before = (clocks(lane), lane.read(), [switches(worker.pid) for worker in lane.workers.members])
    time.sleep(0.05)
    assert (clocks(lane), lane.read(), [switches(worker.pid) for worker in lane.workers.members]) == before


def test_lanes_together_are_read_each_at_its_own_rest(lane_of, machine):
    """Lanes that run together share the interval, have a rest and sent equal to received each, and no machine ledger."""
    lanes = [lane_of("read_send", name="a"), lane_of("sendfile", name="b")]
    records = measure_together(lanes, 0.03, machine)
    assert [record["lane"] for record in records] == ["a", "b"]
    assert max(record["open_ns"] for record in records) < min(record["close_ns"] for record in records)
    for record in records:
        assert record["machine"] is None
        assert record["senders"][0][1][1] == record["receivers"][0][1][1]


# The rule, on lanes that are not.


@dataclass
class FakeProcess:
    """A process whose clock and state are told by functions."""

    clock: object = field(default=lambda: 5)
    asleep: object = field(default=lambda: True)
    pid: int = 1

    def cpu_ns(self):
        return self.clock()

    def blocked(self):
        return self.asleep()


def fake_lane(*processes, parked=lambda: True, sent=lambda: 100, received=lambda: 100, failure=lambda: None):
    """Return what `wait_for_rest` needs of a lane."""
    return SimpleNamespace(
        name="fake",
        patience_s=None,
        rests=RestCounts(),
        observed_senders=list(processes) or [FakeProcess()],
        observed_receivers=[],
        observed_relays=[],
        workers=WorkerGroup("sender"),
        gate=SimpleNamespace(parked=parked),
        sent=sent,
        received=received,
        all_arrived=lambda: sent() == received(),
        failure=failure,
    )


def late(seconds, before, after):
    """Return a function that gives *before* until *seconds* have passed, then *after*; it keeps the instant of the change."""

    def value():
        return after if time.monotonic() >= value.at else before

    value.at = time.monotonic() + seconds
    return value


def test_a_lane_at_rest_is_found_at_rest():
    """A lane that is parked, has received all, and whose clocks stand still is at rest, and its clocks are returned."""
    assert wait_for_rest(fake_lane(FakeProcess(lambda: 7), FakeProcess(lambda: 9))) == [7, 9]


def test_a_lane_that_parks_late_is_waited_for():
    """A lane is not at rest before its last sender has parked."""
    parked = late(0.08, False, True)
    wait_for_rest(fake_lane(parked=parked))
    assert time.monotonic() >= parked.at


@pytest.mark.parametrize("on_the_way", [1, -1])
def test_bytes_on_their_way_are_waited_for(on_the_way):
    """A lane is not at rest while the bytes received are not exactly those sent, be they fewer or more."""
    received = late(0.08, 100 - on_the_way, 100)
    wait_for_rest(fake_lane(received=received))
    assert time.monotonic() >= received.at


def test_a_running_thread_is_waited_for():
    """A lane is not at rest while any thread of any process runs."""
    asleep = late(0.08, False, True)
    wait_for_rest(fake_lane(FakeProcess(), FakeProcess(asleep=asleep)))
    assert time.monotonic() >= asleep.at


def test_a_running_clock_is_waited_for():
    """A lane is not at rest while a CPU clock runs, and the clocks returned are those that stood still."""
    start = time.monotonic()

    def clock():
        return min(time.monotonic_ns(), int((start + 0.08) * 1e9))

    assert wait_for_rest(fake_lane(FakeProcess(), FakeProcess(clock))) == [5, int((start + 0.08) * 1e9)]


def test_the_two_looks_are_half_a_millisecond_apart():
    """Between the two readings of the clocks there is time for a woken thread to run."""
    read_at = []

    def clock():
        read_at.append(time.monotonic())
        return 5

    wait_for_rest(fake_lane(FakeProcess(clock)))
    assert read_at[1] - read_at[0] >= 0.0005


def test_bytes_that_move_between_the_two_looks_are_noticed():
    """A byte that is sent while the clocks are being compared makes it no rest."""
    looks = []

    def sent():
        looks.append(1)
        return 101 if len(looks) == 2 else 100

    wait_for_rest(fake_lane(sent=sent))
    assert len(looks) == 4  # two looks a try: before and after the clocks are compared


@pytest.mark.parametrize(
    "why",
    [{"parked": lambda: False}, {"received": lambda: 99}, {"processes": (FakeProcess(asleep=lambda: False),)}],
    ids=["never parks", "a byte is lost", "a thread never blocks"],
)
def test_a_lane_that_stalls_is_an_error(why, monkeypatch):
    """A lane that makes no progress gives a StudyError with what it is doing, in the time that was given and not much later."""
    now = [1000.0]  # a clock that only the waits move: no other load makes it late

    def pause(seconds):
        now[0] += seconds

    for module in ("lane.rest", "linux.patience"):
        monkeypatch.setattr(f"zcload.{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("zcload.lane.rest.interrupt", SimpleNamespace(pause=pause, check=lambda: None))
    lane = fake_lane(*why.get("processes", ()), **{name: value for name, value in why.items() if name != "processes"})
    for options, stall_s in (({"stall_s": 0.2}, 0.2), ({}, STALL_S)):
        started = now[0]
        with pytest.raises(StudyError, match=r"lane fake did not come to rest in .* bytes sent as of the last park, \d+ received"):
            wait_for_rest(lane, **options)
        assert stall_s <= now[0] - started < stall_s + 0.11  # it looks at the workers every 50 ms


def test_a_stalled_lane_tells_its_posture(lane_of):
    """The error of a real lane that does not park names its workers with their PIDs and what each waits in."""
    lane = lane_of("sendfile", name="v")
    lane.gate.number += 1  # an order that no sender has heard of
    with pytest.raises(StudyError, match="lane v did not come to rest") as caught:
        wait_for_rest(lane, stall_s=0.2)
    for worker in lane.workers.members:
        assert f"{worker.role} {worker.index} (pid {worker.pid}) S" in str(caught.value)
    lane.gate.number -= 1


def test_progress_is_no_stall():
    """A lane that takes longer than the stall time, but moves all the time, is waited for."""
    parked = late(0.5, False, True)
    wait_for_rest(fake_lane(parked=parked, received=lambda: 100 if parked() else time.monotonic_ns()), stall_s=0.15)
    assert time.monotonic() >= parked.at


def test_a_worker_that_failed_ends_the_wait():
    """The wait for rest raises what a worker failed of."""
    lane = fake_lane(parked=lambda: False, failure=lambda: StudyError("lane fake, sender 0 (pid 1): killed"))
    with pytest.raises(StudyError, match="sender 0"):
        wait_for_rest(lane)


def test_a_process_that_has_ended_ends_the_wait():
    """A process that vanishes while its clock is read is an error of the lane, not a traceback."""
    gone = subprocess.Popen(["true"])
    process = ObservedProcess(gone.pid)
    gone.wait()
    with pytest.raises(StudyError, match="lane fake: a process of it has ended"):
        wait_for_rest(fake_lane(process))
    process.close()


def test_a_signal_ends_the_wait(monkeypatch):
    """A signal that asks for the end ends the wait for rest."""
    monkeypatch.setattr(interrupt, "requested", 15)
    with pytest.raises(interrupt.Interrupted):
        wait_for_rest(fake_lane(parked=lambda: False))


# Processes.

THREADS = """
import threading, time
def work():
    for _ in range(40):
        time.sleep(0.0005)
    end = time.thread_time() + 0.03
    while time.thread_time() < end:
        pass
    done.release()
    time.sleep(1000)
done = threading.Semaphore(0)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
for _ in range(3):
    done.acquire()
print("ready", flush=True)
time.sleep(1000)
"""


SPINNING = """
import threading, time
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def threaded():
    """Return an observed process of four threads, three of which have slept and worked, all of them blocked now."""
    with subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            observed = ObservedProcess(process.pid)
            while not observed.blocked():
                time.sleep(0.001)
            yield observed
            observed.close()
        finally:
            process.kill()


def test_the_sampler_sums_over_all_threads(threaded):
    """A sample has the switches of all threads of a process, not only the main one's, and the CPU time of all."""
    gate = SimpleNamespace(number=1, silent=0)
    lane = SimpleNamespace(name="v", gate=gate, received=lambda: 0, observed_senders=[threaded], observed_receivers=[], observed_relays=[])
    sample = Sampler([{lane.name: lane}]).sample()["lanes"]["v"]["senders"]
    assert (sample["voluntary"], sample["involuntary"]) == switches(threaded.pid)
    assert sample["voluntary"] >= psutil.Process(threaded.pid).num_ctx_switches().voluntary + 3 * 40
    assert sample["cpu_ns"] == threaded.cpu_ns() >= 3 * 30_000_000


def test_the_clock_counts_threads_that_have_ended():
    """A process's clock keeps the time of threads that are gone."""
    observed = ObservedProcess(os.getpid())
    import threading

    def work():
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    before = observed.cpu_ns()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert observed.cpu_ns() - before >= 20_000_000
    observed.close()


def test_a_process_with_a_running_thread_is_not_blocked():
    """Whether a process is blocked is asked of every thread: one that runs is enough, though the main one sleeps."""
    with subprocess.Popen([sys.executable, "-c", SPINNING], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            observed = ObservedProcess(process.pid)
            time.sleep(0.02)
            assert observed.counters().threads == 2
            assert not any(observed.blocked() for _ in range(20))
            observed.close()
        finally:
            process.kill()


def test_a_name_with_parentheses_is_no_trap(tmp_path):
    """A process whose name holds spaces and parentheses is read like any other."""
    script = tmp_path / "a) S 1 (b"
    script.symlink_to("/bin/sleep")
    with subprocess.Popen([script, "99"]) as process:
        try:
            observed = ObservedProcess(process.pid)
            while Path(f"/proc/{process.pid}/comm").read_text() != "a) S 1 (b\n" or not observed.blocked():
                time.sleep(0.001)
            assert observed.counters().threads == 1
            observed.close()
            observed.close()
        finally:
            process.kill()


def test_a_process_that_is_not_there():
    """Observing a process that does not exist is a ProcessLookupError."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(ProcessLookupError, match=str(gone.pid)):
        ObservedProcess(gone.pid)


# The sampler and the machine.


def test_the_sampler_is_due_ten_times_a_second_at_most(monkeypatch):
    """A sampler that has just sampled is not due, and is again after a tenth of a second; its cost is kept."""
    now_ns = MIN_INTERVAL_NS
    monkeypatch.setattr("zcload.lane.sampler.time", SimpleNamespace(monotonic_ns=lambda: now_ns, thread_time_ns=time.thread_time_ns))
    sampler = Sampler([])
    assert sampler.due()
    sampler.sample()
    now_ns += MIN_INTERVAL_NS - 1
    assert not sampler.due()
    now_ns += 1
    assert sampler.due()
    assert sampler.taken == 1
    assert 0 < sampler.cost_ns < 1e9


def test_the_machine_is_busy_for_what_is_neither_idle_nor_waiting(tmp_path):
    """Busy time is capacity less idle and iowait, and stolen time is busy time: worked out by hand on made-up counters."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 50 1000 20 3 4 7 0 0\ncpu0 ...\n")
    machine = Machine(str(stat))
    before = machine.read()
    stat.write_text("cpu  150 0 60 1100 30 4 6 12 0 0\ncpu0 ...\n")
    after = machine.read()
    machine.close()
    assert (after.idle - before.idle, after.steal - before.steal, after.irq - before.irq) == (110, 5, 3)
    a, b = before.as_list(), after.as_list()
    b[0] = a[0] + 2_000_000_000
    a[4] = b[4] = 3
    assert capacity_s(a, b) == 6.0
    assert busy_s(a, b) == pytest.approx(6.0 - 110 * TICK_S)


def test_the_machine_reads_the_real_counters(machine):
    """The machine's counters only grow, and idle and steal time fit into the time that has passed."""
    first = machine.read()
    time.sleep(0.05)
    second = machine.read()
    assert second.t_ns > first.t_ns
    assert second.cpus == os.cpu_count()
    wall_s = (second.t_ns - first.t_ns) / 1e9
    assert 0 <= (second.idle - first.idle) * TICK_S <= second.cpus * (wall_s + 2 * TICK_S)
