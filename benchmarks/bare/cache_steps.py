"""How does the cost of receiving depend on the size of the file that is sent over and over? The C pair, sendfile, one file after another.

    python benchmarks/bare/cache_steps.py --rounds 6

A file that fits into a cache of the CPU is in it when the receiver copies its pages. Prints CPU seconds per GB of both ends and goodput
for each size, means of the rounds. Each round runs all sizes in random order.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import defaultdict

from side_by_side import Cost, bare, compiled

from zcload.analysis.stats import mean_interval
from zcload.lane.file_pages import arrange_pages
from zcload.linux import interrupt
from zcload.model.units import format_size, parse_size

SIZES = [size << 10 for size in (128, 512, 2 << 10, 8 << 10, 16 << 10, 32 << 10, 128 << 10, 1 << 20)]


def made_file(size: int) -> int:
    """Return a file in memory of *size* bytes, in huge pages where the kernel has them."""
    fd = os.memfd_create("cache_steps")
    arrange_pages(fd, size, "auto")
    for at in range(0, size, 1 << 20):
        os.write(fd, os.urandom(min(1 << 20, size - at)))
    return fd


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=parse_size, default=SIZES, metavar="SIZE", help="of the file")
    parser.add_argument("--chunk", type=parse_size, default=128 << 10, metavar="SIZE")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each size in a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    interrupt.install()
    program, rng, files = compiled(), random.Random(options.seed), {size: made_file(size) for size in options.sizes}
    pair = argparse.Namespace(sink="recv", receive_chunk=options.chunk, socket_buffer=1 << 20, buffer_offset=0, bare_work_ns=0)
    found: dict[int, list[Cost]] = defaultdict(list)
    for _ in range(options.rounds):
        for size in rng.sample(options.sizes, len(options.sizes)):
            interrupt.check()
            found[size].append(bare(program, files[size], "sendfile", options.chunk, options.seconds, 1, pair))
    print(f"{'file':>8} {'sender':>8} {'receiver, 95 % interval':>26} {'Gbit/s':>8}")
    for size in options.sizes:
        costs = found[size]
        sender, goodput = (sum(getattr(cost, key) for cost in costs) / len(costs) for key in ("sender", "goodput"))
        interval = mean_interval([cost.receiver for cost in costs])
        receiver = f"{interval.estimate:.3f} ({interval.low:.3f}..{interval.high:.3f})" if interval else f"{costs[0].receiver:.3f}"
        print(f"{format_size(size):>8} {sender:8.3f} {receiver:>26} {goodput:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
