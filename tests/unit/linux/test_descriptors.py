"""How many files may be open: the soft limit is raised for as long as a run needs it, the hard one is respected and told."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from support.paths import ROOT

from zcload.linux.descriptors import room_for_files
from zcload.model.study import Point, Study, Variant
from zcload.runner.needs import open_files


@pytest.fixture
def limit():
    """Put the soft limit to 200 for the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    yield lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_and_given_back(limit):
    """Within the block there is room for what is needed, after it the user's own limit is back, also when the block fails."""
    within = []

    def fail():
        with room_for_files(300):
            within.append(limit())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (within, limit()) == ([300], 200)


def test_a_sufficient_limit_is_left_alone(limit):
    """Nobody's limit is lowered."""
    with room_for_files(100):
        assert limit() == 200


def test_a_study_counts_what_its_lanes_hold():
    """Descriptors grow with senders, receivers and the lanes that run at once."""

    def needed(senders, variants=2):
        names = ["read_send", "sendfile", "splice", "mmap_send"][:variants]
        points = (Point(senders=senders, receivers="per-sender"),)
        return open_files(Study("s", "read_send", tuple(Variant(name, name) for name in names), points, best_chunk=False))

    assert needed(101) - needed(100) == 3 * 5 + 2  # two variants and the idle loop: three lanes
    assert needed(100, variants=3) - needed(100) == 500


@pytest.mark.slow
@pytest.mark.parametrize(("limits", "code", "words"), [("-Sn 200", 0, ""), ("-n 200", 2, "200 are allowed")])
def test_a_run_needs_no_higher_limit_than_the_hard_one(tmp_path, limits, code, words):
    """A soft limit that is too low is raised for the run; a hard one is told before anything is measured."""
    command = f"ulimit {limits} && exec {sys.executable} -m zcload run {ROOT}/configs/smoke.toml --no-wait --max-time 1s --out r"
    command += " --no-progress --replicates 1 --set workload.senders=40 --set workload.file_size=16MiB --set study.best_chunk=false"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert (tmp_path / "r").exists() == (code == 0)
