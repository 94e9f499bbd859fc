"""Lanes at a rate: what they achieve, without credit, shared among senders, every wake-up counted; misses as findings."""

from __future__ import annotations

import time

import pytest
from support.windows import moving_window, windows_until

from zcload.host.machine import Machine
from zcload.lane.loads.paced import Paced
from zcload.lane.loads.stream import Stream
from zcload.lane.sender import load_of
from zcload.model.study import Point
from zcload.runner.window import measure

RATE = 200e6  # bit/s: far below what any machine moves
CHUNK = 16 << 10


@pytest.fixture
def machine():
    """Return a reader of the machine's counters."""
    machine = Machine()
    yield machine
    machine.close()


def sent(record):
    return [after[1] - before[1] for before, after in record["senders"]]


def due(record):
    """Return how many bytes the rate earns in the window."""
    return RATE / 8 * (record["close_ns"] - record["open_ns"]) / 1e9


def test_only_a_rate_makes_a_lane_paced():
    """A point with a rate gets the paced load, one without gets the closed loop, which has no words on the board."""
    assert load_of(Point()) is Stream
    assert load_of(Point(rate_bps=1e9)) is Paced
    assert Stream.areas(Point()) == (0, 0)


@pytest.mark.serial
@pytest.mark.parametrize("senders", [1, 3])
@pytest.mark.parametrize("mechanism", ["read_send", "sendfile", "splice", "mmap_send"])
def test_a_lane_never_sends_more_than_its_rate(mechanism, senders, lane_of, machine):
    """The rate is the lane's total, whatever the number of its senders: no window holds more, and a quiet one more than half, from each."""
    lane = lane_of(mechanism, senders=senders, chunk=CHUNK, rate_bps=RATE)

    def shared(record):
        return 0.5 * due(record) < sum(sent(record)) and max(sent(record)) < 2 * min(sent(record))

    for record in windows_until(lane, 0.2, machine, shared):
        assert sum(sent(record)) <= due(record) + senders * CHUNK


@pytest.mark.serial
def test_time_at_the_gate_earns_no_credit(lane_of, machine):
    """A window after a long rest holds no more than one after a short one: the schedule begins when the gate opens."""
    lane = lane_of("sendfile", chunk=CHUNK, rate_bps=RATE)
    measure(lane, 0.05, machine)
    time.sleep(0.5)
    record = measure(lane, 0.05, machine)
    assert sum(sent(record)) <= due(record) + CHUNK


@pytest.mark.serial
def test_the_gate_closes_on_a_sleeping_sender(lane_of, machine):
    """A sender whose next chunk is not due before the gate closes sends none, and parks when its sleep ends."""
    lane = lane_of("sendfile", chunk=CHUNK, rate_bps=CHUNK * 8)  # a chunk a second
    record = measure(lane, 0.05, machine)
    assert sent(record) == [0]
    assert record["pacing"]["bursts"] == [0]
    assert record["pacing"]["sleeps"] == [1]
    assert (record["rest_ns"] - record["open_ns"]) / 1e9 >= 1.0


@pytest.mark.serial
def test_smaller_chunks_sleep_no_more_often(lane_of, machine):
    """The chunks of a lane that has smaller ones than the point go out together: a sleep at most for each of the point's chunks."""
    lane = lane_of("sendfile", chunk=8 * CHUNK, rate_bps=RATE, own_chunk=CHUNK)
    record = moving_window(lane, 0.2, machine)
    turns = record["senders"][0][1][2] - record["senders"][0][0][2]
    assert turns == 8 * record["pacing"]["bursts"][0] > 0
    assert record["pacing"]["sleeps"][0] <= record["pacing"]["bursts"][0] + 1


@pytest.mark.serial
def test_a_held_up_sender_catches_up_and_says_how_late_it_was(lane_of, machine, monkeypatch):
    """A sender that was held up within a window still sends what the rate asks for, and its lateness shows the delay."""
    from zcload.mechanisms.sendfile import Sendfile

    plain = Sendfile.send
    held = []

    def send(self, offset, count):
        held.append(1)
        if len(held) % 370 == 0:  # once in about 0.25 s, and not in step with windows, which send about 800 times
            time.sleep(0.1)
        return plain(self, offset, count)

    monkeypatch.setattr(Sendfile, "send", send)
    lane = lane_of("sendfile", chunk=CHUNK, rate_bps=RATE, verify=False)

    def caught_up(record):
        return record["pacing"]["late_max_ns"] > 80e6 and sum(sent(record)) > 0.9 * due(record)

    for record in windows_until(lane, 0.6, machine, caught_up):
        assert sum(sent(record)) <= due(record) + CHUNK
        assert sum(record["pacing"]["late"].values()) == sum(record["pacing"]["bursts"])


@pytest.mark.serial
def test_a_rate_beyond_the_machine_is_as_fast_as_it_goes(lane_of, machine):
    """A lane that cannot reach its rate never sleeps for long, comes to rest as ever, and says that it is late."""
    lane = lane_of("read_send", chunk=CHUNK, rate_bps=100e12)
    (*_, record) = windows_until(lane, 0.1, machine, lambda record: record["pacing"]["late_max_ns"] > 50e6)
    assert sum(sent(record)) == sum(after[1] - before[1] for before, after in record["receivers"]) > 0
    assert sum(record["pacing"]["sleeps"]) <= 1


@pytest.mark.serial
def test_a_whole_pass_is_finished_at_the_rate(lane_of, machine, source_file):
    """The window of a mechanism that ends with its pass ends there, and its pass keeps to the rate too."""
    file = source_file(1 << 20)
    lane = lane_of("slurp_send", file, chunk=CHUNK, rate_bps=RATE)
    record = measure(lane, 0.01, machine)
    assert sent(record) == [file.size]
    assert (record["last_byte_ns"] - record["open_ns"]) / 1e9 > 0.95 * file.size * 8 / RATE


@pytest.mark.serial
def test_a_paced_lane_sleeps(lane_of, machine):
    """Between its chunks a paced sender is blocked: with a CPU of its own for the window it uses a small part of it."""
    lane = lane_of("null", chunk=CHUNK, rate_bps=RATE, verify=False)
    (*_, record) = windows_until(lane, 0.2, machine, lambda record: record["pacing"]["sleeps"][0] > 10)
    used = record["senders"][0][1][0] - record["senders"][0][0][0]
    assert used < (record["close_ns"] - record["open_ns"]) / 2
