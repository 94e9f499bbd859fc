"""Which way of pacing a sender is exact, and what does it cost? The kernel's own, and an absolute schedule with sleeps of several grains.

    python benchmarks/pacing.py --rates 1Gbit/s 5Gbit/s 10Gbit/s --rounds 5

For each rate, mechanism and method, medians over rounds in random order, a fresh lane each: the error of the achieved rate, how late a
burst was begun (p50, p99), CPU of sender and receiver per GB, and how often the sender slept or waited per GB (voluntary switches).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from zcload.analysis.tally import window_tally
from zcload.host.machine import Machine
from zcload.host.topology import read_cores
from zcload.lane import mechanism_lane, sender, set_up
from zcload.lane.connections import choose_congestion
from zcload.lane.loads.load import Means, SenderLoad
from zcload.lane.loads.paced import Paced
from zcload.lane.loads.stream import Stream
from zcload.lane.payload import open_source
from zcload.lane.placement import place
from zcload.lane.rest import wait_for_rest
from zcload.linux import interrupt
from zcload.model.schedule import percentile_ns
from zcload.model.study import Point, Variant
from zcload.model.units import format_rate, parse_rate, parse_size
from zcload.runner.window import measure

SO_MAX_PACING_RATE = 47  # asm-generic/socket.h; the socket module has no name for it
PR_SET_TIMERSLACK = 29  # linux/prctl.h


class Kernel(Stream):
    """A closed loop that TCP paces (net/ipv4/tcp_timer.c, or the fq queueing discipline where there is one)."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        assert means.point.rate_bps is not None
        rate = int(means.point.rate_bps / 8 / means.point.senders)
        means.mechanism.sock.setsockopt(sender.socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate.to_bytes(8, sys.byteorder))


def every(bursts: int, slack_ns: int | None = None) -> type[SenderLoad]:
    """Return a schedule that sleeps at most once for so many chunks; *slack_ns* is how late the kernel may wake it, None: its default."""

    class Every(Paced):
        def __init__(self, means: Means) -> None:
            super().__init__(means)
            self._burst *= bursts
            self._schedule = replace(self._schedule, burst=self._burst)
            if slack_ns is not None:
                ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, slack_ns, 0, 0, 0)

    return Every


METHODS: dict[str, type[SenderLoad]] = {
    "SO_MAX_PACING_RATE": Kernel,
    "sleep per chunk": every(1),
    "sleep per chunk, slack 1 ns": every(1, slack_ns=1),
    "sleep per 4 chunks": every(4),
    "sleep per 16 chunks": every(16),
}


def switches(pid: int) -> int:
    """Return how often the process has waited so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split(maxsplit=1)[0])


def trial(method: str, mechanism: str, point: Point, fd: int, seconds: float, rng: random.Random) -> dict[str, float]:
    """Run a fresh lane for a warm-up and a window; return what it came to."""
    load = METHODS[method]
    sender.load_of = mechanism_lane.load_of = set_up.load_of = lambda _: load  # type: ignore[assignment]
    placement = place("spread", point.senders, point.receiver_count, read_cores(), rng)
    os.sched_setaffinity(0, placement.coordinator)
    lane = set_up.set_up(
        Variant(method, mechanism).at(point),
        point,
        fd=fd,
        size=point.file_size,
        placement=placement,
        congestion=choose_congestion("auto")[0],
        verify=False,
    )
    machine = Machine()
    try:
        lane.ready()
        wait_for_rest(lane)
        measure(lane, 0.1, machine)
        before = sum(switches(worker.pid) for worker in lane.workers.senders)
        record = measure(lane, seconds, machine)
        waited = sum(switches(worker.pid) for worker in lane.workers.senders) - before
    finally:
        lane.tear_down()
        machine.close()
    tally = window_tally(record, None)
    assert point.rate_bps is not None
    found = {
        "error": 100 * (tally["bits"] / tally["elapsed_s"] / point.rate_bps - 1),
        "sender": 1000 * tally["sender_cpu_s"] / tally["gb"],
        "receiver": 1000 * tally["receiver_cpu_s"] / tally["gb"],
        "waits": waited / tally["gb"],
    }
    if "pacing" in record:
        late = {int(number): count for number, count in record["pacing"]["late"].items()}
        found |= {"p50": (percentile_ns(late, 0.5) or 0) / 1e3, "p99": (percentile_ns(late, 0.99) or 0) / 1e3}
    return found


def main() -> int:
    """Run all trials in rounds and print a table of medians; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", nargs="+", default=["1Gbit/s", "5Gbit/s", "10Gbit/s"])
    parser.add_argument("--mechanisms", nargs="+", default=["read_send", "sendfile"])
    parser.add_argument("--chunk", default="256KiB")
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    interrupt.install()
    rng = random.Random(options.seed)
    point = Point(chunk=parse_size(options.chunk), senders=options.senders)
    source = open_source(point, lambda what, fraction: None)
    cases = [(parse_rate(rate), mechanism, method) for rate in options.rates for mechanism in options.mechanisms for method in METHODS]
    seen: dict[tuple[int | None, str, str], list[dict[str, float]]] = {case: [] for case in cases}
    affinity = os.sched_getaffinity(0)
    for _ in range(options.rounds):
        for case in rng.sample(cases, len(cases)):
            rate, mechanism, method = case
            at = Point(chunk=point.chunk, senders=point.senders, rate_bps=rate)
            seen[case].append(trial(method, mechanism, at, source.fd, options.seconds, rng))
            os.sched_setaffinity(0, affinity)
            interrupt.check()
    source.close()

    def median(case: tuple[int | None, str, str], key: str, form: str) -> str:
        values = [trial[key] for trial in seen[case] if key in trial]
        return format(statistics.median(values), form) if values else "-"

    forms = {"error": "+.2f", "p50": ".0f", "p99": ".0f", "sender": ".0f", "receiver": ".0f", "waits": ".0f"}
    headers = ["rate", "mechanism", "method", "error %", "late p50 us", "late p99 us", "sender ms/GB", "receiver ms/GB", "waits/GB"]
    rows = [[format_rate(case[0]), *case[1:], *(median(case, key, form) for key, form in forms.items())] for case in cases]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
