"""The connections of a lane: proven, alike at both ends, and refused to strangers; what cannot be had is an error that says why."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from zcload.errors import ConfigError, StudyError
from zcload.lane import connections as module
from zcload.lane.connections import choose_congestion, connect, family_of
from zcload.linux import interrupt
from zcload.model.study import Point

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("leaks")]

SECRET_BYTES = 32
GREETING_BYTES = 36


@contextmanager
def connected(point, count, congestion=None):
    """Make connections, and close them."""
    made = connect(point, count, congestion)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def port():
    """Return a port that is free now, and below those that the kernel gives to whoever connects."""
    for candidate in random.sample(range(10_000, 32_768), 100):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    raise AssertionError("no port is free")


def assert_right(connections, count):
    """Hold each sender's end against its receiver's: the two ends of one connection, blocking, with bytes going the right way."""
    assert len(connections.clients) == len(connections.servers) == count
    for number, (client, server) in enumerate(zip(connections.clients, connections.servers, strict=True)):
        assert client.getsockname() == server.getpeername()
        assert client.getpeername() == server.getsockname()
        assert (client.gettimeout(), server.gettimeout()) == (None, None)
        client.sendall(b"%d" % number)
        client.shutdown(socket.SHUT_WR)
        assert server.recv(100) == b"%d" % number  # and nothing of the greeting before it
        assert server.recv(100) == b""


# Connections.


@pytest.mark.parametrize("count", [1, 2, 64, 65, 200])
def test_connections_are_made_in_order(count):
    """However many there are, connection i joins client i to server i and carries nothing but what is sent on it."""
    with connected(Point(senders=count), count) as connections:
        assert_right(connections, count)
        assert connections.unauthenticated == 0


@pytest.mark.parametrize("count", [1, 5])
def test_a_fixed_port_is_used_and_can_be_used_again(count, port):
    """A port that the point names is the one that is used, and again at once, though its connections are in TIME_WAIT."""
    for _ in range(3):
        with connected(Point(port=port), count) as connections:
            assert {server.getsockname()[1] for server in connections.servers} == {port}
            for client in connections.clients:
                client.shutdown(socket.SHUT_RDWR)  # the sender's end first, then the listener's port is left in TIME_WAIT
    with connected(Point(port=port), count) as connections:
        for server in connections.servers:
            server.close()
    with connected(Point(port=port), count) as connections:
        assert_right(connections, count)


@pytest.mark.parametrize("buffer", [65_536, 1 << 20])
@pytest.mark.parametrize("congestion", [None, "reno"])
def test_both_ends_have_the_same_socket_options(buffer, congestion):
    """Whatever bears on the answer is the same at both ends of every connection: buffers, low-water mark, Nagle, congestion control."""
    options = {
        "SO_SNDBUF": (socket.SOL_SOCKET, socket.SO_SNDBUF),
        "SO_RCVBUF": (socket.SOL_SOCKET, socket.SO_RCVBUF),
        "SO_RCVLOWAT": (socket.SOL_SOCKET, socket.SO_RCVLOWAT),
        "SO_KEEPALIVE": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        "SO_LINGER": (socket.SOL_SOCKET, socket.SO_LINGER),
        "TCP_NODELAY": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
        "TCP_CORK": (socket.IPPROTO_TCP, socket.TCP_CORK),
        "TCP_NOTSENT_LOWAT": (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT),
        "TCP_CONGESTION": (socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16),
    }
    with connected(Point(socket_buffer=buffer), 3, congestion) as connections:
        ends = [{name: sock.getsockopt(*where) for name, where in options.items()} for sock in (*connections.clients, *connections.servers)]
    assert all(end == ends[0] for end in ends)
    assert ends[0]["SO_SNDBUF"] >= min(2 * buffer, 2 * 212_992)  # the kernel doubles what it is told, up to its limit
    assert ends[0]["SO_RCVLOWAT"] == 1
    if congestion:
        assert ends[0]["TCP_CONGESTION"].rstrip(b"\0") == congestion.encode()


def test_automatic_buffers_are_left_to_the_kernel():
    """Without a socket buffer none is set: a set one would switch the kernel's tuning off."""
    with socket.socket() as fresh, connected(Point(socket_buffer=None), 1) as connections:
        default = fresh.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert connections.servers[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= default
        with connected(Point(socket_buffer=4096), 1) as small:
            assert small.servers[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < default


def test_closing_gives_everything_back(leaks):
    """Closing the connections leaves no descriptor, and is harmless when done again."""
    connections = connect(Point(), 70, None)
    assert len(leaks()) == 140
    connections.close()
    connections.close()
    assert leaks() == {}


# Strangers.

STRANGERS = {
    "says nothing": b"",
    "says half a greeting": b"x" * 20,
    "says half and leaves": b"x" * 20,
    "leaves at once": b"",
    "has the wrong secret": b"\0" * GREETING_BYTES,
    "has a wrong secret and more": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 9,
}


@pytest.fixture
def visited(monkeypatch):
    """Return a function that has strangers connect before anybody else, as soon as the port is open."""
    guests = []

    def visit(*manners):
        listen = module.listen

        def listen_then_visit(*arguments):
            listener = listen(*arguments)
            for manner in manners:
                guest = socket.create_connection(listener.getsockname(), timeout=5)
                guests.append(guest)
                guest.sendall(STRANGERS[manner])
                if "leaves" in manner:
                    guest.close()
            return listener

        monkeypatch.setattr(module, "listen", listen_then_visit)

    yield visit
    for guest in guests:
        guest.close()


@pytest.mark.parametrize("manner", STRANGERS)
def test_a_stranger_is_refused_and_counted(manner, visited):
    """A stranger that comes first, whatever it says or does not, gets no connection, is counted, and holds nobody up."""
    visited(manner)
    with connected(Point(), 5) as connections:
        assert connections.unauthenticated == 1
        assert_right(connections, 5)


def test_many_strangers_of_all_kinds_are_refused(visited):
    """Strangers of all kinds at once are all counted, and all connections are right."""
    visited(*STRANGERS, *STRANGERS)
    with connected(Point(), 70) as connections:
        assert connections.unauthenticated == 2 * len(STRANGERS)
        assert_right(connections, 70)


def test_a_refused_stranger_is_hung_up_on():
    """A stranger's connection is closed once the lane's own are there."""
    listen, guests = module.listen, []

    def listen_then_visit(*arguments):
        listener = listen(*arguments)
        guests.append(socket.create_connection(listener.getsockname(), timeout=5))
        return listener

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "listen", listen_then_visit)
        with connected(Point(), 1):
            assert guests[0].recv(10) == b""
    guests[0].close()


@pytest.mark.slow
def test_strangers_that_fill_the_queue_hold_nobody_up(visited, monkeypatch):
    """More strangers than the listener's queue has room for are refused like few: they do not keep the lane's own connections out."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 3.0)
    visited(*["says nothing"] * 18)  # a backlog of 17 admits one more
    with connected(Point(), 1) as connections:
        assert connections.unauthenticated == 18
        assert_right(connections, 1)


@pytest.mark.slow
@pytest.mark.parametrize("says", [b"", b"x" * 20, b"\0" * GREETING_BYTES], ids=["nothing", "half a greeting", "a wrong secret"])
def test_a_stranger_in_a_loop_does_no_harm(says, port):
    """A stranger that connects to the port again and again while connections are made is never among them."""
    over = threading.Event()
    visits = []

    def loop():
        while not over.is_set():
            with socket.socket() as guest:
                guest.settimeout(0.1)  # a SYN that nobody answers is not waited for
                try:
                    guest.connect(("127.0.0.1", port))
                    guest.sendall(says)
                    visits.append(1)
                except OSError:
                    time.sleep(0.0002)  # the port is open only now and then

    stranger = threading.Thread(target=loop)
    stranger.start()
    try:
        unauthenticated = rounds = 0
        deadline = time.monotonic() + 60
        while rounds < 5 or (not unauthenticated and time.monotonic() < deadline):
            rounds += 1
            with connected(Point(port=port), 40) as connections:
                unauthenticated += connections.unauthenticated
                assert_right(connections, 40)
    finally:
        over.set()
        stranger.join()
    assert 0 < unauthenticated <= len(visits)


def test_two_that_share_a_port_take_each_other_for_strangers(visited, monkeypatch):
    """A right greeting of another run, with another secret, is a stranger's."""
    greeting = module._GREETING.pack(b"s" * SECRET_BYTES, 0)
    assert len(greeting) == GREETING_BYTES
    monkeypatch.setitem(STRANGERS, "comes from another run", greeting)
    visited("comes from another run")
    with connected(Point(), 2) as connections:
        assert connections.unauthenticated == 1
        assert_right(connections, 2)


def test_silent_strangers_are_bounded_while_connections_are_made(visited, monkeypatch):
    """Of more connections without a greeting than are kept, the oldest is closed; all are counted, and ours come in."""
    monkeypatch.setattr(module, "MOST_SILENT", 8)
    visited(*["says nothing"] * 12)
    with connected(Point(), 5) as connections:
        assert connections.unauthenticated == 12
        assert_right(connections, 5)


def test_nobody_to_accept_is_an_error_in_time(monkeypatch, leaks):
    """Connections that never come give a StudyError that tells how many did, in the time allowed, and leave nothing open."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.3)
    monkeypatch.setattr(module, "_listen_to", lambda sock, greetings, secret: (greetings.pop(sock), -1)[1])
    with pytest.raises(StudyError, match="only 0 of 3 connections were accepted within"):
        connect(Point(), 3, None)
    assert leaks() == {}


def test_a_signal_ends_the_accepting(monkeypatch, leaks):
    """A signal that asks for the end is heeded while connections are awaited, and leaves nothing open."""
    monkeypatch.setattr(interrupt, "requested", 2)
    with pytest.raises(interrupt.Interrupted):
        connect(Point(), 3, None)
    assert leaks() == {}


# What cannot be had.


def problem_of(error):
    """Return the one problem of a ConfigError as (key, what, remedy)."""
    (problem,) = error.problems
    return problem.key, problem.what, problem.remedy


def test_a_port_in_use(port):
    """A port that somebody listens on is a ConfigError that names port, address and remedy."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ConfigError) as caught:
            connect(Point(port=port), 1, None)
    assert problem_of(caught.value) == ("workload.port", f"port {port} is in use on 127.0.0.1", "port = 0 takes any free one")


def test_an_address_of_another_machine():
    """An address that is not this machine's is a ConfigError that says so."""
    if Path("/proc/sys/net/ipv4/ip_nonlocal_bind").read_text().strip() != "0":
        pytest.skip("this host binds foreign addresses (net.ipv4.ip_nonlocal_bind = 0 changes that)")
    with pytest.raises(ConfigError) as caught:
        connect(Point(address="192.0.2.1"), 1, None)
    assert problem_of(caught.value) == (
        "workload.address",
        "192.0.2.1 is not an address of this machine",
        "see `ip address`, or use 127.0.0.1",
    )


def test_a_port_that_needs_privileges(in_child):
    """A port below 1024 is a ConfigError for a user who may not have it."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("anybody may have port 80 here (net.ipv4.ip_unprivileged_port_start = 1024 changes that)")

    def try_it():
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        with pytest.raises(ConfigError) as caught:
            connect(Point(port=80), 1, None)
        return problem_of(caught.value)

    assert in_child(try_it) == ("workload.port", "port 80 needs privileges (permission denied)", "choose a port above 1023, or 0")


@pytest.mark.parametrize("address", ["no such host", "999.1.1.1", "a" * 300, "", "host.invalid"])
def test_a_name_that_is_none(address):
    """A name that cannot be resolved is a ConfigError that names it and the resolver's reason."""
    with pytest.raises(ConfigError) as caught:
        connect(Point(address=address), 1, None)
    key, what, _ = problem_of(caught.value)
    assert key == "workload.address"
    assert what.startswith(f"{address!r} is not an address this host can resolve: ")


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("0.0.0.0", socket.AF_INET)])
def test_the_family_is_the_addresses_own(address, family):
    """A numeric address is of its own family."""
    assert family_of(address) == family


@pytest.mark.parametrize("address", ["localhost", "127.0.0.2"])
def test_other_addresses_of_this_machine_work(address):
    """A name of this machine, and any address of its loopback network, connect."""
    with connected(Point(address=address), 2) as connections:
        assert_right(connections, 2)


def test_a_congestion_control_that_cannot_be_set_on_the_way():
    """A congestion control that the kernel refuses ends in an error of the tool, with nothing left open."""
    with pytest.raises(ConfigError):
        connect(Point(), 1, "no_such_control")


# Congestion control.


class Refusing(socket.socket):
    """A socket whose kernel permits no congestion control but those named."""

    permitted: tuple[str, ...] = ()

    def setsockopt(self, level, option, value):
        if option == socket.TCP_CONGESTION and value.decode() not in self.permitted:
            raise PermissionError(1, "Operation not permitted")
        if option != socket.TCP_CONGESTION:
            super().setsockopt(level, option, value)

    def getsockopt(self, level, option, size=0):
        return b"bbr\0\0\0\0\0\0\0\0\0\0\0\0\0" if option == socket.TCP_CONGESTION else super().getsockopt(level, option, size)


@pytest.mark.parametrize(
    ("permitted", "chosen"),
    [(("cubic", "reno", "bbr"), ("cubic", "cubic")), (("reno", "bbr"), ("reno", "reno")), (("bbr",), (None, "bbr")), ((), (None, "bbr"))],
)
def test_auto_is_cubic_then_reno_then_the_systems(permitted, chosen, monkeypatch):
    """Left to choose, it is cubic where permitted, else reno, else nothing is set and the system's own is named; bbr is never chosen."""
    monkeypatch.setattr(Refusing, "permitted", permitted)
    monkeypatch.setattr(module.socket, "socket", Refusing)
    assert choose_congestion("auto") == chosen


def test_the_congestion_control_that_was_asked_for(monkeypatch):
    """One that is asked for by name is taken, bbr too; one that cannot be set is a ConfigError that says where to look."""
    monkeypatch.setattr(Refusing, "permitted", ("bbr",))
    monkeypatch.setattr(module.socket, "socket", Refusing)
    assert choose_congestion("bbr") == ("bbr", "bbr")
    with pytest.raises(ConfigError) as caught:
        choose_congestion("cubic")
    key, what, remedy = problem_of(caught.value)
    assert (key, what) == ("workload.congestion", "congestion control 'cubic' cannot be set: operation not permitted")
    assert "tcp_allowed_congestion_control" in remedy


def test_a_congestion_control_that_the_kernel_lacks():
    """A name that the real kernel does not know is a ConfigError; what it chooses by itself can be set."""
    with pytest.raises(ConfigError, match="'no_such_control' cannot be set"):
        choose_congestion("no_such_control")
    to_set, name = choose_congestion("auto")
    assert to_set in ("cubic", "reno", None)
    with connected(Point(), 1, to_set) as connections:
        assert connections.clients[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\0")[0].decode() == name


def test_a_port_that_another_process_holds(port):
    """A port held by another process is refused as well, and free again when that has ended."""
    code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print(1, flush=True); input()"
    with subprocess.Popen(["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(ConfigError, match=f"port {port} is in use"):
            connect(Point(port=port), 1, None)
        other.communicate(b"\n")
    with connected(Point(port=port), 1) as connections:
        assert_right(connections, 1)
