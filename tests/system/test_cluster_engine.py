"""A run whose agents a real Dask scheduler places on workers in three network namespaces."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from support.dask_cluster import QUIET, DaskCluster
from support.namespace_hosts import NAMES, NamespaceHosts, missing

from zcload.runner.run import run

pytestmark = [pytest.mark.serial, pytest.mark.slow]
PORT = 8786  # the addresses are the test's own


@pytest.fixture(scope="module")
def hosts():
    why = missing()
    if why:
        pytest.skip(why)
    pytest.importorskip("distributed", reason="distributed is not installed: pip install '.[cluster]'")
    with contextlib.closing(NamespaceHosts()) as made:
        yield made


@pytest.fixture(scope="module")
def scheduler(hosts, tmp_path_factory):
    """Return the address of a scheduler with a worker on each host."""
    with contextlib.closing(DaskCluster(tmp_path_factory.mktemp("dask"), host=hosts.control, port=PORT)) as cluster:
        cluster.start_scheduler(*QUIET)
        for name in NAMES:
            cluster.start_worker(name, *QUIET, host=hosts.address(name), inside=hosts.inside(name))
        yield cluster.address


@pytest.mark.parametrize("pattern", ["pairs", "fan-in"])
def test_a_real_engine_places_the_agents(hosts, scheduler, tmp_path, pattern):
    """Workers named in the config get the agents, the run is whole, and the engine's CPU in windows is in the ledger of each host."""
    study = hosts.study(pattern, "sendfile")
    assert study.cluster is not None
    study = replace(study, cluster=replace(study.cluster, scheduler=scheduler, insecure=True))
    outcome = run(study, tmp_path / "r")
    assert outcome.error is None
    summary = outcome.summary
    assert summary["complete"]
    assert summary["cluster"]["engine"]["name"] == "dask.distributed"
    assert summary["cluster"]["engine"]["quiet"], summary["cluster"]["engine"]["noisy"]
    assert {host["address"] for host in summary["cluster"]["hosts"]} <= {hosts.address(name) for name in NAMES}
    for variant in summary["points"][0]["variants"]:
        assert variant["verified"]
        assert all(host["engine_cores"] < 0.5 for host in variant["hosts"])
