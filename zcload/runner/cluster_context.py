"""A point whose lanes run on several hosts: what its generations share, and how its lanes are set up and torn down there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from zcload.cluster import messages as m
from zcload.cluster.bench import Bench
from zcload.cluster.lane import ClusterLane, Layout
from zcload.cluster.session import SLOW_ANSWER_S, PartFailed
from zcload.errors import StudyError
from zcload.lane.contract import PlacedLane
from zcload.lane.payload import Source
from zcload.lane.placement import CpuSet, Placement
from zcload.lane.sampler import MIN_INTERVAL_NS, SUMS, Samples
from zcload.mechanisms import mechanism_of
from zcload.model.cluster import Link
from zcload.model.study import Contender
from zcload.model.timing import longest_transfer_s
from zcload.runner.context import Ended, PointContext


@dataclass(slots=True)
class RemoteFile(Source):
    """The file of a point as the hosts that send it have it; *bench* is how they are asked."""

    bench: Bench | None = None
    hosts: tuple[str, ...] = ()

    def check(self) -> None:
        if self.bench is not None:
            orders: dict[str, m.Message] = dict.fromkeys(self.hosts, m.CheckFiles())
            self.bench.session.exchange(orders, m.Done)

    def close(self) -> None:
        """Do nothing: the agents close their files when they end."""


@dataclass(slots=True)
class ClusterContext(PointContext):
    """A point of a study on the hosts of *links*; with *swap* each generation draws which way round they send."""

    links: tuple[Link, ...] = ()
    swap: bool = False
    layout: Layout | None = None  # of the lanes that are set up now
    lane_numbers: list[int] = field(default_factory=lambda: [0])

    @property
    def bench(self) -> Bench:
        """The hosts."""
        return cast(Bench, self.machine)

    def roles(self) -> Placement:
        """Draw which hosts send in this generation, and measure the offsets of their clocks; the agents draw the CPUs."""
        links = self.links
        if self.swap and self.rng.random() < 0.5:
            links = tuple(Link(link.receiver, link.sender) for link in links)
        self.layout = Layout.of(self.point, links)
        self.bench.session.measure_clocks()
        return Placement((), (), CpuSet())

    def _settle(self) -> None:
        self.cached = None

    def _bring_up(self, variant: Contender, placement: Placement, verify: bool, lanes: dict[str, PlacedLane]) -> None:
        assert self.layout is not None
        verify = verify and mechanism_of(variant).moves_payload
        self.lane_numbers[0] += 1
        lane = ClusterLane(self.bench.session, self.lane_numbers[0], variant, self.point, self.layout)
        lanes[variant.name] = lane
        lane.set_up(self.source.size, verify, lambda: self.rng.getrandbits(32))
        for each in lane.cautions:
            self.record_caution(each)
        self._count_strangers(lane.name, lane.unauthenticated)
        if verify:
            moved = lane.verify(SLOW_ANSWER_S + longest_transfer_s(self.source.size, across=True))
            self.record({"kind": "verified", "variant": variant.name, "digest": self.source.digest, "bytes": moved})
        else:
            lane.ready()
        self.bench.settle([lane])  # what setting up has started must not end in the first window

    def _failure(self, placed: PlacedLane) -> StudyError | None:
        return None  # the agents watch their workers

    def _take_down(self, placed: PlacedLane) -> Ended:
        placed.tear_down()
        return Ended(placed.name)

    def sampler(self, groups: Sequence[Mapping[str, PlacedLane]]) -> Samples:
        return ClusterSampler(self.bench)

    def report(self, placed: PlacedLane) -> dict[str, Any]:
        lane = cast(ClusterLane, placed)
        try:
            senders = lane.report()
        except PartFailed as error:
            raise StudyError(str(error)) from None
        return {
            "lane": lane.name,
            "workers": [len(lane.layout.senders), len(lane.layout.receivers)],
            "cpus": _cpus(lane),
            "senders": senders,
        }

    def facts(self) -> dict[str, Any]:
        return {"links": self.layout.as_record()} if self.layout else {}


def _cpus(lane: ClusterLane) -> list[int]:
    """Return how many CPUs the senders, the receivers and both together may use; those of different hosts have the same numbers."""
    roles = ((lane.layout.senders, lane.placement.senders), (lane.layout.receivers, lane.placement.receivers))
    sets = [{(worker.host, cpu) for worker, cpus in zip(*role, strict=True) for cpu in cpus} for role in roles]
    return [len(sets[0]), len(sets[1]), len(sets[0] | sets[1])]


class ClusterSampler:
    """Samples the processes of all lanes on all hosts, as `Sampler` does on one."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._last_ns = bench, 0
        self._costs: dict[str, int] = {}
        self.taken = 0

    @property
    def cost_ns(self) -> int:
        """CPU time the sampling has taken on all hosts."""
        return sum(self._costs.values())

    def due(self) -> bool:
        return time.monotonic_ns() - self._last_ns >= MIN_INTERVAL_NS

    def sample(self) -> dict[str, Any]:
        self._last_ns = time.monotonic_ns()
        orders: dict[str, m.Message] = dict.fromkeys(self._bench.hosts, m.TakeSample())
        found = self._bench.session.exchange(orders, m.Sampled)
        self._costs |= {host: each.cost_ns for host, each in found.items()}
        self.taken += 1
        samples = [each.sample for each in found.values()]
        lanes: dict[str, Any] = {}
        for sample in samples:
            for name, seen in sample["lanes"].items():
                merged = lanes.setdefault(name, {"orders": 0, "silent": 0, "bytes": 0, "senders": Counter(), "receivers": Counter()})
                # Every host hears of every window; only those that send hear of orders that move nothing.
                merged["orders"], merged["silent"] = max(merged["orders"], seen["orders"]), max(merged["silent"], seen["silent"])
                merged["bytes"] += seen["bytes"]
                for role in ("senders", "receivers"):
                    merged[role].update(seen[role])
        machine: Counter[str] = Counter()
        for times in _distinct(self._bench, found):
            machine.update(times)
        return {"t_ns": self._last_ns, "lanes": {name: _complete(seen) for name, seen in lanes.items()}, "machine": dict(machine)}


def _distinct(bench: Bench, found: Mapping[str, m.Sampled]) -> Iterable[Mapping[str, float]]:
    """Return the CPU times of each machine once."""
    return (found[host].sample["machine"] for host in bench.first_hosts if host in found)


def _complete(seen: dict[str, Any]) -> dict[str, Any]:
    """Return a lane's sample with all counters of both roles, as hosts that have none of a role say nothing of it."""
    return {**seen, **{role: {**dict.fromkeys(SUMS, 0), **seen[role]} for role in ("senders", "receivers")}}
