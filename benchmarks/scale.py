"""How long does a report of very many windows take, and how much memory? Results are made up, nothing is measured but the report.

Each count runs in a process of its own: `zcload report` on a result directory that holds a windows.jsonl and no summary.

    python benchmarks/scale.py 25000 50000 100000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

LANES = ("read_send", "sendfile", "splice", "read_send@64KiB")
BLOCKS, POINTS = 8, 4
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


def make(directory: Path, windows: int, points: int = POINTS) -> None:
    """Write a windows.jsonl of about so many *windows*: whole generations of all points, as a run would."""
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
        for generation in range(math.ceil(windows / (len(LANES) * BLOCKS * points))):
            for point in range(points):
                counters = {name: [0, 0, 0, 0, 0] for name in LANES}
                label = {"point": point, "generation": generation, "purpose": "measure"}
                luck = {name: rng.gauss(0.0, 0.06) for name in LANES}
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
                for name in LANES:
                    report = {"cpu_ns": 10**9, "bytes": 10**9, "tcp_info": {"total_retrans": 0, "data_segs_out": 10**5}, "completions": {}}
                    write("reports", **label, lane=name, workers=[1, 1], cpus=[1, 1, 2], senders=[report])
        write("end", complete=True, reason="done")


def measured(directory: Path) -> tuple[float, float]:
    """Report the result in *directory* in a process of its own; return its seconds and its largest memory in MiB."""
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.execv(sys.executable, [sys.executable, "-m", "zcload", "report", str(directory)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"zcload report failed: {os.waitstatus_to_exitcode(status)}")
    assert isinstance(usage, resource.struct_rusage)
    return time.monotonic() - start, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("windows", nargs="*", type=int, default=[25_000, 50_000, 100_000])
    parser.add_argument("--points", type=int, default=POINTS, help="points that the windows are divided among")
    given = parser.parse_args()
    print(f"{'windows':>9}{'file, MiB':>11}{'seconds':>9}{'MiB':>7}{'us a window':>13}")
    for count in given.windows:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count, given.points)
            size = (Path(folder) / "windows.jsonl").stat().st_size / 2**20
            seconds, memory = measured(Path(folder))
            print(f"{count:>9}{size:>11.0f}{seconds:>9.1f}{memory:>7.0f}{1e6 * seconds / count:>13.0f}", flush=True)


if __name__ == "__main__":
    main()
