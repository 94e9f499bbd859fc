"""Does zcload find an extra cost that is known, beside a quiet machine and beside one that works?

    python benchmarks/planted.py --runs 8 --seconds 20
    python benchmarks/planted.py --runs 8 --seconds 60 --extra 2 --margin 1 --hog cpu memory

`read_send` that burns a known amount on top of each call runs against plain `read_send`, with an A/A lane. The truth of a run is what is
burnt per call, as a share of what the plain lane's calls cost both ends in that run. Prints how often the verdict was "costs", how often
the interval held the truth, and how often the A/A lane got a verdict.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Process
from pathlib import Path
from typing import Any

from planted_mechanism import BURNS_NS

from zcload.config import from_tree
from zcload.linux import interrupt
from zcload.linux.sockets import connected_pair
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.runner.run import run


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


@dataclass
class Cell:
    """What the runs of one extra cost beside one hog gave."""

    runs: int = 0
    found: int = 0  # verdict "costs"
    wrong: int = 0  # a verdict that says the contrary
    held: int = 0  # intervals that hold the truth
    aa_false: int = 0  # A/A lanes with a verdict of a difference
    widths: list[float] = field(default_factory=list)


def study(seconds: float, margin: float) -> Any:
    """Return the study of one run: plain, planted, and plain again."""
    return from_tree(
        {
            "study": {"name": "planted", "baseline": "read_send", "variants": ["read_send", "planted"], "aa": True, "best_chunk": False},
            "stop": {"target": "0.1%", "margin": f"{margin:g}%", "max_time": f"{seconds:g}s"},
        }
    )


def measure(seconds: float, margin: float, truth: Callable[[float], float], cell: Cell) -> float:
    """Run once, judge the verdicts into *cell*; return what a call of the baseline costs both ends, in ns."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(study(seconds, margin), Path(folder) / "result")
    if outcome.error is not None:
        sys.exit(str(outcome.error))
    point = outcome.summary["points"][0]
    plain = next(v for v in point["variants"] if v["name"] == "read_send")["metrics"]
    calls = plain["sender_syscalls_per_gb"]["estimate"] / 2
    per_call_ns = 1e9 * plain[TOTAL_CPU_S_PER_GB]["estimate"] / calls
    expected = truth(per_call_ns)
    cell.runs += 1
    for comparison in point["comparisons"]:
        if comparison["metric"] != TOTAL_CPU_S_PER_GB:
            continue
        ratio, verdict = comparison["ratio"], comparison["verdict"]
        if comparison["aa"]:
            cell.aa_false += verdict in ("saves", "costs")
            continue
        cell.found += verdict == "costs"
        cell.wrong += verdict == "saves"
        cell.held += ratio["low"] <= expected <= ratio["high"]
        cell.widths.append(50 * (ratio["high"] - ratio["low"]))
    return per_call_ns


def main() -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=8, help="of each cell; the cells take turns")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--extra", type=float, nargs="+", default=[2.0, 5.0, 10.0], metavar="PERCENT", help="of both ends' CPU")
    parser.add_argument("--margin", type=float, default=1.0, metavar="PERCENT")
    parser.add_argument("--hog", nargs="+", choices=HOGS, default=["none"])
    options = parser.parse_args()
    interrupt.install()
    with tempfile.TemporaryDirectory() as folder:
        # A replicate is a fresh interpreter: it imports the mechanism as it starts.
        (Path(folder) / "sitecustomize.py").write_text("import planted_mechanism\n")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
        return series(options)


def series(options: argparse.Namespace) -> int:
    """Run all cells in turn and print the table; return the exit code."""
    cells = {(extra, hog): Cell() for hog in options.hog for extra in options.extra}
    # What a call costs is learned from a first run; later the truth is what was burnt against what the run itself says of a call.
    per_call_ns = measure(min(options.seconds, 5.0), options.margin, lambda cost: 1.0, Cell())
    for number in range(options.runs):
        for (extra, hog), cell in cells.items():
            burnt = round(per_call_ns * extra / 100)
            os.environ[BURNS_NS] = str(burnt)
            with beside(hog):
                measure(options.seconds, options.margin, lambda cost, burnt=burnt: 1 + burnt / cost, cell)
        print(f"round {number + 1} of {options.runs}", file=sys.stderr, flush=True)
    print(f"runs of {options.seconds:g} s, margin {options.margin:g} %, {per_call_ns / 1000:.0f} us of both ends' CPU a call")
    print(f"{'extra':>6} {'beside':8} {'runs':>5} {'found':>6} {'wrong':>6} {'held':>5} {'A/A false':>10} {'half-width':>11}")
    for (extra, hog), cell in cells.items():
        width = f"{statistics.median(cell.widths):.1f}" if cell.widths else "-"
        counts = f"{cell.runs:5} {cell.found:6} {cell.wrong:6} {cell.held:5} {cell.aa_false:10}"
        print(f"{extra:5g}% {hog:8} {counts} {width:>7} pts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
