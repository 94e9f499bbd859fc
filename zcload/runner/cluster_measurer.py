"""Measure on the hosts of a cluster: fresh agents for each replicate, orders by message, nothing measured in this process."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from zcload.cluster import messages as m
from zcload.cluster.bench import Bench
from zcload.cluster.connect import Casting
from zcload.cluster.session import SLOW_ANSWER_S, Session
from zcload.cluster.station import boot_id
from zcload.errors import ConfigError, Problem, StudyError
from zcload.host.cache import FileCache
from zcload.lane.network import Network
from zcload.model.progress import Progress, Viewer
from zcload.model.study import Study
from zcload.runner.block import Emit
from zcload.runner.cluster_context import ClusterContext, RemoteFile
from zcload.runner.limits import making_s
from zcload.runner.measurer import RoundsOf
from zcload.runner.plan import plan
from zcload.runner.point import PointRun
from zcload.runner.point_state import PointState
from zcload.runner.replicates import FreshReplicates

_SPARE_S = 600.0  # beyond what a study may take at most: agents end then even if nobody tells them to


@dataclass(slots=True)
class Joined:
    """Agents that have joined, and the facts of their hosts."""

    session: Session
    described: Mapping[str, m.Described]

    def bench(self) -> Bench:
        """Return the hosts as a bench, on which windows are measured."""
        return Bench(self.session, {host: each.machine for host, each in self.described.items()}, boot_id())


def join(casting: Casting, deadline_s: float, checks: bool) -> Joined:
    """Start an agent on each host and have it say what its host is, with *checks* also what spoils measurements there.

    Raises StudyError, ConfigError, Interrupted.
    """
    session = Session(casting.engine, casting.hosts, casting.cluster, casting.control, deadline_s)
    try:
        orders: dict[str, m.Message] = {host: m.Describe(casting.addresses[host], checks) for host in casting.hosts}
        described = session.exchange(orders, m.Described)
        session.measure_clocks()
        return Joined(session, described)
    except BaseException:
        session.close()
        raise


def deadline_s(study: Study) -> float:
    """Return the lifetime of an agent of *study* in seconds, after which it ends in any case: no run may last so long."""
    planned = plan(study, check_windows=True)
    return max(1.5 * planned.total_s, planned.limit_s) + _SPARE_S


class ClusterResources:
    """Makes the points of a study measurable on hosts whose agents have *joined*; *out* says which variants they cannot run."""

    def __init__(
        self,
        study: Study,
        casting: Casting,
        joined: Joined,
        swap: bool,
        out: Sequence[Mapping[str, Any]],
        rng: random.Random,
        emit: Emit,
        view: Viewer,
        replicate: int | None,
    ) -> None:
        self.study, self.rng = study, rng
        self._casting, self._joined, self._swap, self._out = casting, joined, swap, out
        self._emit, self._view, self._replicate = emit, view, replicate
        self._bench, self._numbers = joined.bench(), [0]
        self._apart = any(each.environment.get("irq_time_accounting") == "yes" for each in joined.described.values())
        self._files: dict[tuple[Any, ...], RemoteFile] = {}

    def point(self, state: PointState) -> PointRun:
        point = self.study.points[state.index]
        source = self._file(state)
        context = ClusterContext(
            study=state.study,
            index=state.index,
            point=point,
            source=source,
            cache=FileCache(-1, source.size, "warm"),
            network=Network(point.address),
            cores=(),
            congestion=None,
            machine=self._bench,
            rng=self.rng,
            interrupts_apart=self._apart,
            emit=self._emit,
            out=state.out,
            cautioned=state.cautioned,
            strangers=state.strangers,
            identities=state.identities,
            replicate=self._replicate,
            links=self._casting.links,
            swap=self._swap,
            lane_numbers=self._numbers,
        )
        if state.digest not in (None, source.digest):
            raise ConfigError(Problem("the file is not the one that the run was begun with", key="--resume"))
        state.digest = source.digest
        if not state.prepared:
            for name, why in self._out[state.index].items():
                context.record({"kind": "skipped", "variant": name, "reason": str(why)})
        return PointRun(context, state, self._view)

    def _file(self, state: PointState) -> RemoteFile:
        """Have the hosts that may send make or open the point's file; raises StudyError if those of two hosts differ."""
        point = self.study.points[state.index]
        key = point.file_identity
        if key not in self._files:
            self._view(Progress("making the file on each host that sends"))
            hosts = tuple(host for host in self._casting.hosts if self._swap or "sender" in self._casting.roles(host))
            orders: dict[str, m.Message] = dict.fromkeys(hosts, m.OpenFile(point))
            opened = self._joined.session.exchange(orders, m.FileOpened, SLOW_ANSWER_S + making_s(point))
            first = opened[hosts[0]]
            for host, file in opened.items():
                if file.digest != first.digest:
                    what = f"host {host}: {point.file} is not the file that host {hosts[0]} has: SHA-256 {file.digest[:16]}... and"
                    raise StudyError(f"{what} {first.digest[:16]}...")
            self._files[key] = RemoteFile(-1, first.size, first.digest, None, (first.size, 0), bench=self._bench, hosts=hosts)
        return self._files[key]

    def check_sources(self) -> None:
        for file in self._files.values():
            file.check()

    def close(self) -> None:
        self._joined.session.close()


class ClusterReplicates(FreshReplicates):
    """Measures each cluster with fresh agents on all hosts: fresh memory, a fresh file, fresh sockets there."""

    def __init__(
        self,
        study: Study,
        casting: Casting,
        joined: Joined,
        swap: bool,
        out: Sequence[Mapping[str, Any]],
        seed: str,
        emit: Emit,
        view: Viewer,
        first: int = 0,
    ) -> None:
        super().__init__(study, first)
        self._casting, self._joined, self._swap, self._out = casting, joined, swap, out
        self._seed, self._emit, self._view = seed, emit, view
        self._unused: Joined | None = joined  # the first replicate is measured by the agents that are there

    def _run(self, states: Sequence[PointState], rounds: int) -> float:
        began, number = time.monotonic(), self._number
        self._number += 1
        joined, self._unused = self._unused or join(self._casting, deadline_s(self._study), checks=False), None
        rng = random.Random(f"{self._seed}, replicate {number}")
        resources = ClusterResources(self._study, self._casting, joined, self._swap, self._out, rng, self._emit, self._view, number)
        with closing(RoundsOf(resources, rng)) as measurer:
            if rounds:
                measurer.measure(states, rounds)
            else:
                measurer.check(states)
        return time.monotonic() - began

    def close(self) -> None:
        if self._unused is not None:
            self._unused.session.close()
