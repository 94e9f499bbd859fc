"""Servers at a rate: their receivers ask on the schedule that paced senders keep to, and what is counted of it is the same."""

from __future__ import annotations

import os
import select
import signal
import time

import pytest
from support.processes import wait_until
from support.server_lanes import WHOLE, server_lanes
from support.windows import windows_until

from zcload import config
from zcload.errors import ConfigError
from zcload.host.machine import Machine
from zcload.lane.rest import wait_for_rest
from zcload.lane.worker import process_state
from zcload.linux.timer import Timer
from zcload.model.schedule import Schedule, bucket_end_ns
from zcload.model.study import Point, Server
from zcload.model.timing import least_window_s
from zcload.runner.window import measure

SIZE = 1 << 20
CHUNK = 32 << 10
RATE = 200e6  # bit/s


@pytest.fixture
def machine():
    """Return a reader of the machine's counters."""
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture
def lane():
    """Return a function that sets up a lane of a small server at a rate, ready for windows; it ends with the test."""
    with server_lanes(SIZE) as bring_up:
        yield lambda *args, **values: bring_up(*args, **{"chunk": CHUNK, "rate_bps": RATE, **values})


def moved(record):
    return sum(after[1] - before[1] for before, after in record["receivers"])


def asked(record):
    return sum(after[2] - before[2] for before, after in record["receivers"])


def test_a_timer_wakes_a_poll_to_the_nanosecond_and_again():
    """A timer ends an epoll_wait no earlier than it was set for, each time it is set, without being read."""
    timer = Timer()
    with select.epoll() as poller:
        poller.register(timer.fd, select.EPOLLIN | select.EPOLLET)
        for _ in range(3):
            due = time.monotonic_ns() + 3_000_000
            timer.set(due)
            assert poller.poll(5) == [(timer.fd, select.EPOLLIN)]
            assert time.monotonic_ns() >= due
        assert poller.poll(0) == []
        timer.set(1)
        assert poller.poll(5)
    timer.close()
    timer.close()


@pytest.mark.parametrize(
    ("request_size", "rate", "asked_for"), [(0, None, 4 << 20), (0, 1e9, 256 << 10), (1 << 20, 1e9, 1 << 20), (None, 1e9, 64 << 20)]
)
def test_what_a_request_is_for(request_size, rate, asked_for):
    """4 MiB at full speed, a chunk of the point's at a rate, and what the config says where it says something."""
    point = Point(file_size=64 << 20, rate_bps=rate)
    assert Server(request_bytes=request_size).asked_bytes(point) == asked_for
    assert Server(request_bytes=request_size).asked_bytes(Point(file_size=4096, rate_bps=rate)) == 4096


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize(("senders", "receivers"), [(1, 1), (4, 1), (4, 2)])
def test_a_rate_is_kept_within_two_percent(senders, receivers, lane, machine):
    """The connections of a lane get what the rate earns, never more, and in a quiet window at most 2 % less, whoever shares a receiver."""
    made = lane(senders=senders, receivers=receivers)

    def kept(record):
        return moved(record) * 8e9 / (record["last_byte_ns"] - record["open_ns"]) == pytest.approx(RATE, rel=0.02)

    for record in windows_until(made, 0.5, machine, kept):
        due = RATE / 8 * (record["close_ns"] - record["open_ns"]) / 1e9
        assert moved(record) <= due + CHUNK
        assert sum(record["pacing"]["bytes"]) == moved(record)
        assert sum(record["pacing"]["bursts"]) == sum(record["pacing"]["late"].values())
        assert len(record["pacing"]["sleeps"]) == receivers
        assert sum(record["pacing"]["sleeps"]) <= sum(record["pacing"]["bursts"]) + senders  # as of a paced sender: one for a burst


@pytest.mark.serial
def test_what_is_asked_for_is_what_the_schedule_says(lane, machine):
    """In a quiet window each connection asks for exactly the bursts that were due before its end, as a paced sender would send them."""
    made = lane(senders=3)
    due = sum(sum(Schedule(RATE, CHUNK, 3, index).due_ns(n * CHUNK) < 300_000_000 for n in range(2000)) for index in range(3))
    records = windows_until(made, 0.3, machine, lambda record: sum(record["pacing"]["bursts"]) == due)
    for record in records:  # a window that closes late may hold more
        assert sum(record["pacing"]["bursts"]) <= due + 1 + 3 * RATE / 8 / CHUNK * (record["close_ns"] - record["open_ns"] - 3e8) / 1e9


@pytest.mark.serial
def test_a_stalled_server_is_caught_up_with(lane, machine):
    """After a server has stood still for 100 ms its connections ask without a pause until they are where the schedule is."""
    made = lane(senders=2)
    pid = made.serving.running.pid
    number_before = made.received()
    opened = made.gate.open(60.0)

    def caught_up():
        return made.received() - number_before > 0.95 * RATE / 8 * (time.monotonic_ns() - opened) / 1e9

    assert wait_until(lambda: made.received() > number_before, 60)
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: process_state(pid).startswith("T"), 60)
    time.sleep(0.1)
    os.kill(pid, signal.SIGCONT)
    assert wait_until(caught_up, 30)
    made.gate.close()
    wait_for_rest(made)
    record = made.load.record([[0] * len(area) for area in made.read().areas], made.read().areas)["pacing"]
    assert record["late_max_ns"] > 80e6
    late = sum(count for number, count in record["late"].items() if bucket_end_ns(int(number)) > 20_000_000)
    assert late > 30  # of the 76 bursts that were due in 100 ms


@pytest.mark.serial
def test_smaller_requests_make_up_a_burst(lane, machine):
    """Requests smaller than the point's chunk follow one another until that is had: bursts are as large as those of other lanes."""
    (*_, record) = windows_until(lane(request=8 << 10, senders=2), 0.3, machine, lambda record: sum(record["pacing"]["bursts"]) > 2)
    bursts = sum(record["pacing"]["bursts"])
    assert 0 < 4 * bursts - 2 * 3 <= asked(record) <= 4 * bursts  # the gate may close in the midst of a burst of each


@pytest.mark.serial
def test_a_server_without_ranges_gets_whole_answers_as_bursts(lane, machine):
    """Where ranges are ignored a burst is the whole file, due when the rate has earned that; the lane knows."""
    made = lane(WHOLE)
    assert made.burst_bytes == SIZE
    due = int(RATE / 8 * 0.5 / SIZE) * SIZE
    for record in windows_until(made, 0.5, machine, lambda record: moved(record) == due):
        assert moved(record) <= RATE / 8 * (record["close_ns"] - record["open_ns"]) / 1e9
        assert sum(record["pacing"]["bursts"]) == asked(record)


@pytest.mark.serial
def test_a_window_too_short_for_a_burst_moves_nothing_and_ends(lane, machine):
    """A connection whose burst is due only after the window does not wait for it."""
    made = lane(WHOLE, rate_bps=SIZE * 8 / 30)  # a file every 30 s
    record = measure(made, 0.05, machine)
    assert moved(record) == 0
    assert (record["rest_ns"] - record["open_ns"]) / 1e9 < 25


@pytest.mark.serial
def test_nothing_is_kept_of_a_schedule_without_a_rate(lane, machine):
    """Windows of servers at full speed are what they were: no pacing in the record, no words on the board."""
    made = lane(senders=2, rate_bps=None)
    assert made.read().areas == []
    assert "pacing" not in measure(made, 0.05, machine)


def test_windows_hold_enough_requests():
    """A window is long enough for 200 requests of each connection where they are larger than the chunks of others."""
    text = """
        [study]
        name = "s"
        baseline = "read_send"
        variants = ["read_send"]
        [workload]
        rate = "2Gbit/s"
        [[variant]]
        name = "large"
        kind = "server"
        command = "x {port}"
        request_size = "1MiB"
    """
    study = config.loads(text)
    assert least_window_s(study, study.points[0]) == pytest.approx(200 * (1 << 20) * 8 / 2e9)


def test_requests_too_large_for_a_rate_are_refused():
    """A request_size of which 200 would take longer than a window may is one error at its own key, with what to do."""
    tree = {
        "study": {"name": "s", "baseline": "read_send", "variants": ["read_send"]},
        "workload": {"rate": "1Gbit/s"},
        "variant": [{"name": "whole", "kind": "server", "command": "x {port}", "request_size": "whole"}],
    }
    with pytest.raises(ConfigError, match=r"variant\[whole\].request_size: requests of 256MiB at 1 Gbit/s .* expected at most 5 s"):
        config.from_tree(tree)
    tree["variant"][0]["request_size"] = "1MiB"
    assert config.from_tree(tree).variants[1].server.request_bytes == 1 << 20
