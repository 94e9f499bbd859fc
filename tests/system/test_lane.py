"""A lane's control: what a worker can do wrong becomes one error that names it, and nothing of a lane outlives it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.windows import all_moved, failure_in_a_window, moving_window, windows_until

import zcload
from zcload.errors import StudyError, ZcloadError
from zcload.host.cache import FileCache
from zcload.host.machine import Machine
from zcload.host.topology import read_cores
from zcload.lane import set_up as set_up_module
from zcload.lane import verification, worker_group
from zcload.lane.mechanism_lane import MechanismLane
from zcload.lane.network import Network
from zcload.lane.payload import Source
from zcload.lane.placement import place
from zcload.lane.rest import wait_for_rest
from zcload.lane.sender import shares
from zcload.lane.worker import Worker
from zcload.linux import interrupt
from zcload.mechanisms import MECHANISMS
from zcload.mechanisms.null import Null
from zcload.mechanisms.read_send import ReadSend
from zcload.mechanisms.slurp_send import SlurpSend
from zcload.model.study import Point, Study, Variant
from zcload.runner import window
from zcload.runner.context import PointContext
from zcload.runner.window import LaneFailed, measure
from zcload.sinks import SINKS
from zcload.sinks.discard import Discard
from zcload.sinks.recv import Recv

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("leaks")]

# What a worker does wrong, and the cause that its error must name.
MISDEEDS = {
    "raises": "ValueError: on purpose",
    "raises an OSError": "PermissionError: on purpose",
    "exits": "exited with status 3",
    "is killed": "killed by SIGKILL",
}


def misbehave(deed):
    match deed:
        case "raises":
            raise ValueError("on purpose")
        case "raises an OSError":
            raise PermissionError(13, "on purpose")
        case "exits":
            os._exit(3)
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs":
            signal.pause()


@pytest.fixture
def machine():
    """Return the machine's counters."""
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture
def mechanism(monkeypatch):
    """Return a function that registers a mechanism for the length of the test, and returns its name."""

    def register(cls):
        monkeypatch.setitem(MECHANISMS, cls.name, cls)
        return cls.name

    return register


@pytest.fixture
def sink(monkeypatch):
    """Return a function that registers a sink for the length of the test, and returns its name."""

    def register(cls):
        monkeypatch.setitem(SINKS, cls.name, cls)
        return cls.name

    return register


@pytest.fixture
def patience(monkeypatch):
    """Shorten what the coordinator waits for a worker that says nothing, or a lane that does nothing."""
    monkeypatch.setattr(worker_group, "SETUP_S", 3.0)  # on a busy machine the other workers need some of it
    monkeypatch.setattr(window, "wait_for_rest", partial(wait_for_rest, stall_s=0.3))


@pytest.fixture
def impatience(lane_of):
    """Kill the children that are left when the test ends, so that its lanes need not give hung workers their second of grace."""
    yield
    for child in psutil.Process().children():
        child.kill()


def failing_sender(deed, at):
    """Return a mechanism that does the *deed* when it is made ("set-up") or from its third call on ("sending")."""

    class Failing(ReadSend):
        name = "failing"
        sends = 0

        def __init__(self, *args):
            super().__init__(*args)
            if at == "set-up":
                misbehave(deed)

        def send(self, offset, count):
            self.sends += 1
            if self.sends > 2:
                misbehave(deed)
            return super().send(offset, count)

    return Failing


def failing_receiver(deed, at):
    """Return a sink that does the *deed* when it is made ("set-up") or from its third receive on ("sending")."""

    class Failing(Recv):
        name = "failing"

        def __init__(self, chunk):
            super().__init__(chunk)
            if at == "set-up":
                misbehave(deed)

        def receive(self, sock):
            if self.counts[0] > 2:
                misbehave(deed)
            return super().receive(sock)

    return Failing


def assert_names(error, lane, worker, cause):
    """Hold an error's text against the lane, the worker's role, number and PID, and the cause."""
    text = str(error)
    assert f"lane {lane.name}" in text
    assert f"{worker.role} {worker.index} (pid {worker.pid})" in text
    assert cause in text


# Workers that fail.


@pytest.mark.parametrize("deed", MISDEEDS)
@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_worker_that_fails_in_set_up_is_named(role, deed, lane_of, mechanism, sink):
    """A worker that cannot even be set up gives a StudyError with its lane, role, PID and cause."""
    if role == "sender":
        lane = lane_of(mechanism(failing_sender(deed, "set-up")), start=False, verify=False, name="v")
        worker = lane.workers.senders[0]
    else:
        lane = lane_of(sink=sink(failing_receiver(deed, "set-up")), start=False, verify=False, name="v")
        worker = lane.workers.receivers[0]
    with pytest.raises(StudyError) as caught:
        lane.ready()
    assert_names(caught.value, lane, worker, MISDEEDS[deed])


@pytest.mark.parametrize("deed", MISDEEDS)
@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_worker_that_fails_in_verification_is_named(role, deed, lane_of, mechanism, sink, source_file):
    """A worker that fails in verification gives a StudyError with its lane, role, PID and cause, not the other end's broken connection."""
    file = source_file(8 << 20)
    if role == "sender":
        lane = lane_of(mechanism(failing_sender(deed, "sending")), file, start=False, name="v")
        worker = lane.workers.senders[0]
    else:
        lane = lane_of(file=file, sink=sink(failing_receiver(deed, "sending")), start=False, name="v")
        worker = lane.workers.receivers[0]
    with pytest.raises(StudyError) as caught:
        lane.verify(file.digests(), 5.0)
    assert_names(caught.value, lane, worker, MISDEEDS[deed])


@pytest.mark.parametrize("deed", MISDEEDS)
@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_worker_that_fails_in_a_window_is_named(role, deed, lane_of, mechanism, sink, machine):
    """A worker that fails in a window gives a LaneFailed with its lane, role, PID and cause, not the other end's broken connection."""
    if role == "sender":
        lane = lane_of(mechanism(failing_sender(deed, "sending")), verify=False, name="v", senders=2)
    else:
        lane = lane_of(sink=sink(failing_receiver(deed, "sending")), verify=False, name="v", senders=2, receivers=2)
    workers = lane.workers.senders if role == "sender" else lane.workers.receivers
    error = failure_in_a_window(lane, 0.02, machine, LaneFailed)
    assert error.lane == "v"
    guilty = [worker for worker in workers if f"(pid {worker.pid})" in str(error)]
    assert guilty, str(error)
    assert_names(error, lane, guilty[0], MISDEEDS[deed])


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_worker_killed_between_windows_is_named(role, lane_of, machine):
    """A worker killed from outside at rest fails the next window with its lane, role, PID and the signal."""
    lane = lane_of(name="v", senders=2, receivers=2)
    worker = lane.workers.senders[1] if role == "sender" else lane.workers.receivers[1]
    measure(lane, 0.01, machine)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(LaneFailed) as caught:
        measure(lane, 0.01, machine)
    assert_names(caught.value, lane, worker, "killed by SIGKILL")


# Workers that hang.


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_worker_that_hangs_in_set_up_is_named(role, lane_of, mechanism, sink, patience, impatience):
    """A worker that never gets ready gives a StudyError with its lane, role, PID and what was waited for."""
    if role == "sender":
        lane = lane_of(mechanism(failing_sender("hangs", "set-up")), start=False, verify=False, name="v")
        worker = lane.workers.senders[0]
    else:
        lane = lane_of(sink=sink(failing_receiver("hangs", "set-up")), start=False, verify=False, name="v")
        worker = lane.workers.receivers[0]
    with pytest.raises(StudyError) as caught:
        lane.ready()
    assert_names(caught.value, lane, worker, "no answer for")


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_worker_that_hangs_in_verification_is_named(role, lane_of, mechanism, sink, source_file, impatience):
    """A worker that stops in verification gives a StudyError with the lane, how far it came, and the roles and PIDs to look at."""
    file = source_file(8 << 20)
    if role == "sender":
        lane = lane_of(mechanism(failing_sender("hangs", "sending")), file, start=False, name="v")
        worker = lane.workers.senders[0]
    else:
        lane = lane_of(file=file, sink=sink(failing_receiver("hangs", "sending")), start=False, name="v")
        worker = lane.workers.receivers[0]
    with pytest.raises(StudyError, match="verification stands still at") as caught:
        lane.verify(file.digests(), 0.5)
    assert_names(caught.value, lane, worker, "stands still")


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_worker_that_hangs_in_a_window_is_named(role, lane_of, mechanism, sink, machine, patience, impatience):
    """A worker that stops in a window gives a LaneFailed with the lane's posture: roles, PIDs and what each waits in."""
    if role == "sender":
        lane = lane_of(mechanism(failing_sender("hangs", "sending")), verify=False, name="v")
        worker = lane.workers.senders[0]
    else:
        lane = lane_of(sink=sink(failing_receiver("hangs", "sending")), verify=False, name="v")
        worker = lane.workers.receivers[0]
    assert_names(failure_in_a_window(lane, 0.01, machine, LaneFailed), lane, worker, "did not come to rest")


def test_a_worker_that_spins_is_found_out(lane_of, mechanism, monkeypatch, impatience, machine):
    """A worker that burns CPU and moves no byte may do so for ten times as long as one that sleeps, but not for ever."""

    class Spinning(Null):
        name = "spinning"
        moves_payload = True

        def send(self, offset, count):
            while True:
                pass

    lane = lane_of(mechanism(Spinning), verify=False, name="v")
    monkeypatch.setattr(window, "wait_for_rest", partial(wait_for_rest, stall_s=0.1))
    end = threading.Timer(60.0, monkeypatch.setattr, [interrupt, "requested", signal.SIGTERM])  # or this test would never end
    end.start()
    try:
        assert_names(failure_in_a_window(lane, 0.01, machine), lane, lane.workers.senders[0], "did not come to rest")
    finally:
        end.cancel()
        end.join()


# Workers that say the wrong thing.


def say(*packets):
    """Return a worker's body that says *packets* and then waits to be ended."""

    def body(control, **_):
        for packet in packets:
            control.send(packet)
        signal.pause()

    return body


@pytest.mark.parametrize("packet", [b"ready", b"\xff\xfe", b"[1]", b"7", b"null", b'{"reedy": true}'], ids=ascii)
@pytest.mark.parametrize(("role", "body"), [("sender", "send_file"), ("receiver", "receive_file")])
def test_a_worker_that_says_the_wrong_thing_is_named(role, body, packet, lane_of, monkeypatch, patience, impatience):
    """What is not a worker's message, or not the one that is due, gives a StudyError with lane, role and PID, never a traceback."""
    monkeypatch.setattr(set_up_module, body, say(packet))
    lane = lane_of(start=False, verify=False, name="v")
    worker = lane.workers.senders[0] if role == "sender" else lane.workers.receivers[0]
    with pytest.raises(StudyError) as caught:
        lane.ready()
    assert_names(caught.value, lane, worker, "")


def test_a_report_that_is_none_is_an_error(lane_of, monkeypatch, patience, impatience):
    """A worker that answers the order to report with something else gives a StudyError that names it."""
    monkeypatch.setattr(set_up_module, "send_file", say(b'{"ready": true}', b'{"ready": true}'))
    lane = lane_of(verify=False, name="v")
    with pytest.raises(StudyError) as caught:
        lane.report()
    assert_names(caught.value, lane, lane.workers.senders[0], "")


def test_digests_that_come_as_patience_ends_are_heard(lane_of, monkeypatch, source_file):
    """A message that arrives in the moment when the coordinator gives up waiting and looks for failures is not lost."""
    file = source_file(1 << 20)
    lane = lane_of(file=file, start=False)
    poll, missed = Worker.poll, []

    def miss_once(self):
        if self.role == "receiver" and not missed:
            missed.append(self)
            return None
        return poll(self)

    class Ending(verification.Patience):
        def over(self):
            select.select([lane.workers.receivers[0].control], [], [], 60)  # the digests come now
            return True

    monkeypatch.setattr(Worker, "poll", miss_once)
    monkeypatch.setattr(verification, "Patience", Ending)
    lane.verify(file.digests(), 20.0)
    assert missed


# Verification.


class Wrong(ReadSend):
    """Sends a file with one wrong byte, the last of its third chunk."""

    name = "wrong"

    def send(self, offset, count):
        data = bytearray(os.pread(self.fd, count, offset))
        if offset // self.chunk == 2:
            data[-1] ^= 1
        self.sock.sendall(data)
        return count


class Swapped(ReadSend):
    """Sends two chunks in the wrong order."""

    name = "swapped"

    def send(self, offset, count):
        turn = {2: 3, 3: 2}.get(offset // self.chunk, offset // self.chunk)
        self.sock.sendall(os.pread(self.fd, count, turn * self.chunk))
        return count


class Double(ReadSend):
    """Sends a chunk twice and says it was once."""

    name = "double"

    def send(self, offset, count):
        self.sock.sendall(os.pread(self.fd, count, offset) * (1 + (offset // self.chunk == 2)))
        return count


class Lazy(ReadSend):
    """Claims one byte more than it sends."""

    name = "lazy"

    def send(self, offset, count):
        self.sock.sendall(os.pread(self.fd, count, offset)[: count - (offset // self.chunk == 2)])
        return count


@pytest.mark.parametrize("receiving", ["recv", "discard"])
@pytest.mark.parametrize("cls", [Wrong, Swapped, Double, Lazy])
def test_verification_catches_what_is_sent_wrong(cls, receiving, lane_of, mechanism, source_file):
    """A wrong byte, chunks out of order, one sent twice or one too short fail verification, also with a sink that sees no payload."""
    file = source_file(1 << 20)
    lane = lane_of(mechanism(cls), file, start=False, sink=receiving, name="v")
    with pytest.raises(StudyError, match="lane v") as caught:
        lane.verify(file.digests(), 0.5)
    assert any(words in str(caught.value) for words in ("is not what the file holds", "too many", "stands still at"))


def test_verification_names_the_connection_that_is_wrong(lane_of, source_file):
    """A digest that differs is an error that names the lane, the connection and both digests."""
    file = source_file(1 << 20)
    lane = lane_of(file=file, start=False, senders=3, name="v")
    digests = file.digests(3)
    wrong = [*digests[:2], hashlib.sha256(b"something else").hexdigest()]
    with pytest.raises(StudyError, match="lane v: what arrived on connection 2 is not what the file holds") as caught:
        lane.verify(wrong, 5.0)
    assert digests[2][:16] in str(caught.value)
    assert wrong[2][:16] in str(caught.value)


@pytest.mark.parametrize("name", [name for name, cls in MECHANISMS.items() if cls.moves_payload])
def test_verification_catches_a_file_that_changes(name, lane_of, source_file):
    """One byte written into the file after it was digested fails verification, whatever the mechanism."""
    if (why := MECHANISMS[name].probe()) is not None:
        pytest.skip(f"{name}: {why.reason} ({why.remedy})")
    file = source_file(300_007)
    # Before the senders begin: one that pins its pages when it maps the file may hold those of that moment.
    os.pwrite(file.fd, bytes([file.data[-1] ^ 1]), file.size - 1)
    lane = lane_of(name, file, start=False)
    with pytest.raises(StudyError, match="is not what the file holds"):
        lane.verify(file.digests(), 5.0)


@pytest.mark.parametrize(("size", "senders"), [(1, 1), (1, 3), (4097, 2), (65_537, 5), (1 << 20, 3)])
@pytest.mark.parametrize("receiving", ["recv", "discard"])
def test_verification_proves_every_connection(size, senders, receiving, lane_of, source_file):
    """Verification sends the file exactly once, split among the senders, also where a sender's share is empty."""
    lane = lane_of(file=source_file(size), senders=senders, sink=receiving)
    assert lane.sent() == lane.received() == size


def test_a_file_truncated_between_windows_fails_the_lane(lane_of, machine, source_file):
    """A file that is cut short while a lane is up fails its next window with a message that says so."""
    file = source_file(1 << 20)
    lane = lane_of("sendfile", file, name="v")
    measure(lane, 0.01, machine)
    os.ftruncate(file.fd, 5000)
    words = r"lane v, sender 0 \(pid \d+\): the file ended at byte \d+, and its size was 1048576"
    failure_in_a_window(lane, 0.01, machine, LaneFailed, words)


# Shares.


@given(st.integers(1, 1 << 44), st.integers(1, 300))
def test_shares_cover_the_file_exactly(size, senders):
    """The shares follow each other without gap or overlap from the file's start to its end, and begin at pages inside the file."""
    parts = shares(size, senders)
    assert len(parts) == senders
    assert parts[0].start == 0
    assert parts[-1].end == size
    assert all(a.end == b.start for a, b in pairwise(parts))
    assert all(part.start % 4096 == 0 and part.start <= part.end and part.start < size for part in parts)


@given(st.integers(1, 1 << 30), st.integers(1, 64))
def test_shares_start_where_the_design_says(size, senders):
    """Sender i starts at i/N of the file, rounded down to its page."""
    for i, part in enumerate(shares(size, senders)):
        assert 0 <= size * i // senders - part.start < 4096


# Many workers, and what they leave.


@pytest.mark.parametrize("receivers", [1, 2, "per-sender"])
def test_many_senders(receivers, lane_of, machine, source_file, leaks):
    """64 senders come up, send a window, come to rest with every byte received, and go, with one receiver or many."""
    file = source_file(1 << 20)
    before = leaks()
    lane = lane_of(file=file, senders=64, receivers=receivers, sink="discard")
    record = moving_window(lane, 0.01, machine)
    sent = sum(b[1] - a[1] for a, b in record["senders"])
    assert sent == sum(b[1] - a[1] for a, b in record["receivers"]) > 0
    assert (len(record["senders"]), len(record["receivers"])) == (64, 64 if receivers == "per-sender" else receivers)
    lane.tear_down()
    assert leaks() == before


def test_many_lanes_leave_nothing(lane_of, source_file, leaks):
    """Eight lanes of eight senders over a file of 1 MiB come up together and leave no process, descriptor or connection."""
    file = source_file(1 << 20)
    before = leaks()
    lanes = [lane_of(name, file, senders=8, verify=False) for name in ("read_send", "sendfile", "mmap_send", "splice") * 2]
    pids = [worker.pid for lane in lanes for worker in lane.workers.members]
    assert len(pids) == len(set(pids)) == 8 * 9
    for lane in lanes:
        lane.tear_down()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert leaks() == before


@pytest.mark.parametrize("receivers", [1, 2, "per-sender"])
def test_connections_are_dealt_to_the_receivers(receivers, lane_of, machine, source_file):
    """With one, two or a receiver per sender every connection has one receiver, and each receiver gets bytes in every window."""
    lane = lane_of(senders=3, receivers=receivers)
    for _ in range(3):
        record = windows_until(lane, 0.02, machine, all_moved)[-1]
        taken = [b[1] - a[1] for a, b in record["receivers"]]
        assert len(taken) == {1: 1, 2: 2, "per-sender": 3}[receivers]
        assert all(taken)
        assert sum(taken) == sum(b[1] - a[1] for a, b in record["senders"])


def test_tear_down_twice_is_harmless(lane_of, source_file, leaks):
    """A lane can be torn down again, and its workers have left by themselves with status 0."""
    file = source_file(1 << 20)
    before = leaks()
    lane = lane_of(file=file, senders=2)
    workers = lane.workers.members
    for _ in range(2):
        lane.tear_down()
    assert [worker.status for worker in workers] == [0, 0, 0]
    assert leaks() == before


@pytest.mark.parametrize("deed", ["hangs", "is killed"])
def test_tear_down_ends_whatever_the_workers_do(deed, lane_of, mechanism, source_file, leaks):
    """A lane whose senders hang or are gone is torn down and leaves no process."""
    file = source_file(4096)
    before = leaks()
    lane = lane_of(mechanism(failing_sender(deed, "set-up")), file, start=False, verify=False, senders=2)
    pids = [worker.pid for worker in lane.workers.members]
    started = time.monotonic()
    lane.tear_down()
    assert time.monotonic() - started < 60
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert leaks() == before


def test_tear_down_ends_a_lane_that_is_sending(lane_of):
    """A lane whose gate is open is ended all the same."""
    lane = lane_of(senders=2)
    pids = [worker.pid for worker in lane.workers.members]
    lane.gate.open()
    lane.tear_down()
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("spare", [0, 5, 14])
def test_too_few_descriptors_are_an_error_of_the_lane(spare, lane_of, source_file, leaks):
    """A set-up that runs out of descriptors, wherever it does, is an error for people, and leaves no process or descriptor."""
    file = source_file(4096)
    before = leaks()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(fd) for fd in os.listdir("/proc/self/fd")}
    free = [fd for fd in range(len(used) + 50) if fd not in used]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[spare], limits[1]))
    try:
        with pytest.raises(ZcloadError, match=r"[Tt]oo many open files"):
            lane_of(file=file, senders=4, start=False, verify=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert leaks() == before


def test_workers_hold_only_their_own_descriptors(lane_of):
    """A worker has the standard streams, its control socket and what its role needs, and nothing of another worker's."""
    lane = lane_of(senders=2)
    for worker in lane.workers.members:
        targets = [os.readlink(f"/proc/{worker.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{worker.pid}/fd") if int(fd) > 2]
        sockets = [target for target in targets if target.startswith("socket:")]
        assert len(sockets) == (2 if worker.role == "sender" else 3), targets
        assert sum("eventfd" in target for target in targets) == (worker.role == "sender")


def test_a_sender_opens_the_file_for_itself(lane_of):
    """A sender reads through an open file of its own, read-only, since read-ahead and position belong to the open file."""
    lane = lane_of(senders=2)
    for worker in lane.workers.senders:
        folder = Path(f"/proc/{worker.pid}")
        numbers = [fd.name for fd in (folder / "fd").iterdir() if "memfd:test" in os.readlink(fd)]
        infos = [(folder / "fdinfo" / number).read_text() for number in numbers]
        modes = [int(re.search(r"flags:\s+(\d+)", info)[1], 8) & os.O_ACCMODE for info in infos]
        assert sorted(modes) == [os.O_RDONLY, os.O_RDWR]  # its own, and the one it was forked with


COORDINATOR = """
import os, signal, sys, time
from zcload.lane.set_up import set_up
from zcload.model.study import Point, Variant
from zcload.lane.placement import Placement

fd = os.memfd_create("test")
os.ftruncate(fd, 1 << 20)
everywhere = frozenset(os.sched_getaffinity(0))
point = Point(file_size=1 << 20, senders=3, receivers=2)
lane = set_up(
    Variant("v", "sendfile").at(point), point, fd=fd, size=1 << 20,
    placement=Placement((everywhere,) * 3, (everywhere,) * 2, everywhere), congestion=None, verify=False,
)
lane.ready()
if sys.argv[1] == "sending":
    lane.gate.open()
print(*(worker.pid for worker in lane.workers.members), flush=True)
signal.pause()
"""


def ended(pid):
    """Say whether a process is gone, or only waits for its parent to ask for its status."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("doing", ["parked", "sending"])
def test_workers_die_with_the_coordinator(doing):
    """When the coordinator is killed with SIGKILL all its workers are gone, parked or in an open window."""
    where = [str(Path(zcload.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(where)}
    with subprocess.Popen([sys.executable, "-c", COORDINATOR, doing], stdout=subprocess.PIPE, text=True, env=path) as coordinator:
        try:
            pids = [int(pid) for pid in coordinator.stdout.readline().split()]
            assert len(pids) == 5
            assert not any(ended(pid) for pid in pids)
        finally:
            coordinator.kill()
    deadline = time.monotonic() + 60
    while not all(ended(pid) for pid in pids):
        assert time.monotonic() < deadline, [pid for pid in pids if not ended(pid)]
        time.sleep(0.01)


def test_workers_leave_signals_to_the_coordinator(lane_of, machine):
    """SIGINT and SIGTERM to the workers, as a Ctrl-C at the terminal sends them, do not disturb a lane."""
    lane = lane_of()
    for worker in lane.workers.members:
        os.kill(worker.pid, signal.SIGINT)
        os.kill(worker.pid, signal.SIGTERM)
    record = moving_window(lane, 0.01, machine)
    assert record["senders"][0][1][1] > record["senders"][0][0][1]


# Addresses and placement.


def test_a_lane_over_ipv6(lane_of, machine):
    """A lane at ::1 connects over IPv6, is verified and comes to rest."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no ::1 on this host: {error.strerror} (enable IPv6 on the loopback device)")
    lane = lane_of(senders=2, address="::1")
    record = moving_window(lane, 0.01, machine)
    assert sum(b[1] for _, b in record["senders"]) == sum(b[1] for _, b in record["receivers"]) > 1 << 20


@pytest.mark.parametrize("how", ["free", "same", "spread"])
def test_placement_is_applied(how, lane_of):
    """Every worker may run on exactly the CPUs that its placement names."""
    cores = read_cores()
    if how == "spread" and sum(len(core.cpus) for core in cores) < 2:
        pytest.skip("spread needs two CPUs, and this process may use only one (allow more)")
    placement = place(how, 2, 2, cores, random.Random(5))
    lane = lane_of(senders=2, receivers=2, placement=placement)
    assert [os.sched_getaffinity(worker.pid) for worker in lane.workers.senders] == [set(cpus) for cpus in placement.senders]
    assert [os.sched_getaffinity(worker.pid) for worker in lane.workers.receivers] == [set(cpus) for cpus in placement.receivers]
    used = {cpu for cpus in lane.placement.workers for cpu in cpus}
    match how:
        case "free":
            assert all(cpus == os.sched_getaffinity(0) for cpus in lane.placement.workers)
        case "same":
            assert len(used) == 1
        case "spread":
            assert all(len(cpus) == 1 for cpus in lane.placement.workers)
            assert len(used) >= 2


# Windows.


class Passes(ReadSend):
    """A mechanism of whole passes that takes many calls for each."""

    name = "passes"
    whole_pass = True


@pytest.mark.parametrize("verify", [True, False])
def test_the_first_window_starts_at_rest(verify, mechanism, machine, source_file):
    """A window that is opened as soon as a study's lane is up has nothing of what came before in it."""

    class Late(ReadSend):
        name = "late"

        def drain(self):
            time.sleep(0.1)  # it has sent everything, but it parks late

    file = source_file(300_007)
    variant = Variant("v", mechanism(Late))
    point = Point(file_size=file.size, chunk=65_536, senders=2, placement="free")
    info = os.fstat(file.fd)
    source = Source(file.fd, file.size, *file.digests(), None, (info.st_size, info.st_mtime_ns))
    study = Study("test", "v", (variant,), (point,))
    cache, network = FileCache(file.fd, file.size, "warm"), Network(point.address)
    context = PointContext(
        study, 0, point, source, cache, network, read_cores(), None, machine, random.Random(1), False, lambda record: None
    )
    own_cpus = os.sched_getaffinity(0)
    try:
        with context.lanes([[variant.at(point)]], verify=verify) as (lanes,):
            record = measure(lanes["v"], 0.01, machine)
    finally:
        os.sched_setaffinity(0, own_cpus)
    assert sum(a[1] for a, _ in record["senders"]) == sum(a[1] for a, _ in record["receivers"]) == verify * file.size
    assert sum(b[1] - a[1] for a, b in record["senders"]) == sum(b[1] - a[1] for a, b in record["receivers"])


def test_windows_join_without_a_gap(lane_of, machine):
    """What a window's second readings say, the next window's first readings say again: nothing happens between windows."""
    lane = lane_of(senders=2)
    records = [record for _ in range(4) for record in windows_until(lane, 0.01, machine, all_moved)]
    for earlier, later in pairwise(records):
        for role in ("senders", "receivers"):
            assert [b for _, b in earlier[role]] == [a for a, _ in later[role]]
        assert later["order"] == earlier["order"] + 1
        assert earlier["open_ns"] <= earlier["close_ns"] <= earlier["rest_ns"] <= later["open_ns"]
        if all_moved(earlier):
            assert earlier["open_ns"] < earlier["last_byte_ns"] <= earlier["rest_ns"]


@pytest.mark.parametrize("cls", [SlurpSend, Passes])
def test_whole_pass_mechanisms_end_with_the_file(cls, lane_of, mechanism, machine, source_file):
    """A mechanism whose unit is a whole pass parks only where a pass over the file ends, however many calls that takes."""
    file = source_file(700_001)
    lane = lane_of(mechanism(cls), file, senders=2)
    for _ in range(3):
        record = windows_until(lane, 0.005, machine, all_moved)[-1]
        assert all(b[1] > a[1] and (b[1] - a[1]) % file.size == 0 for a, b in record["senders"])


def test_null_sends_nothing_and_comes_to_rest(lane_of, machine):
    """A lane that moves no payload turns its loop, sends no byte, and comes to rest like any other."""
    lane = lane_of("null", verify=False)
    record = moving_window(lane, 0.01, machine)
    (before, after) = record["senders"][0]
    assert after[2] > before[2]
    assert (after[1], record["receivers"][0][1][1]) == (0, 0)


def test_the_sink_is_the_lanes_own(lane_of, machine):
    """A lane that discards its bytes counts them all, though it copies none."""
    lane = lane_of(sink=Discard.name)
    record = moving_window(lane, 0.01, machine)
    assert record["senders"][0][1][1] == record["receivers"][0][1][1] > 1 << 20


def test_a_report_tells_what_only_the_worker_knows(lane_of, machine):
    """Every sender reports its clock, its switches and faults and its socket's state, as numbers."""
    lane = lane_of(senders=2)
    measure(lane, 0.01, machine)
    reports = lane.report()
    wait_for_rest(lane)
    assert len(reports) == 2
    for report in reports:
        json.dumps(report)
        assert all(type(report[key]) is int for key in ("cpu_ns", "voluntary", "involuntary", "minor_faults", "major_faults"))
        assert report["tcp_info"]["snd_mss"] > 0
        assert report["completions"] == {}


def test_lanes_are_made_of_what_they_name(lane_of):
    """A lane's names, chunk, sink and kinds of calls are its variant's where it has its own, else its point's."""
    lane = lane_of("splice", senders=2, sink="discard", chunk=4096, name="v")
    assert isinstance(lane, MechanismLane)
    assert (lane.name, lane.variant.chunk, lane.variant.sink) == ("v", 4096, "discard")
    assert lane.sender_calls == MECHANISMS["splice"].calls
    assert lane.receiver_calls == (*SINKS["discard"].calls, "epoll_wait")
    assert [str(worker) for worker in lane.workers.senders] == [
        f"lane v, sender {i} (pid {w.pid})" for i, w in enumerate(lane.workers.senders)
    ]
