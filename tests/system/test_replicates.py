"""Replicates: fresh processes that measure one after another, and what becomes of a run when one of them ends early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from support.command_line import run_of
from support.paths import ROOT

from zcload.store.reader import Result

CONFIG = """
[study]
name = "replicates"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "8MiB"
chunk = "64KiB"
placement = "free"
[stop]
target = "0.01%"
replicates = 3
min_generations = 3
"""

pytestmark = pytest.mark.serial


def start(tmp_path, *more):
    (tmp_path / "c.toml").write_text(CONFIG)
    command = run_of("c.toml", "r", *more)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def records(tmp_path, kind):
    path = tmp_path / "r" / "windows.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [record for line in lines if line.endswith("\n") and (record := json.loads(line))["kind"] == kind]


def wait_for_windows(tmp_path, count):
    deadline = time.monotonic() + 60
    while len(records(tmp_path, "window")) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_each_replicate_is_a_process_of_its_own(tmp_path):
    """A run has at least the replicates that were asked for, each measures generations of its own, and the interval is over them."""
    run = start(tmp_path, "--max-time", "5s")
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    generations = records(tmp_path, "generation")
    replicates = [record["replicate"] for record in generations]
    assert replicates == sorted(replicates)
    assert set(replicates) == set(range(max(replicates) + 1))
    summary = Result.load(tmp_path / "r").summary
    (point,) = summary["points"]
    assert point["replicates"] == len(set(replicates)) >= 2
    assert point["generations"] == len(generations)
    assert len({record["seed"] for record in records(tmp_path, "header")}) == 1
    assert summary["complete"]


def test_one_replicate_measures_in_the_process_of_the_run(tmp_path):
    """With --replicates 1 nothing is started afresh: generations have no replicate, and the summary says so with null."""
    run = start(tmp_path, "--max-time", "1s", "--replicates", "1")
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    assert {record["replicate"] for record in records(tmp_path, "generation")} == {None}
    assert Result.load(tmp_path / "r").summary["points"][0]["replicates"] is None


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
def test_a_replicate_that_is_killed_ends_the_run(tmp_path, signum):
    """When the measuring process is killed the run ends with one line that names it, exit code 1, and a readable partial result."""
    run = start(tmp_path, "--max-time", "60s")
    try:
        wait_for_windows(tmp_path, 8)
        (measuring,) = psutil.Process(run.pid).children()
        workers = measuring.children(recursive=True)
        measuring.send_signal(signum)
        _, errors = run.communicate(timeout=300)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 1
    assert f"(pid {measuring.pid}) killed by {signum.name}" in errors
    assert "Traceback" not in errors
    assert not Result.load(tmp_path / "r").summary["complete"]
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive


@pytest.mark.slow
def test_a_run_is_resumed_with_further_replicates(tmp_path):
    """A run that was interrupted is resumed with replicates whose numbers follow those it had, and keeps their windows."""
    run = start(tmp_path, "--max-time", "6s")
    try:
        wait_for_windows(tmp_path, 12)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=300)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 130
    had, windows = records(tmp_path, "generation"), records(tmp_path, "window")
    (tmp_path / "c.toml").unlink()
    command = [sys.executable, "-m", "zcload", "run", "--no-wait", "--resume", "r", "--no-html", "--no-progress"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    replicates = [record["replicate"] for record in records(tmp_path, "generation")]
    assert replicates[: len(had)] == [record["replicate"] for record in had]
    assert min(replicates[len(had) :]) == 1 + max(record["replicate"] for record in had)
    assert records(tmp_path, "window")[: len(windows)] == windows
    assert Result.load(tmp_path / "r").summary["complete"]
