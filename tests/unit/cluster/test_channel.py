"""The control channel: who is admitted, what is no message, and a connection that ends."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from zcload import __version__
from zcload.cluster.channel import Channel, ChannelClosed, admit, introduce
from zcload.cluster.messages import Arm, Challenge, Hello, Ping, Pong, decode, encode
from zcload.errors import StudyError


@pytest.fixture
def ends():
    """Return both ends of a connection over loopback: the coordinator's, and the agent's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        agent = socket.create_connection(listener.getsockname())
        coordinator, _ = listener.accept()
    made = Channel(coordinator, "a connection from 127.0.0.1"), Channel(agent, "coordinator")
    yield made
    for channel in made:
        channel.close()


def beside(function, *arguments):
    """Run *function* in a thread; return it, and a list that then holds its result or its error."""
    said = []

    def run() -> None:
        try:
            said.append(function(*arguments))
        except StudyError as error:
            said.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, said


def test_an_agent_that_knows_the_secret_is_admitted(ends):
    """Both ends that know the secret accept each other, and messages then pass both ways."""
    coordinator, agent = ends
    thread, said = beside(introduce, agent, b"secret", "a")
    assert admit(coordinator, b"secret") == "a"
    thread.join()
    assert said == [None]
    coordinator.send(Ping())
    assert agent.receive(5) == Ping()
    agent.send(Pong(7))
    assert coordinator.receive(5) == Pong(7)


@pytest.mark.parametrize(
    ("theirs", "version", "says"), [(b"other", __version__, "secret"), (b"secret", "0.0.1", "host a: zcload 0.0.1 there")]
)
def test_an_agent_that_is_refused(ends, theirs, version, says):
    """An agent with another secret or another version is refused, with the reason."""
    coordinator, agent = ends
    thread, said = beside(introduce, agent, theirs, "a", version)
    with pytest.raises(StudyError, match=says):
        admit(coordinator, b"secret")
    coordinator.close()
    thread.join()
    assert isinstance(said[0], StudyError)


def test_a_proof_is_good_for_one_connection(ends):
    """What an agent has said on one connection does not open another: the coordinator's nonce differs."""
    coordinator, agent = ends
    heard = []
    receive = coordinator.receive
    coordinator.receive = lambda timeout_s=None: heard.append(receive(timeout_s)) or heard[-1]
    thread, _ = beside(introduce, agent, b"secret", "a")
    admit(coordinator, b"secret")
    thread.join()
    (hello,) = (each for each in heard if isinstance(each, Hello))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        again = Channel(socket.create_connection(listener.getsockname()), "coordinator")
        other = Channel(listener.accept()[0], "a connection")
    again.send(hello)
    with pytest.raises(StudyError, match="does not know the secret"):
        admit(other, b"secret")
    assert isinstance(again.receive(5), Challenge)
    again.close()
    other.close()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (struct.pack("!I", 1 << 30), "announces a message of 1073741824 bytes"),
        (struct.pack("!I", 4) + b"none", "a message that is none"),
        (struct.pack("!I", 2) + b"{}", "a message that is none"),
    ],
    ids=["too-long", "no-json", "no-kind"],
)
def test_what_is_no_message(ends, data, says):
    """Whoever has proved nothing can neither fill memory nor send what is no message."""
    coordinator, agent = ends
    agent.sock.sendall(data)
    with pytest.raises(StudyError, match=says):
        coordinator.receive(5)


def test_the_end_of_a_connection(ends):
    """A connection that the other end has closed is lost, and reading or writing says so."""
    coordinator, agent = ends
    assert not coordinator.lost()
    agent.close()
    with pytest.raises(ChannelClosed, match="a connection from"):
        coordinator.receive(5)
    assert coordinator.lost()


def test_silence(ends):
    """Who says nothing in time is named."""
    with pytest.raises(StudyError, match="no answer in time"):
        ends[0].receive(0.01)


def test_messages_keep_their_types():
    """A message is the same after it has been bytes, and one of a wrong type is refused with the key."""
    assert decode(encode(Arm([1, 2]))) == Arm([1, 2])
    with pytest.raises(StudyError, match=r"arm\.lanes"):
        decode(b'{"kind":"arm","lanes":"all"}')
