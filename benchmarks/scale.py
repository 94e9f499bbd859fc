"""How do time and memory grow with the size of a study? Each part prints a table; a cliff is a row that breaks the pattern.

    python benchmarks/scale.py windows 25000 50000 100000   # a made-up result is reported: windows.jsonl without a summary
    python benchmarks/scale.py points 1 10 100 1000         # the same with so many points of 192 windows, and its page
    python benchmarks/scale.py history 10000                # so many results are listed: first with an empty index, then again
    python benchmarks/scale.py senders 1 2 8 32 128 512     # a study of 2 s with so many senders in a lane
    python benchmarks/scale.py lanes 1 2 4 8 16             # ... with so many lanes, 8 s with 16
    python benchmarks/scale.py files 4KiB 1MiB 1GiB 16GiB   # ... of a sparse file of that size

Each command runs in a process of its own. Memory is the most that one process had; a long result has two.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import Summary
from zcload.model.units import parse_size

LANES = ("read_send", "sendfile", "splice", "read_send@64KiB")
BLOCKS, POINTS = 8, 4
WINDOWS_A_POINT = len(LANES) * BLOCKS * 6
SMALL = Path(__file__).parents[1] / "tests" / "data" / "first-release"
PAIR = ["read_send", "sendfile", "--set", "study.best_chunk=false", "--replicates", "1", "--time", "2s"]
PLACE = {
    "chunk_bytes": 262144,
    "file_bytes": 268435456,
    "senders": 1,
    "receivers": 1,
    "rate_bps": None,
    "receive_chunk_bytes": 262144,
    "sink": "recv",
    "placement": "spread",
    "cache": "warm",
    "transfer": "stream",
    "network": "loopback",
    "address": "127.0.0.1",
    "socket_buffer_bytes": 1048576,
    "congestion": "cubic",
    "file": "auto",
    "dir": "auto",
}
WORKER = {"bytes": 10**9, "user_s": 0.1, "system_s": 0.4, "voluntary": 90, "involuntary": 4, "minor_faults": 0, "major_faults": 0}


def make(directory: Path, windows: int, points: int = POINTS) -> int:
    """Write a windows.jsonl of so many *windows* or a few more, whole generations of all points; return how many."""
    rng = random.Random(1)
    lanes = [
        {
            "name": n,
            "mechanism": n.partition("@")[0],
            "sink": "recv",
            "chunk_bytes": 262144,
            "options": {},
            "aa": False,
            "moves_payload": True,
        }
        for n in LANES
    ]
    environment = {
        "kernel_release": "6.1.0",
        "cpu_model": "made up",
        "cpus_allowed": [0, 1],
        "scheduler_hz": 250,
        "irq_time_accounting": "no",
    }
    header = {
        "kind": "header",
        "schema": "zcload.windows/1",
        "name": "scale",
        "zcload_version": "0.0.0",
        "started": "2026-01-02T03:04:05Z",
        "seed": 1,
        "schedule": "alternate",
        "baseline": "read_send",
        "stop": {"target": 0.03, "margin": 0.03, "max_time_s": 1e5},
        "config": {},
        "cautions": [],
        "environment": {**environment, "virtualisation": None},
        "points": [{"name": f"point={n}", "point": PLACE, "lanes": lanes} for n in range(points)],
    }
    clock = 10**12
    with (directory / "windows.jsonl").open("w", encoding="utf-8") as file:

        def write(kind: str, **more: object) -> None:
            file.write(json.dumps({"kind": kind, **more}, separators=(",", ":")) + "\n")

        file.write(json.dumps(header) + "\n")
        generations = math.ceil(windows / (len(LANES) * BLOCKS * points))
        for generation in range(generations):
            for point in range(points):
                counters = {name: [0, 0, 0, 0, 0] for name in LANES}
                label = {"point": point, "generation": generation, "purpose": "measure"}
                luck = {name: rng.gauss(0.0, 0.06) for name in LANES}
                write("generation", **label, replicate=generation, cached=1.0, cpus=[[0], [1]], groups=[list(LANES)], file_huge_share=1.0)
                sample = {"orders": 1, **WORKER, "senders": {"cpu_ns": 10**9, **WORKER}, "receivers": {"cpu_ns": 10**9, **WORKER}}
                for block in range(BLOCKS):
                    for name in LANES:
                        before = list(counters[name])
                        counters[name] = after = [v + d for v, d in zip(before, (25_000_000, 10**8, 400, 400, 400), strict=True)]
                        after[0] += round(25_000_000 * (math.exp(luck[name] + rng.gauss(0.0, 0.03)) - 1))
                        write(
                            "window",
                            **label,
                            block=block,
                            attempt=0,
                            group=0,
                            lane=name,
                            order=1,
                            observer_cpu_ns=20_000,
                            open_ns=clock,
                            close_ns=clock + 40_000_000,
                            last_byte_ns=clock + 40_500_000,
                            rest_ns=clock + 41_000_000,
                            senders=[[before, after]],
                            receivers=[[before, after]],
                            machine=[[clock, 0, 0, 0, 2], [clock + 41_000_000, 4, 0, 0, 2]],
                        )
                        clock += 45_000_000
                    write("block", **label, block=block, attempt=0, fate="counted", foreign_share=0.0, steal_share=0.0, limit=0.07)
                    write("sample", **label, t_ns=clock, lanes=dict.fromkeys(LANES, sample), machine={"user": 1.0, "system": 1.0})
                write("idle", **label, machine=[[clock, 0, 0, 0, 2], [clock + 20_000_000, 0, 0, 4, 2]])
                write("sampler", point=point, generation=generation, samples=BLOCKS, cpu_ns=8 * 10**6)
                for name in LANES:
                    report = {"cpu_ns": 10**9, "bytes": 10**9, "tcp_info": {"total_retrans": 0, "data_segs_out": 10**5}, "completions": {}}
                    write("reports", **label, lane=name, workers=[1, 1], cpus=[1, 1, 2], senders=[report])
        write("end", complete=True, reason="done")
    return generations * len(LANES) * BLOCKS * points


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: *wall_s* and *cpu_s*, and the largest memory of any of its processes."""

    wall_s: float
    cpu_s: float
    memory_mib: float


def run(*arguments: str | Path) -> Cost:
    """Run `zcload` with *arguments*, in silence; raises SystemExit if it fails."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "zcload", *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"zcload {' '.join(map(str, arguments))}: exit code {process.returncode}\n{said}")
    assert isinstance(usage, resource.struct_rusage)
    return Cost(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def row(*cells: object) -> None:
    """Print one line of a table."""
    print("".join(f"{cell:>14.2f}" if isinstance(cell, float) else f"{cell!s:>14}" for cell in cells), flush=True)


def windows(counts: Sequence[str], folder: Path) -> None:
    """Report results of so many windows."""
    row("windows", "file, MiB", "wall, s", "CPU, s", "MiB", "us a window")
    for wanted in map(int, counts):
        count = make(folder, wanted)
        size = (folder / "windows.jsonl").stat().st_size / 2**20
        cost = run("report", folder)
        row(count, size, cost.wall_s, cost.cpu_s, cost.memory_mib, 1e6 * cost.cpu_s / count)


def points(counts: Sequence[str], folder: Path) -> None:
    """Report results of so many points, and make their page."""
    row("points", "wall, s", "CPU, s", "MiB", "page, s", "page, kB")
    for count in map(int, counts):
        make(folder, WINDOWS_A_POINT * count, count)
        cost, page = run("report", folder), folder / "page.html"
        with_page = run("report", folder, "--format", "html", "--out", page)
        row(count, cost.wall_s, cost.cpu_s, cost.memory_mib, with_page.wall_s, page.stat().st_size / 1e3)


def history(counts: Sequence[str], folder: Path) -> None:
    """List so many results: copies of a small one, with names, dates and an estimate of their own."""
    row("results", "first, s", "again, s", "CPU, s", "MiB")
    small: Summary = json.loads((SMALL / "summary.json").read_bytes())
    figure = small["points"][0]["variants"][0]["metrics"][TOTAL_CPU_S_PER_GB]
    began, estimate = datetime.fromisoformat(small["started"]), figure["estimate"]
    assert estimate is not None
    for count in map(int, counts):
        root = folder / str(count)
        os.environ["XDG_CACHE_HOME"] = str(folder / f"cache{count}")  # an index of its own, empty at first
        for number in range(count):
            result = root / f"r{number}"
            result.mkdir(parents=True)
            small["name"], small["started"] = f"study {number % 50}", (began + timedelta(hours=number)).isoformat()
            figure["estimate"] = estimate * (1 + number % 7 / 100)
            (result / "summary.json").write_text(json.dumps(small))
        first, again = run("history", root), run("history", root)
        row(count, first.wall_s, again.wall_s, again.cpu_s, again.memory_mib)


def study(name: str, values: Sequence[str], folder: Path, options: Callable[[str], list[str]]) -> None:
    """Run a study for each of *values*, which *options* make of it."""
    row(name, "plan, s", "run, s", "CPU, s", "MiB", "windows")
    for number, value in enumerate(values):
        result, given = folder / f"{name}{number}", options(value)
        planned = run("run", *given, "--plan")
        cost = run("run", *given, "--no-wait", "--no-html", "--no-progress", "--out", result)
        stored = json.loads((result / "summary.json").read_bytes())
        counted = sum(variant["windows"] for point in stored["points"] for variant in point["variants"])
        row(value, planned.wall_s, cost.wall_s, cost.cpu_s, cost.memory_mib, counted)


def senders(values: Sequence[str], folder: Path) -> None:
    """Run studies with so many senders."""
    study("senders", values, folder, lambda value: [*PAIR, "--set", f"workload.senders={value}", "--set", "workload.file_size=64MiB"])


def lanes(values: Sequence[str], folder: Path) -> None:
    """Run studies with so many lanes: the first has the baseline, the others send with sendfile in chunks of other sizes."""

    def options(value: str) -> list[str]:
        config = folder / f"lanes{value}.toml"
        more = "".join(f'[[variant]]\nname = "v{n}"\nmechanism = "sendfile"\nchunk = "{64 + 4 * n}KiB"\n' for n in range(int(value) - 1))
        config.write_text(
            f'[study]\nname = "lanes"\nbaseline = "read_send"\nvariants = ["read_send"]\n[workload]\nfile_size = "64MiB"\n{more}'
        )
        time_s = max(2, int(value) // 2)  # each of two generations has a block of windows of every lane
        return [str(config), "--set", "study.best_chunk=false", "--replicates", "1", "--time", f"{time_s}s"]

    study("lanes", values, folder, options)


def files(values: Sequence[str], folder: Path) -> None:
    """Run studies of a sparse file of so many bytes."""

    def options(value: str) -> list[str]:
        file = folder / f"file{value}"
        file.touch()
        os.truncate(file, parse_size(value))
        return [*PAIR, "--file", str(file)]

    study("files", values, folder, options)


PARTS: dict[str, tuple[Callable[[Sequence[str], Path], None], list[str]]] = {
    "windows": (windows, ["25000", "50000", "100000"]),
    "points": (points, ["1", "10", "100", "1000"]),
    "history": (history, ["100", "1000", "10000"]),
    "senders": (senders, ["1", "2", "8", "32", "128", "512"]),
    "lanes": (lanes, ["1", "2", "4", "8", "16"]),
    "files": (files, ["4KiB", "1MiB", "64MiB", "1GiB", "16GiB"]),
}


def main() -> None:
    """Print the table of the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("values", nargs="*", help="one row each; a usual set without them")
    parser.add_argument("--folder", type=Path, help="where results are made, for example on a disk; removed at the end")
    given = parser.parse_args()
    part, usual = PARTS[given.part]
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        part(given.values or usual, Path(folder))


if __name__ == "__main__":
    main()
