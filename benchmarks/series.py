"""Runs of one study, kept in a folder with what worked beside each, so that a series can be spread over hours and judged anew."""

from __future__ import annotations

import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path

from zcload.analysis.summary import summarise
from zcload.linux.sockets import connected_pair
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import ComparisonRecord, PointSummary
from zcload.store.reader import each_record

CONFIG = """
[study]
name = "{name}"
baseline = "read_send"
variants = [{variants}]
aa = true
best_chunk = false
[stop]
target = "0.1%"
margin = "{margin:g}%"
max_time = "{seconds:g}s"
"""
AA = "read_send#2"  # the baseline's second lane
LABEL = "series.json"  # beside each result: what ran beside it, and what else the benchmark knows of it


def cpu() -> None:
    """Count in a loop."""
    while True:
        sum(range(10_000))


def memory() -> None:
    """Copy 64 MiB to and fro."""
    a, b = bytearray(64 << 20), bytearray(64 << 20)
    while True:
        a[:], b[:] = b, a


def disk() -> None:
    """Write 16 MiB and wait until the disk has it."""
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        while True:
            os.pwrite(file.fileno(), bytes(16 << 20), 0)
            os.fsync(file.fileno())


def network() -> None:
    """Send 64 KiB over loopback and receive them, over and over."""
    with connected_pair() as (sender, receiver):
        buffer = bytearray(64 << 10)
        while True:
            sender.sendall(buffer)
            receiver.recv_into(buffer, 0, socket.MSG_WAITALL)


HOGS: dict[str, Callable[[], None] | None] = {"none": None, "cpu": cpu, "memory": memory, "disk": disk, "network": network}


@contextmanager
def beside(hog: str) -> Iterator[None]:
    """Run the *hog* in a process of its own for the length of the block."""
    body = HOGS[hog]
    if body is None:
        yield
        return
    process = Process(target=body, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def study(name: str, *variants: str, seconds: float, margin: float = 3.0) -> str:
    """Return the config (TOML) of a study of read_send, *variants* and A/A that takes *seconds*; *margin* is in percent."""
    quoted = ", ".join(f'"{variant}"' for variant in ("read_send", *variants))
    return CONFIG.format(name=name, variants=quoted, seconds=seconds, margin=margin)


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept run: *hog* worked beside it, it began at *started* (seconds since 1970) and took *seconds*; *facts* are the benchmark's."""

    result: Path
    hog: str
    started: float
    seconds: float
    facts: Mapping[str, float]

    def point(self) -> PointSummary:
        """Compute the point of the study anew from the stored windows."""
        return summarise(each_record(self.result / "windows.jsonl"))["points"][0]


def keep(config: str, into: Path, hog: str, more: list[str], *, inside: Sequence[str] = (), **facts: float) -> Kept:
    """Run the study *config* (TOML) by the command *inside* with the *hog* beside it, and keep its result in *into*.

    Exits with the run's message when it fails.
    """
    result = into / f"{time.time():.0f}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "series.toml"
        file.write_text(config)
        command = [
            *inside,
            sys.executable,
            "-m",
            "zcload",
            "run",
            str(file),
            "--no-progress",
            "--no-html",
            "--no-wait",
            "--out",
            str(result),
        ]
        command += more
        began = time.time()
        with beside(hog):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    label = {"hog": hog, "started": began, "seconds": time.time() - began}
    (result / LABEL).write_text(json.dumps(label | facts))
    return _kept(result, label | facts)


def kept(into: Path) -> list[Kept]:
    """Return all runs kept in *into*, in order of time."""
    return [_kept(label.parent, json.loads(label.read_text())) for label in sorted(into.glob(f"*/{LABEL}"))]


def _kept(result: Path, label: dict[str, float | str]) -> Kept:
    facts = {key: float(value) for key, value in label.items() if key != "hog"}
    return Kept(result, str(label["hog"]), facts.pop("started"), facts.pop("seconds"), facts)


def both_ends(point: PointSummary, variant: str) -> ComparisonRecord:
    """Return the comparison of both ends' CPU of *variant* with the baseline; exits with a message where the run has no such variant."""
    found = {c["variant"]: c for c in point["comparisons"] if c["metric"] == TOTAL_CPU_S_PER_GB}
    if variant not in found:
        sys.exit(f"a kept run compares {', '.join(found) or 'nothing'}, and not {variant}: name a folder whose runs all do with --into")
    return found[variant]


def holds(comparison: ComparisonRecord, ratio: float) -> bool:
    """Say whether the interval of the *comparison* holds *ratio*; without an interval it does not."""
    low, high = comparison["ratio"]["low"], comparison["ratio"]["high"]
    return low is not None and high is not None and low <= ratio <= high


def half_width(comparison: ComparisonRecord) -> float:
    """Return the half-width of the interval in points of the baseline's cost; infinite without an interval."""
    low, high = comparison["ratio"]["low"], comparison["ratio"]["high"]
    return 50 * (high - low) if low is not None and high is not None else float("inf")


def proportion(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate seen *count* times *of* times (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    z, p = statistics.NormalDist().inv_cdf(0.975), count / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)
