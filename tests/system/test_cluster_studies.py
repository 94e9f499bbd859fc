"""Kinds of studies between hosts: rates, sweeps and crossovers, on network namespaces of this machine."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from support.namespace_hosts import ROLES, NamespaceHosts, missing

from zcload import config
from zcload.model.cluster import Cluster, HostChoice
from zcload.runner.run import run

pytestmark = [pytest.mark.serial, pytest.mark.slow]

RATES = (500_000_000, 1_000_000_000)


@pytest.fixture(scope="module")
def hosts():
    why = missing()
    if why:
        pytest.skip(why)
    with closing(NamespaceHosts()) as made:
        yield made


def study_on(hosts, pattern, **sections):
    """Return a study of read_send and sendfile on *hosts* with more *sections*."""
    senders, receivers = ROLES[pattern]
    tree = {"study": {"name": "kinds", "baseline": "read_send", "variants": ["read_send", "sendfile"], "best_chunk": False}, **sections}
    cluster = Cluster("tcp://127.0.0.1:1", HostChoice(senders), HostChoice(receivers), pattern, control=hosts.control)
    return replace(config.from_tree(tree), cluster=cluster)


def test_a_sweep_of_rates_keeps_each_of_them(hosts, tmp_path):
    """Every rate of a sweep is a point, all links together send no more than it, and each window says how its senders kept to it."""
    workload = {"file_size": "4MiB", "chunk": "32KiB", "rate": ["500Mbit/s", "1Gbit/s"]}
    study = study_on(hosts, "fan-in", workload=workload, stop={"max_time": "6s", "replicates": 1, "min_generations": 2})
    outcome = run(study, tmp_path / "r", engine=hosts.engine())
    assert outcome.error is None
    points = outcome.summary["points"]
    assert [point["point"]["rate_bps"] for point in points] == list(RATES)
    windows = [record for record in outcome.result.records if record["kind"] == "window" and record["block"] >= 0]
    assert {window["point"] for window in windows} == {0, 1}
    for window in windows:
        span_s = max(host["open_ns"] for host in window["hosts"].values()) / 1e9
        most = RATES[window["point"]] / 8 * (span_s + 0.1)  # a burst on time comes before its bytes are due
        assert 0 < sum(host["received_bytes"] for host in window["hosts"].values()) <= most
        assert window["pacing"]


def test_a_crossover_is_looked_for(hosts, tmp_path):
    """A search between hosts measures values of its axis on them, and its result says what was found or that time was over."""
    crossover = {"sweep": "chunk", "low": "4KiB", "high": "64KiB", "max_time": "6s"}
    study = study_on(hosts, "pairs", workload={"file_size": "4MiB"}, crossover=crossover, stop={"replicates": 1})
    outcome = run(study, tmp_path / "r", engine=hosts.engine())
    assert outcome.error is None
    measured = [point for point in outcome.summary["points"] if point["generations"]]
    assert {4 << 10, 64 << 10} <= {point["point"]["chunk_bytes"] for point in measured}
    assert all(point["point"]["network"] == "hosts" for point in measured)
    assert outcome.summary["crossing"]
