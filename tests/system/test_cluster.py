"""Runs on three hosts that are network namespaces of this machine: placement, digests, ledgers, and faults that name their host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from support.namespace_hosts import NamespaceHosts, missing

from zcload.cluster.local import LocalEngine
from zcload.errors import ConfigError
from zcload.report import renderer
from zcload.report.formats import brief
from zcload.runner.run import run
from zcload.store.reader import Result

pytestmark = [pytest.mark.serial, pytest.mark.slow]

GONE_S = 10.0  # within which every process on every host has ended


@pytest.fixture(scope="module")
def hosts():
    why = missing()
    if why:
        pytest.skip(why)
    made = NamespaceHosts()
    yield made
    made.close()


def agents() -> list[psutil.Process]:
    """Return the agents that this process has started, and their workers."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module", params=["pairs", "fan-in", "fan-out", "mesh"])
def measured(request, hosts, tmp_path_factory):
    """Return the pattern, and the result of a run with it."""
    directory = tmp_path_factory.mktemp("cluster") / "result"
    outcome = run(hosts.study(request.param, "sendfile"), directory, engine=hosts.engine())
    assert outcome.error is None
    return request.param, outcome.result


LINKS = {"pairs": 1, "fan-in": 2, "fan-out": 2, "mesh": 6}


def test_every_pattern_measures_what_it_says(measured):
    """A run has the links of its pattern, every connection of them was verified, and no process is left."""
    pattern, result = measured
    summary = result.summary
    assert summary["complete"]
    assert len(summary["cluster"]["links"]) == LINKS[pattern]
    (point,) = summary["points"]
    assert point["point"]["senders"] == LINKS[pattern]
    assert [(v["name"], v["status"], v["verified"]) for v in point["variants"]] == [("read_send", "ok", True), ("sendfile", "ok", True)]
    assert len({v["digest"] for v in point["variants"]}) == 1
    assert agents() == []


def test_ledgers_of_hosts_and_links_add_up(measured):
    """In every window the hosts' and the links' bytes and CPU time are those of the lane's processes, sent equals received."""
    _, result = measured
    links, windows = {}, 0
    for record in result.records:
        if record["kind"] == "generation":
            links[record["generation"]] = record["links"]
        if record["kind"] != "window":
            continue
        windows += 1
        hosts = record["hosts"].values()
        for role, moved, used in (("senders", "sent_bytes", "senders_ns"), ("receivers", "received_bytes", "receivers_ns")):
            assert sum(host[moved] for host in hosts) == sum(b[1] - a[1] for a, b in record[role])
            assert sum(host[used] for host in hosts) == sum(b[0] - a[0] for a, b in record[role])
        for link in links[record["generation"]]:
            sent, received = (sum(record[role][i][1][1] - record[role][i][0][1] for i in link[role]) for role in ("senders", "receivers"))
            assert sent == received > 0
        assert record["last_byte_ns"] > record["open_ns"]
        assert 0 <= record["edge_skew_ns"] < 1e9
    assert windows > 4


def test_reports_show_the_hosts(measured):
    """The short report names the links, the full one has a ledger of each host, and both what agents and engine used in windows."""
    pattern, result = measured
    for said in (brief.render([result]), renderer("table")([result])):
        assert "in windows agents used" in " ".join(said.split())
    full = renderer("table")([result])
    assert f"{len(result.summary['cluster']['hosts'])} hosts on 1 machine, {pattern} " in " ".join(full.split())
    assert "Each host in windows" in full
    assert "Each link in windows" in full or pattern == "pairs"


def test_a_stored_run_is_read_and_resumed(hosts, tmp_path):
    """A run on hosts is read back as it was stored, and measured further by --resume's code with fresh agents."""
    study = hosts.study("pairs", "sendfile", replicates=2)
    first = run(study, tmp_path / "r", engine=hosts.engine())
    assert first.error is None
    longer = hosts.study("pairs", "sendfile", replicates=2, max_time="4s")
    second = run(longer, tmp_path / "r", engine=hosts.engine(), resume=True)
    assert second.error is None
    before, after = first.summary["points"][0], second.summary["points"][0]
    assert after["generations"] > before["generations"]
    assert Result.load(tmp_path / "r").summary["cluster"] == first.summary["cluster"]


# Faults.


class Saboteur(threading.Thread):
    """Does *harm* once windows are being measured."""

    def __init__(self, directory: Path, harm) -> None:
        super().__init__(daemon=True)
        self.directory, self.harm = directory, harm

    def run(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.02)
            try:
                text = (self.directory / "windows.jsonl").read_text()
            except OSError:
                continue
            if text.count('"kind":"window"') > 3:
                self.harm()
                return


def agent_of(host: str) -> psutil.Process:
    """Return the agent of *host*."""
    for child in psutil.Process().children():
        line = child.cmdline()
        if "_agent" in line and line[line.index("--host") + 1] == host:
            return child
    raise AssertionError(f"no agent of host {host}")


def kill_agent() -> None:
    agent_of("b").kill()


def kill_worker() -> None:
    agent_of("a").children()[0].kill()


def wait_until_gone() -> float:
    """Wait until no process of the run is left; return how long that took (seconds)."""
    began = time.monotonic()
    while agents() and time.monotonic() - began < 2 * GONE_S:
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("harm", "says"),
    [(kill_agent, "host b: the agent killed by SIGKILL"), (kill_worker, "host a: lane ")],
    ids=["agent", "worker"],
)
def test_a_killed_process_is_named_with_its_host(hosts, tmp_path, harm, says):
    """An agent or a worker that is killed gives one line with its host; the partial result is readable and nothing is left."""
    directory = tmp_path / "r"
    Saboteur(directory, harm).start()
    outcome = run(hosts.study("pairs", max_time="20s", min_generations=20), directory, engine=hosts.engine())
    assert str(outcome.error).startswith(says) or says in str(outcome.error)
    assert "\n" not in str(outcome.error)
    assert not Result.load(directory).summary["complete"]
    assert wait_until_gone() < GONE_S


def test_a_host_that_is_cut_off_is_named(hosts, tmp_path):
    """A link that goes down in a window ends the run with one line that names the host, and all processes on it within ten seconds."""
    directory = tmp_path / "r"
    cut: list[float] = []

    def harm() -> None:
        hosts.cut_off("b")
        cut.append(time.monotonic())

    Saboteur(directory, harm).start()
    try:
        outcome = run(hosts.study("pairs", max_time="30s", min_generations=30), directory, engine=hosts.engine())
        assert "host b" in str(outcome.error) or "host a" in str(outcome.error)
        assert "\n" not in str(outcome.error)
        wait_until_gone()
        assert time.monotonic() - cut[0] < 2 * GONE_S
    finally:
        hosts.join_again("b")
    assert not Result.load(directory).summary["complete"]


def test_another_version_is_named_with_its_host(hosts, tmp_path):
    """An agent of another version is refused by name and version, before anything is measured."""

    class Older(LocalEngine):
        def start_agent(self, host, arguments, environment, deadline_s):
            if host == "b":
                code = (
                    "import sys; import zcload; zcload.__version__ = '0.0.1'; from zcload.main import main; sys.argv[0] = 'zcload'; main()"
                )
                arguments = ["-c", code, *arguments[2:]]
            return super().start_agent(host, arguments, environment, deadline_s)

    engine = Older(list(hosts.engine()._hosts.values()))
    with pytest.raises(Exception, match=r"host b: zcload 0\.0\.1 there, .* here") as refused:
        run(hosts.study("pairs"), tmp_path / "r", engine=engine)
    assert "\n" not in str(refused.value)
    assert wait_until_gone() < GONE_S
    assert not (tmp_path / "r").exists()


def test_a_coordinator_that_is_killed_leaves_nothing(hosts, tmp_path):
    """When the coordinator is killed every agent and worker ends within ten seconds, and what was measured can be read."""
    directory = tmp_path / "r"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "import support.namespace_hosts as n; from zcload.runner.run import run; from unittest.mock import patch\n"
        "made = object.__new__(n.NamespaceHosts); made.prefix, made.subnet, made.control = sys.argv[2:5]\n"
        "run(made.study('pairs', max_time='30s', min_generations=30), Path(sys.argv[5]), engine=made.engine())\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    coordinator = subprocess.Popen([sys.executable, "-c", code, tests, hosts.prefix, hosts.subnet, hosts.control, str(directory)])
    killed = threading.Event()

    def harm() -> None:
        left.extend(psutil.Process(coordinator.pid).children(recursive=True))
        os.kill(coordinator.pid, signal.SIGKILL)
        killed.set()

    left: list[psutil.Process] = []
    Saboteur(directory, harm).start()
    assert killed.wait(60)
    coordinator.wait()
    assert left
    _, alive = psutil.wait_procs(left, timeout=GONE_S)
    assert alive == []
    assert not Result.load(directory).summary["complete"]


# What is refused.


@pytest.mark.parametrize(
    ("workload", "variants", "says"),
    [
        ({"cache": "cold", "dir": "."}, (), "workload.cache"),
        ({"transfer": "per-file", "transfer_size": "16KiB"}, (), "workload.transfer"),
        ({}, ("ktls_sendfile",), "ktls_sendfile"),
    ],
    ids=["cold", "small-files", "both-ends"],
)
def test_what_does_not_work_across_hosts_is_refused_by_name(hosts, tmp_path, workload, variants, says):
    """A key or a mechanism that needs one machine is refused before an agent is started, with its name and a remedy."""
    with pytest.raises(ConfigError, match=says) as refused:
        run(hosts.study("pairs", *variants, workload=workload), tmp_path / "r", engine=hosts.engine())
    assert all(problem.remedy for problem in refused.value.problems)
    assert agents() == []
