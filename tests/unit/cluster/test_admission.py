"""Agents are admitted side by side: who is silent, a stranger or of another version, and what is left when admission closes."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import closing

import pytest

from zcload.cluster import keys
from zcload.cluster.admission import MOST_AT_ONCE, Admission, Admitted
from zcload.cluster.channel import Channel, OtherVersion, agent_context, introduce, server_context
from zcload.cluster.messages import Ping
from zcload.errors import StudyError
from zcload.model.cluster import Cluster

SECRET = b"secret"
WAIT_S = 60  # nothing here takes that long, also on a busy machine


@pytest.fixture(params=["plain", "tls"])
def contexts(request, tmp_path):
    """Return what coordinator and agents encrypt with; None without TLS."""
    if request.param == "plain":
        return None, None
    keys.make_keys(tmp_path, days=1)
    names = {"ca": "ca.pem", "certificate": "cert.pem", "key": "key.pem"}
    cluster = Cluster("tls://127.0.0.1:1", **{key: str(tmp_path / name) for key, name in names.items()})
    return server_context(cluster), agent_context((tmp_path / "ca.pem").read_text())


@pytest.fixture
def admission(contexts):
    with closing(Admission(socket.create_server(("127.0.0.1", 0), backlog=256), contexts[0], SECRET)) as made:
        yield made


@pytest.fixture
def connect(admission, contexts):
    """Return a function that connects, and with the name of a host introduces its agent; everything is closed at the end."""
    place, made = admission._listener.getsockname(), []

    def connection() -> socket.socket:
        made.append(socket.create_connection(place))
        return made[-1]

    def agent(host: str, secret: bytes = SECRET, version: str | None = None) -> threading.Thread:
        def run() -> None:
            try:
                sock = connection()
                channel = Channel(contexts[1].wrap_socket(sock) if contexts[1] else sock, "coordinator")
                made.append(channel)
                introduce(channel, secret, host, **({"version": version} if version else {}))
            except StudyError:
                pass

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    yield connection, agent
    for each in made:
        each.close()


def test_a_silent_connection_delays_nobody(admission, connect):
    """The first result is the agent, though connections that stay silent were there before it."""
    connection, agent = connect
    for _ in range(MOST_AT_ONCE - 1):
        connection()
    greeted = agent("a")
    found = admission.result(WAIT_S)
    assert isinstance(found, Admitted)
    assert found.host == "a"
    found.channel.send(Ping())
    found.channel.close()
    greeted.join()


def test_whoever_does_not_belong_is_refused_with_the_reason(admission, connect):
    """A stranger and another version are refused, the version with the name of its host."""
    _, agent = connect
    agent("a", b"other").join()
    assert "does not know the secret" in str(admission.result(WAIT_S))
    agent("b", version="0.0.1").join()
    refused = admission.result(WAIT_S)
    assert isinstance(refused, OtherVersion)
    assert str(refused).startswith("host b: zcload 0.0.1 there")


def test_closing_breaks_off_greetings(contexts):
    """Neither a thread nor an open connection is left when admission closes, whoever is still silent."""
    before = set(threading.enumerate())
    admission = Admission(socket.create_server(("127.0.0.1", 0)), contexts[0], SECRET)
    silent = [socket.create_connection(admission._listener.getsockname()) for _ in range(3)]
    while len(set(threading.enumerate()) - before) < 4:
        threading.Event().wait(0.01)
    admission.close()
    assert set(threading.enumerate()) <= before
    for sock in silent:
        sock.settimeout(WAIT_S)
        while sock.recv(4096):
            pass
        sock.close()


def test_an_agent_that_is_admitted_while_admission_closes_is_closed(contexts):
    """An agent whose greeting ends as admission closes finds its connection closed, not left open."""
    admission, putting = Admission(socket.create_server(("127.0.0.1", 0)), contexts[0], SECRET), threading.Event()

    class Late(queue.SimpleQueue):
        def put(self, found, *arguments):
            putting.set()
            threading.Event().wait(0.2)
            super().put(found, *arguments)

    admission._results = Late()
    sock = socket.create_connection(admission._listener.getsockname())
    sock.settimeout(WAIT_S)
    with closing(Channel(contexts[1].wrap_socket(sock) if contexts[1] else sock, "coordinator")) as channel:
        introduce(channel, SECRET, "a")
        assert putting.wait(WAIT_S)
        admission.close()
        channel.sock.settimeout(WAIT_S)
        while channel.sock.recv(4096):
            pass
