"""The real coordinator with 50 simulated agents that are late, slow, silent or end in a window."""

from __future__ import annotations

import resource
import time
from contextlib import closing
from dataclasses import replace

import pytest
from support.simulated_agents import Fault, SimulatedEngine

from zcload import config
from zcload.cluster import messages as m
from zcload.cluster.session import HostFailed, Session
from zcload.errors import StudyError
from zcload.model.cluster import Cluster, HostChoice
from zcload.runner.run import run
from zcload.store.reader import Result

pytestmark = [pytest.mark.serial, pytest.mark.slow]

HOSTS = 50
SCHEDULER = "tcp://127.0.0.1:1"  # nobody asks it: the engine is simulated


def cluster_of(engine):
    """Return pairs of the hosts of *engine*: the first half sends to the second."""
    names = engine.names
    half = len(names) // 2
    return Cluster(SCHEDULER, HostChoice(names[:half]), HostChoice(names[half:]), "pairs", control="127.0.0.1", swap="never")


def study_of(engine):
    """Return a short study on the hosts of *engine*."""
    tree = {
        "study": {"name": "scale", "baseline": "read_send", "variants": ["read_send", "sendfile"], "best_chunk": False},
        "workload": {"file_size": "4MiB", "senders": 1},
        "stop": {"max_time": "2s", "replicates": 1, "min_generations": 2, "window": "50ms"},
    }
    return replace(config.from_tree(tree), cluster=cluster_of(engine))


def windows_of(result):
    return [record for record in result.records if record["kind"] == "window"]


def test_late_and_slow_agents_are_waited_for(tmp_path):
    """A run with agents that join late and answer slowly is whole, every window has every host, and the clocks' offsets are taken off."""
    engine = SimulatedEngine(HOSTS, {"h0003": Fault(join_s=1.0), "h0010": Fault(answer_s=0.02), "h0049": Fault(join_s=0.5, answer_s=0.01)})
    outcome = run(study_of(engine), tmp_path / "r", engine=engine)
    assert outcome.error is None
    summary = outcome.summary
    assert summary["complete"]
    assert len(summary["cluster"]["links"]) == HOSTS // 2
    windows = windows_of(outcome.result)
    assert windows
    for window in windows:
        assert sorted(window["hosts"]) == sorted(engine.names)
        sent, received = (sum(host[key] for host in window["hosts"].values()) for key in ("sent_bytes", "received_bytes"))
        assert sent == received > 0
        assert window["edge_skew_ns"] < 60e9  # the simulated clocks differ by minutes
    (point,) = summary["points"]
    assert {variant["name"]: variant["status"] for variant in point["variants"]} == {"read_send": "ok", "sendfile": "ok"}


def test_an_agent_that_ends_in_a_window_is_named(tmp_path):
    """An agent whose connection breaks in a window ends the run with one line that names its host; what was measured before is kept."""
    engine = SimulatedEngine(HOSTS, {"h0031": Fault(dies_in=12)})
    outcome = run(study_of(engine), tmp_path / "r", engine=engine)
    assert "host h0031" in str(outcome.error)
    assert "\n" not in str(outcome.error)
    assert not Result.load(tmp_path / "r").summary["complete"]
    assert windows_of(outcome.result)


def test_silent_agents_are_named():
    """Agents that do not answer are named, and none of the others; the session cannot be used afterwards."""
    engine = SimulatedEngine(HOSTS, dict.fromkeys(("h0004", "h0044"), Fault(silent_in=0)))
    with closing(engine), closing(Session(engine, engine.names, cluster_of(engine), "127.0.0.1", 60.0)) as session:
        with pytest.raises(HostFailed, match=r"^host h0004, h0044: no answer for 1 s$"):
            session.exchange(dict.fromkeys(engine.names, m.Ping()), m.Pong, 1.0)
        with pytest.raises(HostFailed, match="can no longer be reached, after this: host h0004, h0044: no answer for 1 s"):
            session.ask("h0000", m.Ping(), m.Pong)


def test_agents_that_never_join_are_named(monkeypatch):
    """Agents that have not joined in time are named; those that have are let go."""
    monkeypatch.setattr("zcload.cluster.session.JOIN_S", 3.0)
    engine = SimulatedEngine(HOSTS, dict.fromkeys(("h0000", "h0020"), Fault(join_s=600.0)))
    with closing(engine), pytest.raises(HostFailed, match=r"^host h0000, h0020: no agent has joined within 3 s"):
        Session(engine, engine.names, cluster_of(engine), "127.0.0.1", 60.0)


def test_ending_takes_no_longer_with_more_agents():
    """Agents that do not end when they are told to are given two seconds together, not each."""
    engine = SimulatedEngine(HOSTS)
    with closing(engine):
        session = Session(engine, engine.names, cluster_of(engine), "127.0.0.1", 60.0)
        engine.poll = lambda agent: None
        began = time.monotonic()
        session.close()
        assert time.monotonic() - began < HOSTS / 2


def test_the_limit_of_open_files_is_raised_or_named():
    """The coordinator raises its soft limit of open files for its agents and puts it back; a hard limit that is too low is an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine = SimulatedEngine(HOSTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with closing(engine), closing(Session(engine, engine.names, cluster_of(engine), "127.0.0.1", 60.0)) as session:
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > HOSTS
            assert len(session.exchange(dict.fromkeys(engine.names, m.Ping()), m.Pong)) == HOSTS
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 64
        with pytest.raises(StudyError, match=r"^10000000 hosts need \d+ open files here, and this user may have \d+: raise the hard limit"):
            Session(engine, ["h"] * 10**7, cluster_of(engine), "127.0.0.1", 60.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
