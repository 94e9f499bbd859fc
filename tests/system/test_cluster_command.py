"""`zcload cluster` with a real scheduler and two workers: keys, what `check` finds and its exit codes, and `down`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.dask_cluster import QUIET, DaskCluster, sender_and_receiver

pytestmark = [pytest.mark.serial, pytest.mark.slow]


def zcload(place, *arguments):
    """Run a command in the directory of the keys."""
    return subprocess.run([sys.executable, "-m", "zcload", "cluster", *arguments], cwd=place, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory in which `zcload cluster keys` has written."""
    directory = tmp_path_factory.mktemp("cluster")
    done = zcload(directory, "keys", "--days", "2")
    assert done.returncode == 0, done.stderr
    assert "they expire on 20" in done.stdout
    return directory


@pytest.fixture(scope="module")
def dask(place):
    """A quiet scheduler with a quiet sender and a receiver that is not quiet."""
    with sender_and_receiver(place, place / "zcload-keys") as cluster:
        yield cluster


def test_check_shows_hosts_paths_and_what_disturbs(dask, place):
    """Each host has its versions, clock and device, each pair its round trip and goodput; what disturbs is a caution."""
    done = zcload(place, "check", dask.address, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [(host["name"], host["roles"]) for host in found["hosts"]] == [("rx-1", ["receiver"]), ("tx-1", ["sender"])]
    assert all(abs(host["offset_s"]) < 1 and host["facts"]["nic"]["device"] == "lo" for host in found["hosts"])
    (path,) = found["paths"]
    assert path["link"] == {"sender": "tx-1", "receiver": "rx-1"}
    assert all(value > 0 for value in path["measured"].values())
    assert found["problems"] == []
    assert [text.partition(":")[0] for text in found["cautions"] if text.startswith("worker ")] == ["worker rx-1"]
    assert len({host["facts"]["machine"] for host in found["hosts"]}) == 1
    told = [f"rx-1: {text}" for text in found["hosts"][0]["facts"]["cautions"]]  # the second host is on the same machine
    assert [text for text in found["cautions"] if not text.startswith("worker ")] == told
    shown = zcload(place, "check", dask.address, "--strict")
    assert shown.returncode == 3
    assert "A study can run here; its result may be disturbed." in shown.stdout
    assert "tx-1 -> rx-1" in shown.stdout


def test_check_says_what_is_missing(dask, place):
    """A role that nobody has, a name that no worker has and a network that no host has are problems, and exit code 1."""
    for wanted, says in (
        ("cluster.receivers=storage=1", "1 hosts with the role 'storage' are wanted, and 0 of 2 have it"),
        ("cluster.senders=tx-9", "no host is called 'tx-9'; there are: rx-1, tx-1"),
        ("cluster.address=203.0.113.0/24", "'203.0.113.0/24' picks none of the addresses"),
    ):
        done = zcload(place, "check", dask.address, "--set", wanted)
        assert done.returncode == 1, done.stderr
        assert f"{says}" in done.stdout


def test_check_refuses_a_config_without_a_cluster(place):
    """A config that runs on one machine is an error that says what to give instead."""
    done = zcload(place, "check", "smoke")
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
