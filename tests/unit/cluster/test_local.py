"""The engine on this machine: it starts agents, says how they ended, and leaves none behind."""

from __future__ import annotations

import contextlib
import time

import psutil
import pytest

from zcload import __version__
from zcload.cluster.engine import AgentEnd, Engine
from zcload.cluster.local import LocalEngine, LocalHost


@pytest.fixture
def engine():
    with contextlib.closing(
        LocalEngine([LocalHost("b", "127.0.0.1", resources=frozenset(["receiver"])), LocalHost("a", "127.0.0.1")])
    ) as made:
        yield made


def end_of(engine: Engine, agent: int) -> AgentEnd | None:
    """Wait for the end of an agent."""
    deadline = time.monotonic() + 60
    while (end := engine.poll(agent)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return end


def test_hosts(engine):
    """Its hosts come in the order of their names, with their resources and this machine's version."""
    assert [(h.name, h.resources, h.zcload_version) for h in engine.hosts()] == [
        ("a", frozenset(), __version__),
        ("b", frozenset(["receiver"]), __version__),
    ]


def test_how_an_agent_ended(engine):
    """The exit status and the last lines of stderr of an agent are there once it has ended, and None before."""
    code = "import os, sys; print(os.environ['WORD'], file=sys.stderr); sys.exit(3)"
    end = end_of(engine, engine.start_agent("a", ["-c", code], {"WORD": "seen"}, 10.0))
    assert (end.status, end.stderr) == (3, "seen")


def test_agents_are_stopped(engine):
    """An agent that is stopped, or whose engine is closed, has ended; stopping it again does no harm."""
    agents = [engine.start_agent("a", ["-c", "import time; time.sleep(60)"], {}, 60.0) for _ in range(2)]
    pids = [engine.pid(agent) for agent in agents]
    assert engine.poll(agents[0]) is None
    engine.stop(agents[0])
    engine.stop(agents[0])
    assert engine.poll(agents[0]).status == -9
    engine.close()
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
