"""A study on a cluster before it is measured: the hosts, their roles and facts, and who measures."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from zcload.cluster import messages as m
from zcload.cluster.connect import Casting, cast_roles
from zcload.cluster.engine import Engine
from zcload.cluster.lane import cautions_of
from zcload.errors import MechanismUnavailableError
from zcload.lane.network import Role
from zcload.model.cautions import Caution, caution
from zcload.model.progress import Progress, Viewer
from zcload.model.study import Point, Study
from zcload.runner.block import Emit
from zcload.runner.cluster_measurer import ClusterReplicates, ClusterResources, Joined, deadline_s, join
from zcload.runner.cluster_refusals import refuse
from zcload.runner.measurer import Measurer, RoundsOf


@dataclass(slots=True)
class ClusterRun:
    """The hosts of a run on a cluster, ready to be measured on. *study* has the senders and receivers of all links together."""

    study: Study
    casting: Casting
    joined: Joined
    swap: bool
    out: list[dict[str, MechanismUnavailableError]]

    @property
    def environment(self) -> dict[str, Any]:
        """The environment of the first host that sends, which resuming and comparing results use."""
        return self.joined.described[self.casting.links[0].sender].environment

    @property
    def devices(self) -> bool:
        """Whether the payload goes over network devices: from one machine to another."""
        return len({said.machine for said in self.joined.described.values()}) > 1

    def cautions(self) -> list[Caution]:
        """Return what spoils the result on any host, with its name, and an engine that is not quiet."""
        described = self.joined.described
        # Hosts that share a machine share what spoils it: the first of them tells.
        first = {said.machine: host for host, said in reversed(list(described.items()))}
        found = [each for host in first.values() for each in cautions_of(host, described[host].cautions)]
        engine = self.casting.engine.facts()
        if not engine.quiet:
            found.append(caution("engine_not_quiet", engine=engine.name, reasons="; ".join(engine.noisy)))
        return found

    def facts(self) -> dict[str, Any]:
        """Return the facts about the cluster in a result's header."""
        casting, described = self.casting, self.joined.described
        machines = list(dict.fromkeys(each.machine for each in described.values()))
        clocks = {host: self.joined.session.members[host].clock for host in casting.hosts}
        return {
            "engine": asdict(casting.engine.facts()),
            "pattern": casting.cluster.pattern,
            "swap": self.swap,
            "links": [asdict(link) for link in casting.links],
            "hosts": [
                {
                    "name": host,
                    "roles": casting.roles(host),
                    "address": described[host].address,
                    "machine": machines.index(described[host].machine),
                    "cpus": described[host].cpus,
                    "round_trip_ns": clocks[host].round_trip_ns,
                    "nic": described[host].nic,
                    "environment": described[host].environment,
                }
                for host in casting.hosts
            ],
        }

    def measurer(self, seeds: str, emit: Emit, view: Viewer, first: int) -> Measurer:
        """Return the measurer: fresh agents for each replicate, or these agents where the run has one replicate."""
        if self.study.stop.replicates > 1:
            return ClusterReplicates(self.study, self.casting, self.joined, self.swap, self.out, seeds, emit, view, first)
        rng = random.Random(seeds)
        return RoundsOf(ClusterResources(self.study, self.casting, self.joined, self.swap, self.out, rng, emit, view, None), rng)

    def close(self) -> None:
        """End all agents and leave the engine; harmless when called twice."""
        self.joined.session.close()
        self.casting.engine.close()


def open_cluster(study: Study, view: Viewer, engine: Engine | None = None) -> ClusterRun:
    """Connect to the hosts of *study* (resolved) and ask for their facts; raises ConfigError, StudyError, Interrupted."""
    assert study.cluster is not None
    refuse(study)
    view(Progress("connecting to the hosts"))
    casting = cast_roles(study.cluster, engine)
    joined: Joined | None = None
    try:
        study = _expanded(study, len(casting.links))
        joined = join(casting, deadline_s(study), checks=True)
        study = replace(study, points=tuple(replace(p, address=_addresses(casting, joined)) for p in study.points))
        swap = _swaps(casting, joined)
        return ClusterRun(study, casting, joined, swap, [_unavailable(study, point, casting, joined, swap) for point in study.points])
    except BaseException:
        if joined is not None:
            joined.session.close()
        casting.engine.close()
        raise


def _expanded(study: Study, links: int) -> Study:
    """Return *study* with the senders and receivers of all links together: a config says how many each link has."""
    points = (replace(p, senders=p.senders * links, receivers=p.receiver_count * links) for p in study.points)
    return replace(study, points=tuple(points))


def _addresses(casting: Casting, joined: Joined) -> str:
    """Return the address of the first host that receives, for a point's facts."""
    return joined.described[casting.links[0].receiver].address


def _swaps(casting: Casting, joined: Joined) -> bool:
    """Say whether the ends of each link change places from generation to generation: hosts differ more than mechanisms do."""
    wanted, pairs = casting.cluster.swap, casting.cluster.pattern == "pairs"
    return wanted == "always" or (wanted == "auto" and pairs and _alike(joined))


_OWN = frozenset({"host_name", "frequency_mhz", "cpus_allowed"})  # facts in which hosts that are alike differ


def _alike(joined: Joined) -> bool:
    """Say whether both ends of every link are the same kind of host: kernel, CPU and network device."""
    facts = [(each.environment, each.nic) for each in joined.described.values()]

    def kind(environment: Mapping[str, Any], nic: Mapping[str, Any] | None) -> tuple[object, object]:
        device = {key: value for key, value in (nic or {}).items() if key not in ("device", "interrupt_cpus")}
        return {key: value for key, value in environment.items() if key not in _OWN}, device

    return all(kind(*each) == kind(*facts[0]) for each in facts)


def _unavailable(study: Study, point: Point, casting: Casting, joined: Joined, swap: bool) -> dict[str, MechanismUnavailableError]:
    """Return the variants that a host cannot run in its role at *point*, with the host in the reason."""
    contenders = list(study.contenders(point))
    both: list[Role] = ["sender", "receiver"]
    orders: dict[str, m.Message] = {host: m.Probe(point, contenders, both if swap else casting.roles(host)) for host in casting.hosts}
    found: dict[str, MechanismUnavailableError] = {}
    for host, probed in joined.session.exchange(orders, m.Probed).items():
        for each in probed.unavailable:
            found.setdefault(each.variant, MechanismUnavailableError(each.name, f"host {host}: {each.reason}", each.remedy))
    return found
