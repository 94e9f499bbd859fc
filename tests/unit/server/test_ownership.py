"""Who is measured: only a tree that owns the listening socket and uses CPU while bytes move is the server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from zcload.errors import StudyError
from zcload.server.ownership import check_owner, check_work, listening, sockets_of


@pytest.fixture
def sleeper():
    """Return a process that has no socket."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()


@pytest.mark.parametrize(
    ("family", "bound", "asked"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_the_owner_of_a_listening_socket_is_known(family, bound, asked, sleeper):
    """A tree with the process that listens passes, one without it is refused, and the error names the port and who listens."""
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((bound, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert listening(os.getpid(), asked, port) == {os.fstat(listener.fileno()).st_ino}
        check_owner("s", [sleeper.pid, os.getpid()], asked, port)
        with pytest.raises(StudyError) as caught:
            check_owner("s", [sleeper.pid], asked, port)
    words = str(caught.value)
    assert f"server s: its processes ({sleeper.pid}) do not listen at {asked} port {port}; " in words
    assert f"(pid {os.getpid()})" in words


def test_a_port_that_nobody_listens_at_is_nobodys(sleeper):
    """In our own network a port without a listener belongs to no server."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(StudyError, match="do not listen"):
            check_owner("s", [sleeper.pid], "127.0.0.1", sock.getsockname()[1])


def test_a_more_exact_address_takes_the_connections():
    """Beside a socket at the very address, one at all addresses gets no connection, so it does not count."""
    with socket.socket() as exact, socket.socket() as anywhere:
        for sock in (exact, anywhere):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        exact.bind(("127.0.0.1", 0))
        anywhere.bind(("0.0.0.0", exact.getsockname()[1]))
        exact.listen()
        anywhere.listen()
        assert listening(os.getpid(), "127.0.0.1", exact.getsockname()[1]) == {os.fstat(exact.fileno()).st_ino}


def test_a_process_that_has_ended_owns_nothing(sleeper):
    """The sockets of a process that is gone are none, and of one that is there all that it has open."""
    assert sockets_of(sleeper.pid) == set()
    assert sockets_of(2**22 + 1) == set()


@pytest.mark.parametrize(("moved", "cpu_ns", "fine"), [(10**9, 10**6, True), (10**9, 10**6 - 1, False), (8 << 20, 0, False), (0, 0, True)])
def test_bytes_without_cpu_time_are_somebody_elses_work(moved, cpu_ns, fine):
    """A tree that used less than a millisecond of CPU per GB did not send the bytes."""
    if fine:
        check_work("s", moved, cpu_ns)
        return
    with pytest.raises(StudyError, match="another process does its work"):
        check_work("s", moved, cpu_ns)
