"""Runs on three hosts that are network namespaces of this machine: placement, digests, ledgers, and what is refused."""

from __future__ import annotations

import psutil
import pytest
from support.namespace_hosts import NamespaceHosts, missing

from zcload.errors import ConfigError
from zcload.report import renderer
from zcload.report.formats import brief
from zcload.runner.run import run
from zcload.store.reader import Result

pytestmark = [pytest.mark.serial, pytest.mark.slow]


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
    assert "Each host that sends" in full
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
