"""Other programs that connect while a run measures: none is counted, none holds anything up, and the report says how many came."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil
import pytest
from support.flood import Flood, listening
from support.paths import ROOT
from support.processes import wait_until

from zcload.store.reader import read_records

STUDY = """
[study]
name = "flooded"
baseline = "sendfile"
variants = ["sendfile", "read_send"]
aa = true
best_chunk = false
[workload]
file_size = "4MiB"
placement = "free"
{workload}
[stop]
max_time = "{seconds}s"
target = "0.1%"
replicates = 1
min_generations = 2
window = "20ms"
"""
KINDS = {
    "fresh": 'transfer = "per-file"\ntransfer_size = "16KiB"\nconnection = "fresh"\narrivals = "poisson"\ntransfer_rate = "200/s"',
    "stream": 'port = {port}\nrate = "50MB/s"\nchunk = "64KiB"',
}
MOST_BYTES = 160 << 20  # of one process
FLOODS = [pytest.param(300, 3), pytest.param(10_000, 60, marks=[pytest.mark.nightly, pytest.mark.timeout(400)])]
pytestmark = [pytest.mark.slow, pytest.mark.serial]


def free_port():
    """Return a port below those that the kernel gives to whoever connects."""
    taken = {each.laddr.port for each in psutil.net_connections("tcp4") if each.laddr}
    return next(port for port in range(20_000 + os.getpid() % 5000, 32_000) if port not in taken)


def start(folder, *arguments, stderr=subprocess.PIPE):
    command = [sys.executable, "-P", "-m", "zcload", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)


def largest(process):
    """Return how much memory the largest process below *process* has, in bytes."""
    sizes = [0]
    for each in (process, *process.children(recursive=True)):
        try:
            sizes.append(each.memory_info().rss)
        except psutil.Error:
            continue
    return max(sizes)


@pytest.mark.parametrize(("most", "seconds"), FLOODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_flooded_run_measures_what_is_its_own(kind, most, seconds, tmp_path):
    """Every byte of every window is the lane's own, memory is bounded, exit code 0, and the caution counts at most those that came."""
    port = free_port()
    (tmp_path / "study.toml").write_text(STUDY.format(seconds=seconds, workload=KINDS[kind].format(port=port)))
    process = start(tmp_path, "run", "study.toml", "--out", "r", "--no-wait", "--no-progress", "--no-html")
    watched, sizes = psutil.Process(process.pid), []
    try:
        ports = (lambda: [port]) if kind == "stream" else (lambda: listening(watched))
        with Flood(ports, most) as flood:
            while process.poll() is None:
                sizes.append(largest(watched))
                wait_until(lambda: process.poll() is not None, 0.5)
        out, err = process.communicate()
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert max(sizes) < MOST_BYTES
    moved = 0
    for record in read_records(tmp_path / "r" / "windows.jsonl"):
        if record["kind"] == "window":
            sent, received = (sum(after[1] - before[1] for before, after in record[role]) for role in ("senders", "receivers"))
            assert sent == received
            moved += received
    assert moved > 0
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    counted = [int(each["message"].split()[0]) for each in summary["cautions"] if each["code"] == "strangers"]
    if kind == "fresh":
        assert flood.total > 50
        assert len(counted) == 1
        assert counted[0] <= flood.total
    assert sum(counted) <= flood.total
    assert "partial" not in out


@pytest.mark.parametrize("most", [pytest.param(300), pytest.param(10_000, marks=pytest.mark.nightly)])
def test_a_flooded_receive_takes_the_transfer_among_them(most, tmp_path):
    """Silent, empty and reset connections end nothing and are no transfer: the file that comes among them is whole and verified."""
    port = free_port()
    (tmp_path / "file").write_bytes(os.urandom(1 << 20))
    with (tmp_path / "stderr").open("w") as told:  # a line for each connection is more than a pipe holds
        receiver = start(tmp_path, "receive", f"127.0.0.1:{port}", "--once", "--json", stderr=told)
    watched = psutil.Process(receiver.pid)
    try:
        assert wait_until(lambda: listening(watched), 60)
        with Flood(lambda: [port], most, kinds=("silent", "closed", "reset")) as flood:
            assert wait_until(lambda: flood.total > most // 2, 60)
            sent = subprocess.run(
                [sys.executable, "-P", "-m", "zcload", "send", "file", f"127.0.0.1:{port}", "--json"],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            size = largest(watched) if receiver.poll() is None else 0
        assert sent.returncode == 0, sent.stderr
        out, _ = receiver.communicate(timeout=300)
    finally:
        receiver.kill()
        receiver.communicate()
    err = (tmp_path / "stderr").read_text()
    assert receiver.returncode == 0, err[-2000:]
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[0])["bytes"] == 1 << 20
    assert size < MOST_BYTES
