"""The multishot sink: its buffers, several connections in one ring, and what it says where the kernel lacks something."""

from __future__ import annotations

import errno
import select
import socket
import threading
from contextlib import closing

import pytest
from support.contenders import available

from zcload import config
from zcload.errors import ConfigError
from zcload.linux import uring
from zcload.linux import uring_abi as abi
from zcload.sinks import SINKS
from zcload.sinks.uring_recv_multishot import UringRecvMultishot

pytestmark = pytest.mark.usefixtures("leaks")


@pytest.fixture
def sink_of():
    """Return a function that makes the sink for a chunk, or skips with its own reason; sinks end with the test."""
    made = []

    def make(chunk, **options):
        made.append(available(UringRecvMultishot)(chunk, **options))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


def test_one_call_brings_several_receives(sink_of, pair):
    """What waits in the socket comes with one call, a buffer of a chunk at a time."""
    sink, (sender, receiver) = sink_of(4096), pair()
    sink.attach(receiver)
    data = bytes(range(256)) * 160
    sender.sendall(data)
    got = b""
    while len(got) < len(data):
        taken = sink.receive(receiver)
        assert taken <= 4096
        got += bytes(sink.payload[:taken])
    assert got == data
    assert sink.counts == [1]
    assert sink.measured == [0]


def test_a_connection_that_found_no_buffer_is_armed_again(sink_of, pair):
    """More bytes than the buffers hold end the operation; it is armed again with the buffers that were read, and nothing is lost."""
    sink, (sender, receiver) = sink_of(1 << 20), pair(send_buffer=8 << 20, receive_buffer=8 << 20)
    sink._used = sink._used[:1]  # one buffer of a megabyte instead of four
    sink.attach(receiver)
    data = bytes(range(251)) * 12_000
    thread = threading.Thread(target=sender.sendall, args=(data,))
    thread.start()
    got = b""
    while len(got) < len(data):
        taken = sink.receive(receiver)
        got += bytes(sink.payload[:taken])
    thread.join()
    assert got == data
    assert sink.measured[0] > 0


def test_no_connection_starves_beside_another(sink_of, pair):
    """Bytes that one call brought for several connections are all reported by the poller, until they are received."""
    sink = sink_of(4096)
    pairs = [pair() for _ in range(5)]
    with sink.poller() as poller:
        for _, receiver in pairs:
            sink.attach(receiver)
            poller.register(receiver.fileno(), select.EPOLLIN)
        by_fd = {receiver.fileno(): (receiver, bytearray()) for _, receiver in pairs}
        for number, (sender, _) in enumerate(pairs):
            sender.sendall(bytes([number]) * 10_000)
            sender.shutdown(socket.SHUT_WR)
        left = set(by_fd)
        while left:
            for fd, _ in poller.poll():
                receiver, got = by_fd[fd]
                if taken := sink.receive(receiver):
                    got += sink.payload[:taken]
                else:
                    assert sink.receive(receiver) == 0  # the end stays the end
                    poller.unregister(fd)
                    left.discard(fd)
    assert [bytes(got) for _, got in by_fd.values()] == [bytes([number]) * 10_000 for number in range(5)]


def test_more_connections_than_the_ring_has_entries_are_armed(sink_of, pair):
    """Connections beyond the entries of the submission queue are armed with further calls."""
    sink = sink_of(4096)
    pairs = [pair() for _ in range(70)]
    for sender, receiver in pairs:
        sink.attach(receiver)
        sender.sendall(b"abc")
    assert [sink.receive(receiver) for _, receiver in pairs] == [3] * 70


def test_a_reset_is_an_error_each_time(sink_of, pair):
    """A connection that is reset raises, and raises again."""
    sink, (sender, receiver) = sink_of(4096), pair()
    sink.attach(receiver)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sender.close()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            sink.receive(receiver)


@pytest.mark.parametrize("what", ["buffers", "operation"])
def test_a_kernel_without_it_is_named(what, monkeypatch, sink_of):
    """A kernel that has no rings of provided buffers, or no multishot receive, gives the sink a reason and the Linux that has it."""
    sink_of(4096)
    real = uring.syscall

    def older(number, a, b, *rest):
        if number == abi.REGISTER and b == abi.REGISTER_PBUF_RING:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(number, a, b, *rest)

    if what == "buffers":
        monkeypatch.setattr(uring, "syscall", older)
    else:
        monkeypatch.setattr("zcload.sinks.uring_recv_multishot.RECV_MULTISHOT", 1 << 9)  # a flag that no kernel has
    why = UringRecvMultishot.probe()
    missing = "ring of provided buffers" if what == "buffers" else "multishot receive"
    assert (why.reason, why.remedy) == (f"io_uring of this kernel has no {missing}", "use Linux 6.0 or newer")


def test_no_io_uring_is_its_reason(monkeypatch):
    """Where there is no io_uring the sink gives the reason and remedy of io_uring."""

    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(uring, "syscall", refuse)
    monkeypatch.setattr(uring, "_switch", lambda: 2)
    why = UringRecvMultishot.probe()
    assert (why.reason, why.remedy) == ("io_uring is disabled (kernel.io_uring_disabled = 2)", "sysctl -w kernel.io_uring_disabled=0")


def test_closing_ends_what_is_armed(sink_of, pair):
    """After close no byte goes into the sink's buffers any more: recv on the same connection gets it."""
    sender, receiver = pair()
    with closing(sink_of(4096)) as sink:
        sink.attach(receiver)
        sender.sendall(b"abc")
        assert sink.receive(receiver) == 3
        sink._unarmed.clear()
    sender.sendall(b"def")
    assert receiver.recv(10) == b"def"


SERVER = {"name": "s", "kind": "server", "command": ["true"]}
AHEAD = [name for name, sink in SINKS.items() if sink.takes_ahead]


@pytest.mark.parametrize("sink", AHEAD)
@pytest.mark.parametrize(
    ("workload", "variant", "refused"),
    [
        ({}, SERVER, True),
        ({"transfer": "per-file", "transfer_size": "64KiB", "connection": "fresh"}, {"name": "s", "mechanism": "sendfile"}, True),
        ({"transfer": "per-file", "transfer_size": "64KiB"}, {"name": "s", "mechanism": "sendfile"}, False),
    ],
)
def test_a_sink_that_takes_ahead_needs_a_connection_of_payload(sink, workload, variant, refused):
    """Servers and fresh connections, whose bytes are not all payload, are refused with such a sink, with the key and the remedy."""
    tree = {"study": {"name": "a", "baseline": "read_send", "variants": ["read_send"]}, "workload": {"sink": sink, **workload}}
    tree["variant"] = [variant]
    if not refused:
        config.from_tree(tree)
        return
    with pytest.raises(ConfigError) as error:
        config.from_tree(tree)
    (problem,) = error.value.problems
    assert problem.key == "workload.sink"
    assert "it takes whatever comes" in problem.what
    assert problem.remedy == "sink = 'recv'"
