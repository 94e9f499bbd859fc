"""The engine on a real Dask scheduler with two workers on loopback, over TLS: where agents run, how they end, and what is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from support.dask_cluster import QUIET, DaskCluster, sender_and_receiver, with_zcload

from zcload.cluster import keys
from zcload.cluster.dask_client import connect
from zcload.cluster.dask_engine import DaskEngine
from zcload.cluster.engine import AgentEnd
from zcload.errors import ConfigError, StudyError
from zcload.model.cluster import Cluster

pytestmark = [pytest.mark.serial, pytest.mark.slow]
SLEEP = ["-c", "import time; time.sleep(300)"]
WITHIN_S = 10


def cluster_of(dask, directory, **changed):
    files = {"ca": "ca.pem", "certificate": "cert.pem", "key": "key.pem"}
    return Cluster(dask.address, **{name: str(directory / file) for name, file in files.items()} | changed)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The directory of the keys and logs."""
    directory = tmp_path_factory.mktemp("dask")
    keys.make_keys(directory / "keys", days=1)
    keys.make_keys(directory / "others", days=1)
    keys.make_keys(directory / "expired", days=-1)
    return directory


@pytest.fixture(scope="module")
def dask(place):
    """A quiet scheduler over TLS with a quiet worker and one that is not."""
    with sender_and_receiver(place, place / "keys") as cluster:
        yield cluster


@pytest.fixture
def engine(dask, place):
    """An engine that is attached to it."""
    attached = DaskEngine.attach(cluster_of(dask, place / "keys"))
    yield attached
    attached.close()


def ended(engine, agent):
    """Wait for the end of *agent*."""
    deadline = time.monotonic() + 60
    while (end := engine.poll(agent)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return end


def children(pid):
    """Return the children of *pid*."""
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


def wait_until(fact, within_s=WITHIN_S):
    """Wait until *fact* holds, at most *within_s*."""
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_hosts_are_the_workers_with_their_roles_and_versions(engine):
    """The engine lists each worker by its name, with its resources and the versions that are installed there."""
    found = engine.hosts()
    assert [(host.name, host.address, host.resources) for host in found] == [
        ("rx-1", "127.0.0.1", {"receiver"}),
        ("tx-1", "127.0.0.1", {"sender"}),
    ]
    assert all(host.zcload_version and host.python_version for host in found)


def test_a_process_that_is_not_quiet_is_named(engine):
    """The worker that was started without the preload is not quiet, and the only one; the connection is encrypted."""
    facts = engine.facts()
    assert (facts.quiet, facts.encrypted) == (False, True)
    (told,) = facts.noisy
    assert told.startswith("worker rx-1: ")
    assert told.endswith("(start it with --preload zcload.cluster.quiet)")


def test_an_agent_is_a_child_of_the_worker_that_was_asked(engine):
    """The agent runs below the worker of its host, with the given environment; its status and its last words come back."""
    say = "import os, sys; print(os.getppid(), os.environ['WORD'], file=sys.stderr); sys.exit(3)"
    pids = engine.pids()
    for host in ("tx-1", "rx-1"):
        assert ended(engine, engine.start_agent(host, ["-c", say], {"WORD": "secret"}, 60)) == AgentEnd(3, f"{pids[host]} secret")


def test_an_agent_is_killed_after_its_deadline(engine):
    """An agent that runs longer than its deadline is killed, and the end says why."""
    end = ended(engine, engine.start_agent("tx-1", SLEEP, {}, 0.3))
    assert end.status == -9
    assert "killed after its deadline" in end.stderr


def test_stop_ends_the_subprocess(engine):
    """A stopped agent is gone with its own children, its worker free for the next; stopping twice is harmless."""
    pid = engine.pids()["tx-1"]
    shell = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(300)'])"
    agent = engine.start_agent("tx-1", ["-c", shell], {}, 300)
    wait_until(lambda: any(child.children() for child in children(pid)))
    below = [child.children()[0] for child in children(pid)]
    engine.stop(agent)
    engine.stop(agent)
    wait_until(lambda: not children(pid) and not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in below))
    assert engine.poll(agent) == AgentEnd(None)
    assert ended(engine, engine.start_agent("tx-1", ["-c", ""], {}, 60)).status == 0


def test_agents_end_with_the_coordinator(dask, place, engine):
    """A coordinator that is killed leaves no agent behind."""
    pid = engine.pids()["tx-1"]
    files = [str(place / "keys" / name) for name in ("ca.pem", "cert.pem", "key.pem")]
    start = (
        "import time\n"
        "from zcload.cluster.dask_engine import DaskEngine\n"
        "from zcload.model.cluster import Cluster\n"
        "ca, certificate, key = " + repr(files) + "\n"
        f"engine = DaskEngine.attach(Cluster({dask.address!r}, ca=ca, certificate=certificate, key=key))\n"
        f"engine.start_agent('tx-1', {SLEEP!r}, {{}}, 300)\n"
        "time.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", start]) as coordinator:
        try:
            wait_until(lambda: children(pid), 60)
        finally:
            coordinator.kill()
    wait_until(lambda: not children(pid))


def test_a_name_that_no_worker_has_is_an_error_at_once(engine):
    """An agent for an unknown worker is refused: Dask itself would wait for such a worker for ever."""
    with pytest.raises(StudyError, match=r"host tx-9: no worker of this name is attached to tls://127\.0\.0\.1"):
        engine.start_agent("tx-9", SLEEP, {}, 60)


@pytest.mark.parametrize(("version", "says"), [(None, "has no zcload"), ("0.0.1", r"has zcload 0\.0\.1, and this host ")])
def test_a_host_with_another_zcload_is_named(version, says, dask, place):
    """A worker whose Python has another zcload, or none, is listed as such, and an agent for it is refused by the host's name."""
    dask.start_worker("old", "--resources", "sender=1", PYTHONPATH=str(with_zcload(version, place / f"zcload-{version}")))
    engine = DaskEngine.attach(cluster_of(dask, place / "keys"))
    try:
        assert {host.name: host.zcload_version for host in engine.hosts()}["old"] == version
        with pytest.raises(StudyError, match=f"host old: the Python of its worker {says}.*: install the same zcload"):
            engine.start_agent("old", SLEEP, {}, 60)
    finally:
        engine.close()
        dask.kill("old")


@pytest.mark.parametrize(
    ("directory", "says"),
    [
        ("others", "its certificate is refused here"),
        ("expired", "its certificate is refused here"),
    ],
)
def test_a_certificate_of_another_ca_is_told(directory, says, dask, place):
    """With the files of another CA the scheduler is not trusted, and the error says so before Dask is asked."""
    with pytest.raises(StudyError, match=f"scheduler tls://127.0.0.1:[0-9]+: {says}"):
        connect(cluster_of(dask, place / directory))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ("others", r"it refuses .*cert\.pem: another CA signed it \(take ca\.pem, cert\.pem and key\.pem from one `zcload cluster keys`\)"),
        ("expired", r"it refuses .*cert\.pem"),
    ],
)
def test_a_certificate_that_the_scheduler_refuses_is_told(files, says, dask, place):
    """A client that trusts the scheduler but has another certificate hears that the scheduler refuses it."""
    mixed = cluster_of(dask, place / files, ca=str(place / "keys" / "ca.pem"))
    with pytest.raises(StudyError, match=says):
        connect(mixed)


def test_an_expired_certificate_is_told(place):
    """Of a cluster whose certificates are all out of date, the error says that and what to do."""
    cluster = DaskCluster(place, place / "expired")
    try:
        cluster.start_scheduler()
        with pytest.raises(StudyError, match=r"certificate has expired \(`zcload cluster keys` makes new ones"):
            connect(cluster_of(cluster, place / "expired"))
    finally:
        cluster.close()


def test_a_scheduler_that_is_not_there_is_told(dask, place):
    """A port where nothing listens is an error that names the scheduler and the cause; without TLS nothing is even tried."""
    with pytest.raises(StudyError, match=r"scheduler tls://127\.0\.0\.1:1: cannot connect: connection refused"):
        connect(replace(cluster_of(dask, place / "keys"), scheduler="tls://127.0.0.1:1"))
    with pytest.raises(ConfigError, match="is not encrypted"):
        connect(Cluster("tcp://10.255.255.1:8786"))


def test_a_lost_worker_is_named(dask, engine):
    """The death of the worker of an agent is an error that names the host."""
    dask.start_worker("tx-2", "--resources", "sender=1", *QUIET)
    agent = engine.start_agent("tx-2", SLEEP, {}, 300)
    pid = engine.pids()["tx-2"]
    wait_until(lambda: children(pid))
    dask.kill("tx-2")
    with pytest.raises(StudyError, match="host tx-2: its Dask worker has gone"):
        ended(engine, agent)


def test_a_lost_scheduler_is_named_and_its_agents_end(place):
    """When the scheduler dies, the engine names it by its address, and the workers end their agents."""
    cluster = DaskCluster(place / "keys")
    try:
        cluster.start_scheduler(*QUIET)
        cluster.start_worker("tx-1", *QUIET)
        engine = DaskEngine.attach(Cluster(cluster.address))
        agent = engine.start_agent("tx-1", SLEEP, {}, 300)
        pid = engine.pids()["tx-1"]
        wait_until(lambda: children(pid))
        (child,) = children(pid)
        cluster.kill("scheduler")
        with pytest.raises(StudyError, match=r"scheduler tcp://127\.0\.0\.1:[0-9]+ has gone"):
            ended(engine, agent)
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
        engine.close()
    finally:
        cluster.close()
