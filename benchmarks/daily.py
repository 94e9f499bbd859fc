"""How quick is zcload in daily use? CPU and wall time of each command, in fresh processes, beside `python -c pass`.

    python benchmarks/daily.py --rounds 9

Prints the median of each in milliseconds, and its CPU time over that of `python -c pass`. Rounds run all commands in random order.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ZCLOAD = [sys.executable, "-m", "zcload"]
FIRST_RELEASE = Path(__file__).parents[1] / "tests" / "data" / "first-release"
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "zcload --help": [*ZCLOAD, "--help"],
    "zcload --version": [*ZCLOAD, "--version"],
    "zcload run --help": [*ZCLOAD, "run", "--help"],
    "zcload mechanisms": [*ZCLOAD, "mechanisms"],
    "zcload doctor": [*ZCLOAD, "doctor"],
    "zcload report RESULT": [*ZCLOAD, "report", "RESULT"],
    "zcload history DIR": [*ZCLOAD, "history", "DIR"],
}


def timed(command: list[str]) -> tuple[float, float]:
    """Run *command* in silence; return its CPU and wall time in milliseconds."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    assert isinstance(usage, resource.struct_rusage)
    return 1e3 * (usage.ru_utime + usage.ru_stime), 1e3 * (time.monotonic() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--result", type=Path, default=FIRST_RELEASE, metavar="DIRECTORY", help="the result that is reported")
    options = parser.parse_args()
    rng, found = random.Random(1), dict[str, list[tuple[float, float]]]()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(options.result, Path(folder) / "result")
        places = {"RESULT": f"{folder}/result", "DIR": folder}
        for number in range(options.rounds + 1):
            for name, words in rng.sample(list(COMMANDS.items()), len(COMMANDS)):
                times = timed([places.get(word, word) for word in words])
                if number:  # the first round writes bytecode and fills the page cache
                    found.setdefault(name, []).append(times)
    base = statistics.median(cpu for cpu, _ in found["python -c pass"])
    print(f"{'command':24}{'CPU, ms':>9}{'wall, ms':>10}{'x python -c pass':>18}")
    for name in COMMANDS:
        cpu, wall = (statistics.median(times[at] for times in found[name]) for at in (0, 1))
        print(f"{name:24}{cpu:>9.0f}{wall:>10.0f}{cpu / base:>18.1f}")


if __name__ == "__main__":
    main()
