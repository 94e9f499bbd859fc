"""Orders to agents and their answers: what the limit of a phase ends, and how many open files a session asks for."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress
from types import SimpleNamespace

import pytest

from zcload.cluster import session as module
from zcload.cluster.admission import LEAST_AT_ONCE, MOST_AT_ONCE
from zcload.cluster.channel import Channel, ChannelClosed, frame
from zcload.cluster.lane import ClusterLane, Layout
from zcload.cluster.messages import Done, Failed, Ping, Pong, TearDown
from zcload.cluster.session import HostFailed, Member, PartFailed, Session
from zcload.errors import ConfigError, StudyError, TimeLimitExceeded
from zcload.linux import interrupt
from zcload.model.cluster import Link
from zcload.model.study import Point, Variant

OVER_S = -1.0  # the limit of a phase that is over from its begin


@pytest.fixture
def session():
    """Return a session with one agent, which answers each Ping a moment later, in two pieces."""
    ours, theirs = _channels()

    def answer():
        with suppress(ChannelClosed):
            for number in itertools.count():
                theirs.receive()
                time.sleep(0.05)
                data = frame(Pong(number))
                theirs.send_frame(data[:3])
                time.sleep(0.05)
                theirs.send_frame(data[3:])

    agent = threading.Thread(target=answer)
    agent.start()
    made = Session.__new__(Session)
    made._over, made.members = None, {"a": Member("a", 0, ours)}
    yield made
    ours.sock.shutdown(socket.SHUT_RDWR)
    agent.join()
    ours.close()
    theirs.close()


def test_the_limit_of_a_phase_ends_no_exchange(session):
    """Agents whose answers are on their way when a phase's limit is over are listened to, and answer the next order too."""
    for number in range(2):
        with interrupt.limited(OVER_S, lambda: "measuring"):
            assert session.ask("a", Ping(), Pong).t_ns == number
    assert session._over is None


def test_a_signal_ends_an_exchange_and_the_session(session, monkeypatch):
    """Interrupted in an exchange, a session takes no further order: the answer to the last one would be taken for the next one's."""
    with monkeypatch.context() as patched:
        patched.setattr(interrupt, "requested", 2)
        with pytest.raises(interrupt.Interrupted):
            session.ask("a", Ping(), Pong)
    with pytest.raises(StudyError, match="the agents can no longer be reached"):
        session.ask("a", Ping(), Pong)


def _channels():
    """Return both ends of a new control channel."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Channel(socket.create_connection(listener.getsockname(), 60), "a"), Channel(listener.accept()[0], "coordinator")


@pytest.fixture
def two_hosts():
    """Return a session with two agents, a and b, and their ends of its channels by host."""
    session = Session.__new__(Session)
    with ExitStack() as opened:
        session._over, session.members, agents = None, {}, {}
        for number, host in enumerate("ab"):
            ours, agents[host] = (opened.enter_context(closing(end)) for end in _channels())
            session.members[host] = Member(host, number, ours)
        yield session, agents


@pytest.mark.parametrize(
    ("failed", "error"),
    [
        (Failed("a maker was killed"), HostFailed),
        (Failed("no such file", key="workload.file"), ConfigError),
    ],
)
def test_the_failure_of_a_host_is_raised_before_the_others_have_answered(two_hosts, failed, error):
    """What ends the run on one host does not wait for another that makes a large file; the session takes no order after that."""
    session, agents = two_hosts
    agents["b"].send(failed)
    with pytest.raises(error, match=f"host b: {failed.message}"):
        session.exchange({"a": Ping(), "b": Ping()}, Pong, 60)
    with pytest.raises(HostFailed, match=f"can no longer be reached, after this: .*host b: {failed.message}"):
        session.ask("a", Ping(), Pong)


def test_the_failure_of_a_lane_is_raised_when_all_hosts_have_answered(two_hosts):
    """A host that only saw its connections break does not hide the cause, which another tells later; the session goes on."""
    session, agents = two_hosts
    agents["b"].send(Failed("the connection broke", lane=3, consequence=True))
    answers = session._answers("ab", Pong, 60)
    agents["a"].send(Failed("the sender was killed", lane=3))
    with pytest.raises(PartFailed, match="host a: the sender was killed"):
        next(answers)
    assert session._over is None


def test_a_lane_is_not_begun_after_the_limit_and_is_ended_all_the_same():
    """Where the limit of a phase is over no lane is set up, and those that are there are torn down on every host."""
    sent = []
    session = SimpleNamespace(exchange=lambda orders, answer, *more: sent.append(orders) or dict.fromkeys(orders, Done()))
    lane = ClusterLane(session, 1, Variant("v", "read_send"), Point(), Layout.of(Point(), (Link("a", "b"),)))
    with interrupt.limited(OVER_S, lambda: "measuring"):
        with pytest.raises(TimeLimitExceeded):
            lane.set_up(1, False, lambda: 0)
        assert sent == []
        lane.tear_down()
    assert sent == [{"a": TearDown(1), "b": TearDown(1)}]


@pytest.mark.parametrize(("spare", "greetings"), [(LEAST_AT_ONCE, LEAST_AT_ONCE), (40, 40), (5000, MOST_AT_ONCE), (None, MOST_AT_ONCE)])
def test_greetings_take_what_open_files_there_are(monkeypatch, spare, greetings):
    """A low hard limit of open files leaves room for fewer greetings at once; as few as eight will do."""
    monkeypatch.setattr(module.os, "listdir", lambda path: ["0", "1", "2"])
    monkeypatch.setattr(module, "most_open_files", lambda: None if spare is None else 3 + 2 + module._SPARE_FILES + spare)
    with module._room_for(2) as found:
        assert found == greetings


def test_too_few_open_files_are_told_with_the_number_that_is_needed(monkeypatch):
    """Below that the error names the limit, what is needed and the command that sets it."""
    monkeypatch.setattr(module.os, "listdir", lambda path: ["0", "1", "2"])
    monkeypatch.setattr(module, "most_open_files", lambda: 20)
    with (
        pytest.raises(StudyError, match=r"2 hosts need 45 open files here, and this user may have 20: .*`ulimit -Hn 45`"),
        module._room_for(2),
    ):
        pass
