"""A run whose agents a real Dask scheduler places on workers in three network namespaces."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.namespace_hosts import NAMES, NamespaceHosts, missing

from zcload.runner.run import run

pytestmark = [pytest.mark.serial, pytest.mark.slow]
DASK = Path(sys.executable).with_name("dask")
QUIET = ("--no-dashboard", "--preload", "zcload.cluster.quiet")
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
    folder, address = tmp_path_factory.mktemp("dask"), f"tcp://{hosts.control}:{PORT}"
    commands = {"scheduler": [DASK, "scheduler", "--host", hosts.control, "--port", str(PORT), "--no-show", *QUIET]}
    for name in NAMES:
        worker = [DASK, "worker", address, "--name", name, "--host", hosts.address(name), "--nthreads", "1", "--no-nanny", *QUIET]
        commands[name] = ["ip", "netns", "exec", hosts.namespace(name), *worker]
    running = []
    try:
        for name, command in commands.items():
            with open(folder / name, "wb") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))
            deadline = time.monotonic() + 90
            while not any(said in (folder / name).read_text() for said in ("Scheduler at:", "Registered to:")):
                assert running[-1].poll() is None, (folder / name).read_text()
                assert time.monotonic() < deadline, (folder / name).read_text()
                time.sleep(0.05)
        yield address
    finally:
        for process in running:
            process.kill()
            process.wait()


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
