"""`zcload cluster` with a real scheduler and worker: keys, and the end of both."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.dask_cluster import QUIET, DaskCluster

pytestmark = [pytest.mark.serial, pytest.mark.slow]


def zcload(place, *arguments):
    """Run a command in the directory of the keys."""
    return subprocess.run([sys.executable, "-m", "zcload", "cluster", *arguments], cwd=place, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory in which `zcload cluster keys` has written."""
    directory = tmp_path_factory.mktemp("cluster")
    done = zcload(directory, "keys", "--days", "2")
    assert done.returncode == 0, done.stderr
    assert "they expire on 20" in done.stdout
    return directory


def test_a_config_without_a_cluster_is_refused(place):
    """A config that runs on one machine is an error that says what to give instead."""
    done = zcload(place, "down", "smoke")
    assert done.returncode == 2
    assert "has no section [cluster] (give the address of the scheduler instead" in done.stderr


def test_down_ends_the_scheduler_and_its_workers(place):
    """After `down` neither scheduler nor worker is left, and a second `down` says that there is nobody."""
    cluster = DaskCluster(place, place / "zcload-keys")
    try:
        cluster.start_scheduler(*QUIET)
        cluster.start_worker("w", *QUIET)
        done = zcload(place, "down", cluster.address)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{cluster.address}: ended the scheduler and 1 worker\n"
        for process in cluster.processes.values():
            process.wait(30)
        again = zcload(place, "down", cluster.address)
        assert (again.returncode, "cannot connect" in again.stderr) == (1, True)
    finally:
        cluster.close()
