"""A run that goes on for long: memory, descriptors, sockets and processes stay what they were, and so does what is measured."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from support.paths import ROOT
from support.processes import wait_until

from zcload.store.reader import each_record

STUDY = """
[study]
name = "soak"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "4MiB"
placement = "free"
rate = "100MB/s"
chunk = "64KiB"
[stop]
max_time = "{seconds}s"
target = "0.01%"
replicates = {replicates}
min_generations = 2
window = "20ms"
"""
LOOK_S = 0.25
WARM_UP = 0.4  # of the run: what Python and the C library keep for later has grown by then
GROWTH_BYTES = 1 << 20  # of the run's own process after that: 0.15 MB a generation would be several
LEAST_COMPARED_S = 600  # of a run whose ratios are compared: in a shorter one whatever runs beside it decides about a third
LONG = [pytest.mark.nightly, pytest.mark.timeout(7200)]


def looked_at(process):
    """Return memory (bytes), descriptors and sockets of the run's own process, and how many processes are below it."""
    with process.oneshot():
        return process.memory_info().rss, process.num_fds(), len(process.net_connections("all")), len(process.children(recursive=True))


def last_bytes(path):
    """Return the end of a file that grows for hours: reading all of it at every look would be a load of its own."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 300))
        return file.read()


def ratios(path):
    """Return the CPU time per byte of sendfile to read_send in each generation, in order: what beside it costs both alike cancels."""
    sums = defaultdict(lambda: [0.0, 0.0])
    for record in each_record(path):
        if record["kind"] == "window" and record["purpose"] == "measure":
            both = sums[record["generation"], record["lane"]]
            for role in ("senders", "receivers"):
                both[0] += sum(after[0] - before[0] for before, after in record[role])
            both[1] += sum(after[1] - before[1] for before, after in record["receivers"])
    costs = {key: ns / moved for key, (ns, moved) in sums.items() if moved}
    generations = sorted({generation for generation, _ in costs})
    pairs = [(costs.get((each, "sendfile")), costs.get((each, "read_send"))) for each in generations]
    return [ours / usual for ours, usual in pairs if ours and usual]


def interval(values):
    """Return the 99.9 % interval of the mean of many *values*: of a hundred such comparisons one in hundreds misses by chance."""
    half = 3.3 * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def check_one(replicates, seconds, tmp_path):
    """Run the study in *tmp_path* and look at its process all the time."""
    (tmp_path / "study.toml").write_text(STUDY.format(seconds=seconds, replicates=replicates))
    command = [sys.executable, "-P", "-m", "zcload", "run", "study.toml", "--out", "r", "--no-wait", "--no-progress", "--no-html"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    windows, seen = tmp_path / "r" / "windows.jsonl", []
    try:
        own = psutil.Process(process.pid)
        while process.poll() is None:
            if windows.exists() and b'"kind":"end"' not in last_bytes(windows):
                seen.append(looked_at(own))
            wait_until(lambda: process.poll() is not None, LOOK_S)
    except psutil.NoSuchProcess:
        pass  # it ended between two looks
    finally:
        if sys.exc_info()[0]:
            process.kill()
        _, err = process.communicate()
    assert process.returncode == 0, err
    later = seen[int(WARM_UP * len(seen)) :]
    half = len(later) // 2
    assert half > 5
    for before, after in zip(zip(*later[:half], strict=True), zip(*later[half:], strict=True), strict=True):
        allowed = GROWTH_BYTES if max(before) > 1 << 20 else 0
        usual = sorted(after)[9 * len(after) // 10]  # a look may fall into the start of a replicate, which holds four pipes for a moment
        assert usual <= max(before) + allowed, (max(before), after)
    each = ratios(windows) if seconds >= LEAST_COMPARED_S else []
    third = len(each) // 3
    if third >= 5:
        (low, high), (last_low, last_high) = interval(each[:third]), interval(each[-third:])
        assert low <= last_high, ((low, high), (last_low, last_high))
        assert last_low <= high, ((low, high), (last_low, last_high))


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("runs", [{1: 25, 2: 20}, pytest.param({1: 3600}, marks=LONG), pytest.param({2: 3600}, marks=LONG)], ids=str)
def test_nothing_grows(runs, tmp_path):
    """After the first part of a run its process neither grows by a megabyte nor holds more descriptors, sockets or processes."""
    # By replicates. Short runs take place side by side: they keep to a rate, and of them no cost is compared.
    for replicates in runs:
        (tmp_path / str(replicates)).mkdir()
    with ThreadPoolExecutor(len(runs)) as pool:
        done = [pool.submit(check_one, replicates, seconds, tmp_path / str(replicates)) for replicates, seconds in runs.items()]
    for each in done:
        each.result()
