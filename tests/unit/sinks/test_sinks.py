"""Sinks beyond recv: what they map, store and give back, and how what they measure reaches the report."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, closing

import pytest

from zcload.analysis.tally import window_tally
from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.board import MAX_MEASURES, Board
from zcload.lane.receiver import publishing
from zcload.linux.memory import PAGE
from zcload.linux.sockets import connected_pair
from zcload.linux.zerocopy_receive import TCP_ZEROCOPY_RECEIVE, Request, SocketMapping
from zcload.mechanisms import MECHANISMS, Mechanism
from zcload.report.tables.overview import state
from zcload.runner.window import measure
from zcload.sinks import SINKS, Sink, file, new_sink, splice_file, splice_null, zerocopy_receive
from zcload.sinks.file import FILE_BYTES, File
from zcload.sinks.recv import Recv
from zcload.sinks.splice_file import SpliceFile
from zcload.sinks.splice_null import SpliceNull
from zcload.sinks.zerocopy_receive import ZerocopyReceive

NEW = [SpliceNull, File, SpliceFile, ZerocopyReceive]
STORING = [File, SpliceFile]

SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000  # asm-generic/socket.h, linux/socket.h
ALIGNED_MSS = 4096 + 12  # a page and the timestamp option

pytestmark = pytest.mark.usefixtures("leaks")


@pytest.fixture
def connect():
    """Return a function that connects two TCP sockets whose segments carry *mss* bytes at most, options included."""
    with ExitStack() as stack:

        def make(mss=None):
            listener = stack.enter_context(socket.socket())
            sender = stack.enter_context(socket.socket())
            for sock in (listener, sender):
                if mss:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            sender.connect(listener.getsockname())
            receiver, _ = listener.accept()
            return sender, stack.enter_context(receiver)

        yield make


@pytest.fixture
def zerocopy():
    """Return a function that sends bytes with MSG_ZEROCOPY; their pages stay as they are until the test ends."""
    buffers = []

    def send(sock, data):
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        except OSError as error:
            pytest.skip(f"no MSG_ZEROCOPY here: {error.strerror} (Linux 4.14 or newer)")
        pages = mmap.mmap(-1, max(len(data), 1))
        pages[: len(data)] = data
        buffers.append(pages)
        sent = 0
        while sent < len(data):
            with memoryview(pages)[sent : len(data)] as rest:
                sent += sock.send(rest, MSG_ZEROCOPY)

    yield send
    for pages in buffers:
        pages.close()


def drain(sink, sock, into=None):
    """Receive to the end of the stream; return the bytes as the sink showed them, or zeros where it shows none."""
    got = bytearray() if into is None else into
    while size := sink.receive(sock):
        assert 0 < size <= sink.chunk
        got += sink.payload[:size] if sink.sees_payload else bytes(size)
    return got


def transfer(sink, sender, receiver, send):
    """Have *send* run in a thread, receive all that it sends through *sink*, and return it."""

    def run():
        try:
            send()
        finally:
            sender.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=run)
    sink.attach(receiver)
    thread.start()
    try:
        return drain(sink, receiver)
    finally:
        thread.join()


def small(cls, chunk, **options):
    """Make a sink, a storing one with a small file."""
    return cls(chunk, **({"file_bytes": 1 << 20} | options if cls in STORING else options))


# zerocopy_receive.


@pytest.mark.parametrize("mss", [None, ALIGNED_MSS])
@pytest.mark.parametrize("how", ["send", "sendfile"])
def test_pages_of_plain_senders_are_not_mapped(how, mss, connect, source_file):
    """What send and sendfile put into a socket cannot be mapped, not one page of it, and arrives all the same."""
    source = source_file(1_000_003)
    sender, receiver = connect(mss)

    def send():
        sent = 0
        while how == "sendfile" and sent < source.size:
            sent += os.sendfile(sender.fileno(), source.fd, sent, source.size - sent)
        sender.sendall(source.data[sent:])

    with closing(ZerocopyReceive(65_536)) as sink:
        assert transfer(sink, sender, receiver, send) == source.data
        assert sink.measured == [0]


def test_pages_of_a_msg_zerocopy_sender_are_mapped(connect, zerocopy, source_file):
    """With segments of a page, most of what MSG_ZEROCOPY sent is mapped, and the bytes are the right ones."""
    source = source_file(1_000_003)
    sender, receiver = connect(ALIGNED_MSS)
    with closing(ZerocopyReceive(65_536)) as sink:
        assert transfer(sink, sender, receiver, lambda: zerocopy(sender, source.data)) == source.data
        assert source.size / 2 < sink.measured[0] <= source.size
        calls = dict(zip(sink.calls, sink.counts, strict=True))
        assert calls["madvise"] > 0


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 300_007])
@pytest.mark.parametrize("chunk", [1000, 4096, 5000, 1 << 20])
def test_mapped_and_copied_bytes_come_in_order(chunk, size, connect, zerocopy, source_file):
    """Whatever the size and the chunk, mapped and copied parts make up the stream, and its end is found."""
    source = source_file(size)
    sender, receiver = connect(ALIGNED_MSS)
    with closing(ZerocopyReceive(chunk)) as sink:
        assert transfer(sink, sender, receiver, lambda: zerocopy(sender, source.data)) == source.data
        assert sink.measured[0] % 4096 == 0
        assert sink.receive(receiver) == 0


def test_mapped_and_plain_bytes_on_one_connection(connect, zerocopy, source_file):
    """A stream that changes from pages that can be mapped to bytes that cannot, and back, arrives unchanged."""
    parts = [source_file(size, seed).data for seed, size in enumerate((40_960, 777, 8192, 100_000, 3, 65_536))]
    sender, receiver = connect(ALIGNED_MSS)

    def send():
        for number, part in enumerate(parts):
            sender.sendall(part) if number % 2 else zerocopy(sender, part)

    with closing(ZerocopyReceive(32_768)) as sink:
        assert transfer(sink, sender, receiver, send) == b"".join(parts)


def test_two_connections_on_one_receiver(connect, zerocopy, source_file):
    """One sink keeps the mappings of two connections apart: one is mapped, the other copied, in turns."""
    sources = [source_file(200_000, 1), source_file(200_000, 2)]
    pairs = [connect(ALIGNED_MSS), connect(ALIGNED_MSS)]
    got = [bytearray(), bytearray()]
    with closing(ZerocopyReceive(16_384)) as sink:
        for _, receiver in pairs:
            sink.attach(receiver)
        zerocopy(pairs[0][0], sources[0].data)
        pairs[1][0].sendall(sources[1].data)
        while any(len(there) < source.size for there, source in zip(got, sources, strict=True)):
            for (_, receiver), there, source in zip(pairs, got, sources, strict=True):
                if len(there) < source.size:
                    size = sink.receive(receiver)
                    there += sink.payload[:size]
        assert [bytes(there) for there in got] == [source.data for source in sources]
        assert 0 < sink.measured[0] <= sources[0].size


def test_the_payload_stays_until_the_next_receive(connect, zerocopy, source_file):
    """Mapped pages stay readable until the connection's next receive, which unmaps them first."""
    source = source_file(8192)
    sender, receiver = connect(ALIGNED_MSS)
    with closing(ZerocopyReceive(65_536)) as sink:
        sink.attach(receiver)
        zerocopy(sender, source.data)
        got = bytearray()
        while len(got) < source.size:
            size = sink.receive(receiver)
            got += sink.payload[:size]
            assert sink.payload[:size] == source.data[len(got) - size : len(got)]
        sender.shutdown(socket.SHUT_WR)
        unmapped = sink.counts[sink.calls.index("madvise")]
        assert sink.receive(receiver) == 0
        assert sink.counts[sink.calls.index("madvise")] in (unmapped, unmapped + 1)
        assert not sink._connections[receiver].mapped


def test_a_mapping_is_given_back(connect):
    """A closed sink leaves no mapping of a socket behind, so that the connection can end."""

    def mappings():
        with open("/proc/self/maps") as maps:
            return sum("socket:" in line for line in maps)

    before = mappings()
    _, receiver = connect()
    sink = ZerocopyReceive(65_536)
    sink.attach(receiver)
    assert mappings() == before + 1
    sink.close()
    sink.close()
    assert mappings() == before


def test_an_encrypted_connection_is_refused(monkeypatch, connect):
    """A kernel TLS connection is an error before a byte is taken: its encrypted records would be mapped."""
    monkeypatch.setattr(zerocopy_receive, "is_tls", lambda sock: True)
    _, receiver = connect()
    with closing(ZerocopyReceive(65_536)) as sink, pytest.raises(StudyError, match="zerocopy_receive cannot read a kernel TLS connection"):
        sink.attach(receiver)


def test_the_request_is_laid_out_as_the_kernel_has_it(tmp_path):
    """The structure has the offsets, and the option the number, of linux/tcp.h."""
    fields = [name for name, _ in Request._fields_]
    ours = [ctypes.sizeof(Request), *(getattr(Request, name).offset for name in fields), TCP_ZEROCOPY_RECEIVE]
    assert ours == [16, 0, 8, 12, 35]
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc, to hold the layout against this machine's linux/tcp.h")
    offsets = ", ".join(f"(int)offsetof(struct tcp_zerocopy_receive, {name})" for name in fields)
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/tcp.h>\n"
        f'int main(void) {{ printf("%d %d %d %d", {offsets}, TCP_ZEROCOPY_RECEIVE); return 0; }}\n'
    )
    subprocess.run([compiler, "-o", tmp_path / "layout", source], check=True, capture_output=True)
    told = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True).stdout
    assert [int(number) for number in told.split()] == ours[1:]


# file and splice_file.


@pytest.mark.parametrize("size", [1, 4097, 300_007])
@pytest.mark.parametrize("chunk", [1000, 65_536, 1 << 20])
@pytest.mark.parametrize("cls", STORING)
def test_what_came_is_in_the_file(cls, chunk, size, connect, source_file):
    """The file holds what was sent, in order, from its beginning."""
    source = source_file(size)
    sender, receiver = connect()
    with closing(small(cls, chunk)) as sink:
        assert transfer(sink, sender, receiver, lambda: sender.sendall(source.data)) == source.data
        stored = os.pread(sink.fd, size, 0)
        assert hashlib.sha256(stored).digest() == hashlib.sha256(source.data).digest()


@pytest.mark.parametrize("cls", STORING)
def test_the_file_wraps_around(cls, connect, source_file):
    """At its end the file is overwritten from its beginning: it never grows, and holds the newest bytes."""
    source, room = source_file(250_001), 100_000
    sender, receiver = connect()
    with closing(small(cls, 65_536, file_bytes=room)) as sink:
        assert transfer(sink, sender, receiver, lambda: sender.sendall(source.data)) == source.data
        assert os.fstat(sink.fd).st_size == room
        assert os.pread(sink.fd, room, 0) == source.data[200_000:] + source.data[150_001:200_000]


@pytest.mark.parametrize("cls", STORING)
def test_the_files_pages_are_there_from_the_start(cls):
    """The file is allocated when the sink is made, so that no window pays for fresh pages."""
    with closing(small(cls, 4096)) as sink:
        assert os.fstat(sink.fd).st_blocks * 512 >= 1 << 20


@pytest.mark.parametrize(("cls", "needed"), [(Recv, 1000), (SpliceNull, 0), (File, FILE_BYTES + 1000), (SpliceFile, FILE_BYTES)])
def test_a_receivers_memory_is_declared(cls, needed):
    """A sink says what memory one receiver needs, the file included."""
    assert cls.private_bytes(1000) == needed


def test_storing_that_fails_is_an_error(monkeypatch, connect):
    """A write that the system refuses is raised, not skipped."""
    sender, receiver = connect()
    sender.sendall(b"abc")

    def full(fd, data, offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with closing(small(File, 4096)) as sink, pytest.raises(OSError, match="No space left"):
        sink.receive(receiver)


# All of them.


@pytest.mark.parametrize("cls", NEW)
def test_a_reset_connection_is_an_error(cls, connect):
    """A peer that resets the connection is an error for the receiver, neither an end nor a loop without one."""
    sender, receiver = connect()
    with closing(small(cls, 65_536)) as sink:
        sink.attach(receiver)
        sender.sendall(bytes(10_000))
        taken = 0
        while taken < 10_000:
            taken += sink.receive(receiver)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset: socket(7)
        sender.close()
        with pytest.raises(ConnectionResetError):
            sink.receive(receiver)


@pytest.mark.parametrize("cls", NEW)
def test_descriptors_are_given_back(cls, connect, leaks):
    """A closed sink has given back every descriptor, in the middle of a stream too."""
    sender, receiver = connect()
    before = leaks()
    sink = small(cls, 4096)
    sink.attach(receiver)
    sender.sendall(bytes(10_000))
    sink.receive(receiver)
    sink.close()
    sink.close()
    assert leaks() == before


def refuse(*args, **kwargs):
    """Be a system call that is filtered away."""
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(
    ("cls", "module", "call"),
    [
        (SpliceNull, splice_null.os, "splice"),
        (File, file, "memory_file"),
        (SpliceFile, splice_file.os, "splice"),
        (ZerocopyReceive, zerocopy_receive, "SocketMapping"),
    ],
)
def test_a_refused_call_is_a_reason(cls, module, call, monkeypatch, leaks):
    """A host that refuses what a sink needs is told so, with a remedy, and nothing is left open."""
    before = leaks()
    monkeypatch.setattr(module, call, refuse)
    why = cls.probe()
    assert "operation not permitted" in why.reason
    assert why.remedy
    assert leaks() == before


def test_a_mapping_that_the_kernel_refuses_says_which_call():
    """An error of the option or of mmap names the call it came from."""
    left, right = socket.socketpair()
    with left, right, pytest.raises(OSError, match="mmap of a TCP socket"):
        SocketMapping(left, 4096)
    with connected_pair() as (_, receiver), closing(SocketMapping(receiver, 4096)) as mapping:
        mapping._request.address = 1
        with pytest.raises(OSError, match="TCP_ZEROCOPY_RECEIVE"):
            mapping.take()


# What a sink measures.


def test_a_sink_that_measures_nothing_is_called_directly():
    """Only a sink that measures something has its receive wrapped: the others' loop calls the method itself."""
    sink = Recv(10)
    with closing(Board(1)) as board:
        assert publishing(sink.receive, sink, board, 0) == sink.receive


def test_measures_are_on_the_board_when_receive_returns():
    """What a sink has measured is published with each receive, in words of its own."""

    class Measuring(Recv):
        measures = ("a", "b")

        def receive(self, sock):
            self.measured[0] += 1
            self.measured[1] += 10
            return 5

    with closing(Board(2)) as board:
        sink = Measuring(10)
        receive = publishing(sink.receive, sink, board, 1)
        assert [receive(None), receive(None)] == [5, 5]
        assert board.measures(1, 2) == [2, 20]
        assert board.counts(1, 3) == [0, 0, 0]
        assert board.measures(0, MAX_MEASURES) == [0] * MAX_MEASURES


class ZerocopySend(Mechanism):
    """A sender whose pages can be mapped."""

    name, summary, calls = "zerocopy_send", "for tests", ("send",)

    def __init__(self, sock, fd, size, chunk):
        super().__init__(sock, fd, size, chunk)
        sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        self._view = memoryview(mmap.mmap(fd, size, prot=mmap.PROT_READ))

    def send(self, offset, count):
        self.counts[0] += 1
        return self.sock.send(self._view[offset : offset + count], MSG_ZEROCOPY)

    def drain(self):
        try:
            while True:
                self.sock.recvmsg(0, 128, socket.MSG_ERRQUEUE)
        except BlockingIOError:
            pass


@pytest.fixture
def machine():
    """Return the machine's counters."""
    made = Machine()
    yield made
    made.close()


def mapped(record):
    """Return the bytes mapped in a window, and those received."""
    tally = window_tally(record, None)
    return tally["receiver_mapped_bytes"], tally["bytes"]


@pytest.mark.serial
@pytest.mark.parametrize("receivers", [1, 2])
def test_a_lane_records_what_was_mapped(receivers, lane_of, machine, monkeypatch):
    """A window's record holds each receiver's mapped bytes before and after, verification not among them."""
    monkeypatch.setitem(MECHANISMS, "zerocopy_send", ZerocopySend)
    lane = lane_of("zerocopy_send", sink="zerocopy_receive", senders=2, receivers=receivers)
    record = measure(lane, 0.02, machine)
    pairs = record["receiver_measures"]["mapped_bytes"]
    assert len(pairs) == receivers
    assert all(pair[0] == 0 for pair in pairs)
    part, whole = mapped(record)
    assert 0 < part <= whole
    again = measure(lane, 0.02, machine)
    assert [pair[0] for pair in again["receiver_measures"]["mapped_bytes"]] == [pair[1] for pair in pairs]
    assert not any(sum(before[3:]) for before, _ in record["receivers"])


@pytest.mark.serial
def test_a_lane_that_measures_nothing_records_nothing(lane_of, machine):
    """The record of a lane whose sink measures nothing has no such key."""
    record = measure(lane_of(sink="splice_file"), 0.02, machine)
    assert "receiver_measures" not in record
    assert "receiver_mapped_bytes" not in window_tally(record, None)


@pytest.mark.serial
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("sees", [True, False])
def test_each_connection_is_attached_once_before_its_first_receive(sees, verify, lane_of, machine, monkeypatch):
    """A sink hears of each connection once, before it receives, with and without verification."""

    class Strict(Recv):
        sees_payload = sees

        def __init__(self, chunk):
            super().__init__(chunk)
            self.known = set()

        def attach(self, sock):
            assert sock not in self.known
            self.known.add(sock)

        def receive(self, sock):
            assert sock in self.known
            return super().receive(sock)

    monkeypatch.setitem(SINKS, "strict", Strict)
    lane = lane_of(sink="strict", senders=3, receivers=2, verify=verify)
    record = measure(lane, 0.02, machine)
    assert sum(after[1] - before[1] for before, after in record["receivers"]) > 0
    assert lane.failure() is None


@pytest.mark.serial
@pytest.mark.parametrize("cls", NEW)
def test_a_lane_is_verified_through_its_sink(cls, lane_of, machine, source_file):
    """A lane with the sink passes verification with several connections, and then moves bytes in a window."""
    lane = lane_of(file=source_file(1_000_003), sink=cls.name, senders=3, receivers=2)
    record = measure(lane, 0.02, machine)
    tally = window_tally(record, None)
    assert tally["bytes"] == tally["bytes_sent"] > 0


def test_a_failing_attach_is_an_error_of_the_lane(lane_of, monkeypatch):
    """A sink that cannot take a connection fails the lane in its own words."""

    class Refusing(Sink):
        name = "refusing"

        def attach(self, sock):
            raise StudyError("not this one")

    monkeypatch.setitem(SINKS, "refusing", Refusing)
    lane = lane_of(sink="refusing", start=False, verify=False, name="v")
    with pytest.raises(StudyError, match=r"lane v, receiver 0 .*not this one"):
        lane.ready()


def variant(share, **more):
    """Return a variant's entry of a summary, as far as the Variants table reads it."""
    return {
        "name": "v",
        "mechanism": "sendfile",
        "chunk_bytes": 4096,
        "sink": "recv",
        "windows": 1,
        "verified": True,
        "bytes_received": 10,
        "bottleneck": None,
        "status": "ok",
        "reason": None,
        "receiver_mapped_fraction": share,
        **more,
    }


def test_the_report_shows_the_mapped_share_where_there_is_one():
    """The Variants table has a column for the mapped share if any variant has one, and only then."""
    with_it = state({"variants": [variant(0.937), variant(None)]})
    column = with_it.headers.index("mapped")
    assert [row[column] for row in with_it.rows] == ["93.7 %", "-"]
    assert [len(row) for row in with_it.rows] == [len(with_it.headers)] * 2
    without = state({"variants": [variant(None), {k: v for k, v in variant(None).items() if k != "receiver_mapped_fraction"}]})
    assert "mapped" not in without.headers
    assert [len(row) for row in without.rows] == [len(without.headers)] * 2


@pytest.mark.parametrize("name", SINKS)
def test_a_buffer_begins_where_the_point_says(name):
    """A sink that copies to a buffer of its own has it that many bytes into a page; the others take no such place and stay as they are."""
    taker = new_sink(name, 65536, buffer_offset=16)
    try:
        has_one = "buffer_offset" in SINKS[name].options
        assert (taker.buffer_address is not None and taker.buffer_address % PAGE == 16) == has_one
    finally:
        taker.close()
