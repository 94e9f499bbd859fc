"""How long do lanes take to set up and to tear down? Eight lanes of eight senders with a 1 MiB file, verification excluded.

python benchmarks/setup.py --lanes 8 --senders 8
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time

from zcload.host.topology import read_cores
from zcload.lane.connections import choose_congestion
from zcload.lane.placement import place
from zcload.lane.set_up import set_up
from zcload.linux import interrupt
from zcload.model.study import Point, Variant


def main() -> int:
    """Print the seconds of each repetition and their median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    interrupt.install()
    fd = os.memfd_create("zcload")
    os.write(fd, os.urandom(1 << 20))
    point = Point(file_size=1 << 20, senders=options.senders, receivers="per-sender")
    congestion = choose_congestion("auto")[0]
    placement = place("free", point.senders, point.receiver_count, read_cores(), random.Random(1))
    taken = []
    for _ in range(options.repeat):
        start = time.monotonic()
        variants = [Variant(f"lane {number}", "sendfile") for number in range(options.lanes)]
        lanes = [
            set_up(v.at(point), point, fd=fd, size=1 << 20, placement=placement, congestion=congestion, verify=False) for v in variants
        ]
        for lane in lanes:
            lane.ready()
        up = time.monotonic()
        for lane in lanes:
            lane.tear_down()
        taken.append(time.monotonic() - start)
        print(f"up {up - start:.3f} s, down {time.monotonic() - up:.3f} s")
    print(f"median {statistics.median(taken):.3f} s for {options.lanes} lanes of {options.senders} senders and as many receivers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
