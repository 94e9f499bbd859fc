"""What does zcload's io_uring binding cost by itself? User and system CPU of a call that moves nothing, beside the senders' empty loop.

    python benchmarks/binding.py --calls 100000

The first rows are IORING_OP_NOP through the binding: one operation a call, then two linked ones, as the mechanisms use them.
`null` is a turn of the senders' loop with nothing in it, `getppid` the cheapest system call that Python can make.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
from collections.abc import Callable

from zcload.linux import uring
from zcload.linux.uring_abi import NOP
from zcload.mechanisms.null import Null
from zcload.mechanisms.uring_null import UringNull


class Nops(UringNull):
    """As many linked operations a call as *linked* says, through the same code as the mechanisms' `send`."""

    def __init__(self, linked: int) -> None:
        self.linked = linked
        self.counts = [0]
        self._results = {}
        self._tag = 0
        self._ring = uring.Ring()


def loop(send: Callable[[int, int], int], calls: int) -> None:
    """Turn the senders' loop *calls* times (zcload/lane/loads/stream.py), without the look at the gate."""
    size, step, offset = 1 << 40, 1 << 18, 0
    for _ in range(calls):
        left = size - offset
        moved = send(offset, step if left > step else left)
        offset += moved
        if offset == size:
            offset = 0


def cost_ns(send: Callable[[int, int], int], calls: int) -> tuple[float, float]:
    """Return user and system CPU of a call, in ns."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    loop(send, calls)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return 1e9 * (after.ru_utime - before.ru_utime) / calls, 1e9 * (after.ru_stime - before.ru_stime) / calls


def main() -> int:
    """Print the medians of several rounds; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    why = uring.why_not((NOP,))
    if why is not None:
        print(f"io_uring: {why[0]} ({why[1]})", file=sys.stderr)
        return 1
    null = Null.__new__(Null)
    one, two = Nops(1), Nops(2)
    rows = {
        "io_uring, 1 NOP": one.send,
        "io_uring, 2 linked NOPs": two.send,
        "getppid": lambda offset, count: count if os.getppid() else 0,
        "null": null.send,
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(options.rounds):  # in turns, so that drift hits all alike
        for name, send in rows.items():
            seen[name].append(cost_ns(send, options.calls))
    print(f"{'ns of CPU per call':<26}{'user':>8}{'system':>8}   (medians of {options.rounds} rounds of {options.calls} calls)")
    for name, costs in seen.items():
        user, system = (statistics.median(values) for values in zip(*costs, strict=True))
        print(f"{name:<26}{user:>8.0f}{system:>8.0f}")
    one.close()
    two.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
