"""Lanes of small files: verified, counted at both ends, closed and open loops, persistent and fresh connections, latencies."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest
from support.contenders import available
from support.stalls import STALL_S, WINDOW_S, stalled_window
from support.windows import moving_window

from zcload.analysis.latency import describe
from zcload.analysis.stats import Bootstrap
from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.rest import wait_for_rest
from zcload.lane.small_files import latency_log
from zcload.lane.small_files.arrivals import LEAD_NS
from zcload.lane.small_files.fresh_connections import GREETING, _explained
from zcload.lane.small_files.transfer_plan import expected_digests
from zcload.mechanisms import MECHANISMS
from zcload.model.packed import pack, unpack
from zcload.model.study import Sizes
from zcload.sinks import SINKS

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("leaks")]
SMALL = {"transfer": "per-file", "transfer_size": Sizes((5000, 16_384))}
CLOSED, CONSTANT, POISSON = ({"arrivals": "closed"}, *({"arrivals": kind, "transfers_per_s": 800.0} for kind in ("constant", "poisson")))
FRESH = {"connection": "fresh"}


def window(lane, open_s=0.05):
    """Open and close windows as the study does until a file is sent in one; return its record, and the small files' part of it."""
    machine = Machine()
    try:
        record = moving_window(lane, open_s, machine)
    finally:
        machine.close()
    return record, record["transfers"]


@pytest.mark.parametrize("arrivals", [CLOSED, POISSON], ids=["closed", "open"])
@pytest.mark.parametrize(
    ("mechanism", "connection"),
    [
        *(pytest.param(name, {}, id=f"{name}-persistent") for name in MECHANISMS),
        *(pytest.param(name, FRESH, id=f"{name}-fresh") for name, cls in MECHANISMS.items() if cls.reconnects),
    ],
)
def test_what_is_sent_arrives(mechanism, connection, arrivals, lane_of):
    """Every mechanism's small files are verified, and in every window as many come as were sent, each with its latency."""
    moves = available(MECHANISMS[mechanism]).moves_payload
    lane = lane_of(mechanism, verify=moves, senders=2, **SMALL, **connection, **arrivals)
    for _ in range(2):
        record, told = window(lane)
        count = sum(after - before for before, after in told["sent"])
        assert count > 0
        assert sum(after - before for before, after in told["received"]) == (count if moves else 0)
        sent = sum(after[1] - before[1] for before, after in record["senders"])
        assert sent == sum(after[1] - before[1] for before, after in record["receivers"])
        if moves:
            values = unpack(told["latency_ns"])
            assert len(values) == count
            assert min(values) > 0
            assert sent >= 5000 * count
        assert ("late_ns" in told) == (arrivals is not CLOSED)


@pytest.mark.parametrize(
    ("sink", "connection"),
    [
        pytest.param(name, connection, id=f"{name}-{'fresh' if connection else 'persistent'}")
        for name, sink in SINKS.items()
        for connection in ({}, FRESH)
        if not (sink.takes_ahead and connection)
    ],
)
def test_every_sink_takes_small_files(sink, connection, lane_of):
    """Through every sink that can, small files of several senders reach several receivers, and are counted one by one."""
    available(SINKS[sink])
    lane = lane_of("sendfile", senders=3, receivers=2, sink=sink, **SMALL, **connection)
    _, told = window(lane)
    assert sum(b - a for a, b in told["sent"]) == sum(b - a for a, b in told["received"]) == len(unpack(told["latency_ns"]))


@pytest.mark.parametrize("connection", [{}, FRESH], ids=["persistent", "fresh"])
def test_a_wrong_byte_in_a_small_file_is_found(connection, lane_of, source_file):
    """A lane whose receivers' digests are not those of the files does not pass verification."""
    file, other = source_file(1 << 20), source_file(1 << 20, seed=1)
    lane = lane_of("sendfile", file, start=False, **SMALL, **connection)
    with pytest.raises(StudyError, match="is not what the file holds"):
        lane.verify(expected_digests(lane.point, other.fd, other.size), 10.0)


def test_system_calls_of_a_small_file_are_all_counted(lane_of):
    """What the sender's loop does besides the mechanism's calls is counted by name: open, close and the wait for an answer."""
    lane = lane_of("sendfile", **SMALL)
    record, told = window(lane)
    count = told["sent"][0][1] - told["sent"][0][0]
    calls = [b - a for a, b in zip(*(reading[3:] for reading in record["senders"][0]), strict=True)]
    made = dict(zip(lane.sender_calls, calls, strict=True))
    assert made == {"sendfile": count, "open": count, "close": count, "recv": count, "connect": 0, "clock_nanosleep": 0}
    received = [b - a for a, b in zip(*(reading[3:] for reading in record["receivers"][0]), strict=True)]
    assert dict(zip(lane.receiver_calls, received, strict=True))["send"] == count


@pytest.mark.parametrize("arrivals", [CONSTANT, POISSON], ids=["constant", "poisson"])
def test_a_window_serves_the_arrivals_that_are_due_in_it(arrivals, lane_of):
    """All lanes have the arrivals of the schedule, no more and no less, and none is begun before it is due."""
    lane = lane_of("read_send", senders=2, **SMALL, **arrivals)
    wanted = []
    for sender in range(2):
        plan = lane.transfer_plan.schedule(sender)
        plan.begin(LEAD_NS)
        count = 0
        while plan.due() < 100_000_000:
            plan.advance()
            count += 1
        wanted.append(count)
    record, told = window(lane, 0.1)
    assert [b - a for a, b in told["sent"]] == wanted
    assert told["until_ns"] == record["open_ns"] + 100_000_000
    assert min(unpack(told["late_ns"])) >= 0
    assert all(done > late for done, late in zip(unpack(told["latency_ns"]), unpack(told["late_ns"]), strict=True))


@pytest.mark.parametrize("arrivals", [CONSTANT, POISSON], ids=["constant", "poisson"])
def test_a_stall_is_in_the_latency_of_every_arrival_that_it_delays(arrivals, lane_of):
    """A receiver that stands still delays all that arrive meanwhile, and the percentiles of an open loop show all of it."""
    lane = lane_of("sendfile", **SMALL, **arrivals)
    stall = stalled_window(lane, lane.workers.receivers[0].pid)
    assert len(stall.due_meanwhile) > 150  # 240 are due in 300 ms
    assert all(each.done_ns >= stall.ended_ns for each in stall.due_meanwhile)
    # Of the 640 arrivals of the window more than a tenth waited for 100 ms and more: p90 says so.
    figures = describe([[pack(stall.latencies)], [pack(stall.latencies)]], [], Bootstrap(2), open_loop=True)
    assert figures["percentiles"]["p90"]["estimate"] > 0.1
    assert figures["percentiles"]["max"]["estimate"] > STALL_S / 2


def test_a_closed_loop_hides_the_same_stall(lane_of):
    """In a closed loop the same stall is in the latency of one transfer alone: that is why it is called service time."""
    lane = lane_of("sendfile", **SMALL, **CLOSED)
    stall = stalled_window(lane, lane.workers.receivers[0].pid)
    (held_up,) = stall.under_way
    assert held_up.latency_ns >= STALL_S * 1e9
    figures = describe([[pack(stall.latencies)], [pack(stall.latencies)]], [], Bootstrap(2), open_loop=False)
    assert figures["kind"] == "service_time"
    assert figures["percentiles"]["p90"]["estimate"] < STALL_S


def test_a_sender_that_is_held_up_catches_up_and_drops_nothing(lane_of):
    """A sender that stood still begins all that was due meanwhile, late, and its lateness is in the latencies."""
    lane = lane_of("sendfile", **SMALL, **CONSTANT)
    stall = stalled_window(lane, lane.workers.senders[0].pid)
    assert len(stall.transfers) == 800 * WINDOW_S  # the first at the origin: those due in the last half millisecond are not
    assert len(stall.due_meanwhile) > 150
    assert all(each.begun_ns >= stall.ended_ns for each in stall.due_meanwhile)
    assert all(each.done_ns > each.begun_ns >= each.due_ns for each in stall.transfers)


def test_full_records_end_a_closed_window_early(lane_of, monkeypatch):
    """A sender whose latencies have no more room parks before the window ends; every one of them is kept."""
    monkeypatch.setattr(latency_log, "LANE_RECORDS", 64)
    monkeypatch.setattr(latency_log, "LEAST_RECORDS", 16)
    lane = lane_of("sendfile", file=None, **SMALL | {"transfer_size": Sizes((65_536,))}, senders=2)
    for _ in range(2):
        before = lane.read().transfers[0]
        lane.gate.open()
        while not lane.gate.parked():
            time.sleep(0.001)
        lane.gate.close()
        wait_for_rest(lane)
        after = lane.read().transfers[0]
        assert [b - a for a, b in zip(before, after, strict=True)] == [32, 32]
        latencies = lane.transfer_plan.log.latencies(before, after)
        assert len(latencies) == 64
        assert min(latencies) > 0


def test_strangers_are_kept_out_of_fresh_connections(lane_of):
    """Whoever does not know the lane's secret is refused and counted while a window goes on, and no byte of theirs is."""
    lane = lane_of("sendfile", **SMALL, **FRESH)
    address = lane.transfer_plan.connector.addresses[0]
    with socket.create_connection(address) as silent, socket.create_connection(address) as half, socket.create_connection(address) as wrong:
        half.sendall(b"x" * 10)
        wrong.sendall(GREETING.pack(b"s" * 32, 0, 0) + b"payload")
        _, told = window(lane)
        assert sum(b - a for a, b in told["sent"]) == sum(b - a for a, b in told["received"]) > 0
        wrong.settimeout(60)
        with _ended():
            assert wrong.recv(1) == b""
        assert lane.late_unauthenticated() == 1
        half.shutdown(socket.SHUT_WR)
        half.settimeout(60)
        with _ended():
            assert half.recv(1) == b""
        silent.close()
        deadline = time.monotonic() + 60
        while lane.late_unauthenticated() < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
    assert lane.late_unauthenticated() == 3
    wait_for_rest(lane)
    _, told = window(lane)
    assert sum(b - a for a, b in told["sent"]) == sum(b - a for a, b in told["received"]) > 0


def test_a_greeting_cannot_be_replayed(lane_of):
    """A greeting that was overheard gets in nobody: the connection is refused and counted, and the lane measures on."""
    lane = lane_of("sendfile", **SMALL, **FRESH)
    connector = lane.transfer_plan.connector
    window(lane)
    with socket.create_connection(connector.addresses[0]) as replayed:
        replayed.sendall(GREETING.pack(connector.secret, 0, 0) + b"payload")
        _, told = window(lane)
        assert sum(b - a for a, b in told["sent"]) == sum(b - a for a, b in told["received"]) > 0
        assert lane.late_unauthenticated() == 1


class _ended:
    """A connection that the other end closes: with data unread, as a reset."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return kind is not None and issubclass(kind, ConnectionResetError)


def test_silent_strangers_do_not_use_up_a_receiver(lane_of, monkeypatch):
    """Connections that never say a word are let go of when there are too many, the oldest first; ours still come in."""
    from zcload.lane.small_files import receive_loop

    monkeypatch.setattr(receive_loop, "MOST_SILENT", 4)
    lane = lane_of("read_send", **SMALL, **FRESH)
    socks = [socket.create_connection(lane.transfer_plan.connector.addresses[0]) for _ in range(10)]
    try:
        _, told = window(lane)
        assert sum(b - a for a, b in told["sent"]) == sum(b - a for a, b in told["received"]) > 0
        assert lane.late_unauthenticated() >= 6
    finally:
        for sock in socks:
            sock.close()


def test_running_out_of_ports_names_the_remedy():
    """Connections that find no port are one clear error, any other failure stays what it is."""
    assert "TIME_WAIT" in str(_explained(OSError(99, "Cannot assign requested address")))
    other = ConnectionRefusedError(111, "refused")
    assert _explained(other) is other


def test_a_receiver_that_dies_is_named(lane_of):
    """Small files change nothing about failures: the worker that was killed is the cause."""
    lane = lane_of("sendfile", **SMALL)
    lane.gate.open(0.5)
    time.sleep(0.02)
    os.kill(lane.workers.receivers[0].pid, signal.SIGKILL)
    lane.gate.close()
    with pytest.raises(StudyError, match=r"receiver 0 .* killed by SIGKILL"):
        wait_for_rest(lane)
