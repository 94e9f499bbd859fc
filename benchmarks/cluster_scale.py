"""What does zcload's control of a cluster cost with many hosts? The real coordinator drives simulated agents over the real channel.

    python benchmarks/cluster_scale.py 10 30 100 300 1000 --tls

The agents are one process of this machine (tests/support/simulated_agents.py) and answer one after another, so that its time is in `window`
too; `CPU` is the coordinator's alone. For each number of hosts, of which half send to the other half:

- join: from the first agent started until all have been admitted, seconds; lane: set-up of one lane, seconds
- clocks: the offsets of all clocks, measured once in each generation, seconds
- open: from the first gate ordered open to the last, ms, as the coordinator sends; skew: how far the openings lay apart, ms, as agents tell
- CPU: of the coordinator in a window, ms, and by host, us; while the gates were open: ms of that
- edges: what a window takes beyond its open gates, ms; the medians of all windows
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.simulated_agents import SimulatedEngine

from zcload import config
from zcload.cluster import messages as m
from zcload.cluster.bench import Bench
from zcload.cluster.keys import make_keys
from zcload.cluster.lane import ClusterLane, Layout
from zcload.cluster.session import Session
from zcload.model.cluster import Cluster, HostChoice, links_of
from zcload.model.study import Point, Study

HEAD = "hosts  join s  lane s  clocks s  open ms  skew ms  CPU ms  us/host  edges ms"
STUDY = {
    "study": {"name": "scale", "baseline": "read_send", "variants": ["read_send"], "best_chunk": False},
    "workload": {"file_size": "4MiB", "senders": 1},
}


class TimedSession(Session):
    """A session that notes how long ordering all gates open took, ms."""

    opening_ms = 0.0

    def tell(self, orders: Mapping[str, m.Message]) -> None:
        begun = time.monotonic()
        super().tell(orders)
        if isinstance(next(iter(orders.values())), m.Open):
            self.opening_ms = 1e3 * (time.monotonic() - begun)


def main() -> int:
    """Print a row for each number of hosts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", type=int, nargs="*", default=[10, 30, 100, 300, 1000])
    parser.add_argument("--windows", type=int, default=20, help="windows measured for each number of hosts")
    parser.add_argument("--open", type=float, default=0.25, help="seconds for which gates are open", metavar="SECONDS")
    parser.add_argument("--tls", action="store_true", help="encrypt the control connections, as off loopback")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        if options.tls:
            make_keys(Path(folder), days=1)
        for count in options.hosts:
            print(measure(count, options.windows, options.open, Path(folder) if options.tls else None), flush=True)
    return 0


def cluster_of(engine: SimulatedEngine, tls: Path | None) -> Cluster:
    """Return the section of a config for the hosts of *engine*, the first half of which sends."""
    half = len(engine.names) // 2
    files = {"ca": str(tls / "ca.pem"), "certificate": str(tls / "cert.pem"), "key": str(tls / "key.pem")} if tls else {}
    scheme = "tls" if tls else "tcp"
    return Cluster(f"{scheme}://127.0.0.1:1", HostChoice(engine.names[:half]), HostChoice(engine.names[half:]), **files)


def measure(count: int, windows: int, open_s: float, tls: Path | None) -> str:
    """Return the row of *count* hosts."""
    engine = SimulatedEngine(count)
    cluster = cluster_of(engine, tls)
    links = links_of("pairs", cluster.senders.names, cluster.receivers.names)
    point = spread(config.from_tree(STUDY), len(links))
    with closing(engine):
        begun = time.monotonic()
        session = TimedSession(engine, engine.names, cluster, "127.0.0.1", 600.0)
        with closing(session):
            joined = time.monotonic()
            session.measure_clocks()
            clocks = time.monotonic()
            bench = Bench(session, {name: name for name in engine.names}, "here")
            study = config.from_tree(STUDY)
            lane = ClusterLane(session, 1, study.variant("read_send").at(point), point, Layout.of(point, links))
            lane.set_up(point.file_size, False, lambda: 0)
            lane.ready()
            bench.settle([lane])
            up = time.monotonic()
            seen = [one_window(session, bench, lane, open_s) for _ in range(windows)]
    cpu, edges, opening, skew = (statistics.median(column) for column in zip(*seen, strict=True))
    row = f"{count:>5}{joined - begun:>8.2f}{up - clocks:>8.2f}{clocks - joined:>10.2f}{opening:>9.2f}{skew:>9.2f}"
    return f"{row}{cpu:>8.1f}{1000 * cpu / count:>9.0f}{edges:>10.1f}"


def spread(study: Study, links: int) -> Point:
    """Return the point of *study* with a sender and a receiver for each link, as a run on a cluster has it."""
    return replace(study.points[0], senders=links, receivers=links)


def one_window(session: TimedSession, bench: Bench, lane: ClusterLane, open_s: float) -> tuple[float, float, float, float]:
    """Measure a window; return the coordinator's CPU time, what the window took beyond *open_s*, the opening and the skew, in ms."""
    cpu, begun = time.process_time(), time.monotonic()
    (window,) = bench.measure([lane], open_s)
    took, used = time.monotonic() - begun, time.process_time() - cpu
    return 1e3 * used, 1e3 * (took - open_s), session.opening_ms, window["edge_skew_ns"] / 1e6


if __name__ == "__main__":
    sys.exit(main())
