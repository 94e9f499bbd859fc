"""What the tests share: small files, connected sockets, lanes that always end, and checks that nothing is left behind."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import signal
import socket
import traceback
from dataclasses import dataclass, replace
from functools import lru_cache

import psutil
import pytest
import support.golden
from hypothesis import HealthCheck, settings

from zcload.lane.placement import Placement
from zcload.lane.rest import wait_for_rest
from zcload.lane.sender import shares
from zcload.lane.set_up import set_up
from zcload.lane.small_files.transfer_plan import expected_digests
from zcload.model.study import Point, Variant

# On a busy machine examples are made and tried slowly: that is no failure of what they test.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_addoption(parser):
    """Add the option that renews golden files."""
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write golden and .expected files anew; runs only the tests that have one"
    )


def pytest_configure(config):
    """Tell the golden files whether they are renewed."""
    support.golden.rewriting = config.getoption("rewrite_golden")


def pytest_collection_modifyitems(config, items):
    """Keep only the tests with a golden file when these are renewed."""
    if support.golden.rewriting:
        others = [item for item in items if "golden" not in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if "golden" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)


@pytest.fixture
def golden():
    """Return a function that compares a text with a golden file, or with --rewrite-golden writes the file."""

    def compare(path, text):
        if support.golden.rewriting:
            support.golden.write(path, text)
        assert text == path.read_bytes().decode(), "if the change is meant: make test ARGS=--rewrite-golden, then read the difference"

    return compare


@dataclass(frozen=True)
class SmallFile:
    """A file in memory, open for reading and writing, and what it holds."""

    fd: int
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def digests(self, senders=1):
        """Return the SHA-256 of each sender's share, which verification expects."""
        return [hashlib.sha256(self.data[share.start : share.end]).hexdigest() for share in shares(self.size, senders)]


def child_processes():
    """Return the PIDs of this process's children, zombies included; quick where there are none."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return {child.pid for child in psutil.Process().children()}


def open_descriptors():
    """Return what every descriptor of this process refers to, by number."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the listing's own
    return found


@pytest.fixture(autouse=True)
def _no_child_left():
    """Fail the test that leaves a child process, and end that child."""
    before = child_processes()
    yield
    left = child_processes() - before
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not left, f"the test left child processes: {left}"


@pytest.fixture
def leaks():
    """Return a function that lists the descriptors opened since the test began and still open; the test ends with none."""
    before = open_descriptors()

    def leaked():
        return {fd: what for fd, what in open_descriptors().items() if before.get(fd) != what}

    yield leaked
    assert leaked() == {}


@lru_cache(maxsize=8)
def drawn_bytes(size, seed):
    """Return bytes that are the same every time; the sizes that many tests ask for are drawn once."""
    return random.Random(f"{size} {seed}").randbytes(size)


@pytest.fixture
def source_file():
    """Return a function that makes a file in memory of a size, with bytes that are the same every time."""
    made = []

    def make(size, seed=0):
        data = drawn_bytes(size, seed)
        fd = os.memfd_create("test", os.MFD_CLOEXEC)
        made.append(fd)
        assert os.pwrite(fd, data, 0) == size
        return SmallFile(fd, data)

    yield make
    for fd in made:
        os.close(fd)


@pytest.fixture
def pair():
    """Return a function that connects two TCP sockets, (sender's end, receiver's end), with buffers of a size if one is given."""
    made = []

    def connect(send_buffer=None, receive_buffer=None):
        with socket.socket() as listener:
            if receive_buffer:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            sender = socket.socket()
            made.append(sender)
            if send_buffer:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            sender.connect(listener.getsockname())
            receiver, _ = listener.accept()
            made.append(receiver)
            return sender, receiver

    connect.made = made  # for what a mechanism makes of them
    yield connect
    for sock in made:
        sock.close()


@pytest.fixture
def lane_of(source_file):
    """Return a function that sets up a lane (a Point's values by keyword), verified unless told not to be; it ends with the test."""
    lanes = []

    def bring_up(
        mechanism="sendfile",
        file=None,
        *,
        verify=True,
        placement=None,
        options=None,
        start=True,
        name=None,
        own_chunk=None,
        header=None,
        **point,
    ):
        file = file or source_file(1 << 20)
        point = Point(file_size=file.size, **{"chunk": 65536, "placement": "free", **point})
        everywhere = frozenset(os.sched_getaffinity(0))
        free = Placement(*((everywhere,) * count for count in (point.senders, point.receiver_count)), everywhere)
        free = replace(free, relays=(everywhere,) * point.relays)
        variant = Variant(name or mechanism, mechanism, own_chunk, options=options or {}, header=header)
        lane = set_up(variant.at(point), point, fd=file.fd, size=file.size, placement=placement or free, congestion=None, verify=verify)
        lanes.append(lane)
        if start and verify:
            lane.verify(expected_digests(point, file.fd, file.size) if lane.transfer_plan else file.digests(point.senders), 10.0)
        elif start:
            lane.ready()
        if start:
            wait_for_rest(lane)
        return lane

    yield bring_up
    for lane in lanes:
        lane.tear_down()


@pytest.fixture
def in_child():
    """Return a function that runs another in a forked child and returns its result: for what may kill, or gives up rights for good."""

    def run(function):
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                try:
                    outcome = (True, function())
                except BaseException:
                    outcome = (False, traceback.format_exc())
                os.write(writer, pickle.dumps(outcome))
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as answers:
            answer = answers.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == 0, f"the child ended with {signal.Signals(-status).name if status < 0 else status}"
        well, result = pickle.loads(answer)
        assert well, result
        return result

    return run
