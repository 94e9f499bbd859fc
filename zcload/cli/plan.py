"""`zcload run --plan`: what a study will take, and which variants will be skipped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zcload.errors import MechanismUnavailableError
from zcload.model.cluster import Cluster
from zcload.model.study import Point, Study
from zcload.model.units import human_bytes, human_duration

if TYPE_CHECKING:
    from zcload.runner.plan import Plan


def _some(names: Sequence[str], most: int = 12) -> str:
    """List *names*; only the first and the last if there are many."""
    shown = names if len(names) <= most else [*names[: most - 2], "...", names[-1]]
    return "; ".join(shown)


def _network(point: Point) -> str:
    from zcload.lane.network import address_of

    if point.network != "veth":
        return f"{point.network} {point.address}"
    largest = point.gso_max_size or "auto"
    return f"veth {address_of(point)}, MTU {point.mtu or 'auto'}, offloads {'on' if point.offloads else 'off'}, gso_max_size {largest}"


def expected(planned: Plan) -> str:
    """Say in a clause how long all of a study takes. That is an estimate for a quiet machine; `limit` in the plan holds on any.

    Three runs of smoke took 7.1 to 7.3 s of the 13 s that this says, one of heavy 24 of 31 s, alone on a machine of two CPUs.
    """
    usual = f"usually about {human_duration(round(planned.typical_s))}, " if planned.typical_s else ""
    return f"{usual}up to {human_duration(math.ceil(planned.total_s))} on a quiet machine, longer beside other work"


def _phases(planned: Plan) -> str:
    """Say how long the phases of a study take; measuring ends early when all intervals are narrow enough."""
    measure = human_duration(round(planned.measure_s + planned.check_s))
    return f"about {human_duration(round(planned.setup_s))} to set up and verify, up to {measure} to measure, on a quiet machine"


@dataclass(slots=True)
class _Places:
    """Where a study would run: the lines of the plan, the same for programs, and what would be skipped."""

    lines: dict[str, str]
    tree: dict[str, Any]
    unavailable: Mapping[str, MechanismUnavailableError]


def _on_this_host(study: Study) -> _Places:
    """Return the CPUs and networks of *study*; raises ConfigError if it cannot run here."""
    import random

    from zcload.host.topology import read_cores
    from zcload.lane.placement import place
    from zcload.runner import preflight

    cores = read_cores()
    preflight.check_host(study, cores)
    first = study.points[0]
    placement = place(first.placement, first.senders, first.receiver_count, cores, random.Random(0), first.relays)

    def cpus(sets: Sequence[frozenset[int]]) -> list[int]:
        return sorted(frozenset().union(*sets))

    sets = {"senders": cpus(placement.senders), "receivers": cpus(placement.receivers)}
    coordinator, drawn = cpus([placement.coordinator]), first.placement != "free"
    roles = ", ".join(f"{role} {','.join(map(str, numbers))}" for role, numbers in {**sets, "coordinator": coordinator}.items())
    relays = {"relays": cpus(placement.relays)} if placement.relays else {}
    networks = list(dict.fromkeys(_network(point) for point in study.points))
    return _Places(
        {"CPUs": roles + (" (roles are drawn anew for each generation)" if drawn else ""), "network": "; ".join(networks)},
        {"cpus": {**sets, **relays, "coordinator": coordinator, "drawn_anew": drawn}, "network": networks},
        preflight.unavailable(study, first),
    )


def _on_hosts(study: Study, cluster: Cluster) -> _Places:
    """Return the hosts that *study* asks for, without asking for them; raises ConfigError for what does not work between hosts."""
    from zcload.runner.cluster_refusals import refuse

    refuse(study)
    asked = f"senders {cluster.senders}, receivers {cluster.receivers}, {cluster.pattern}, through {cluster.scheduler}"
    none: dict[str, Any] = {"senders": [], "receivers": [], "coordinator": [], "drawn_anew": study.points[0].placement != "free"}
    tree = {"cpus": none, "network": ["hosts"], "cluster": {"scheduler": cluster.scheduler, "pattern": cluster.pattern}}
    return _Places({"hosts": f"{asked} (`zcload cluster check` asks them)"}, tree, {})


def show_plan(study: Study, check_windows: bool, as_json: bool) -> None:
    """Print what *study* needs: lanes, time, memory, disk, CPUs; as text or as JSON. Raises ConfigError if it cannot run here."""
    import json

    from zcload.runner.plan import plan

    places = _on_hosts(study, study.cluster) if study.cluster else _on_this_host(study)
    planned = plan(study, check_windows)
    each = " for each link" if study.cluster else ""
    if as_json:
        skipped = [{"variant": name, "reason": why.reason, "remedy": why.remedy} for name, why in places.unavailable.items()]
        print(
            json.dumps(
                {**planned.as_dict(study), "config": dict(study.config), **places.tree, "skipped": skipped}, indent=1, allow_nan=False
            )
        )
        return
    search = study.crossover
    facts = {
        "study": study.name,
        **({"search": f"where {search.contender} starts to beat {study.baseline}, along {search.sweep}"} if search else {}),
        "points": f"{len(planned.points)}: {_some(planned.points)}",
        "lanes": ", ".join(planned.lanes) + (" and the baseline at its best chunk" if study.best_chunk else ""),
        "schedule": study.schedule,
        "processes": f"{planned.processes} at once{each}",
        **places.lines,
        "memory": human_bytes(planned.memory_bytes),
        "disk": human_bytes(planned.disk_bytes),
        "time": expected(planned) if search else _phases(planned),
        "limit": f"a run that stalls ends after {human_duration(math.ceil(planned.limit_s))} at the latest",
    }
    for name, fact in facts.items():
        print(f"{name + ':':<11}{fact}")
    for name, why in places.unavailable.items():
        print(f"{'skipped:':<11}{name}: {why.reason}" + (f" ({why.remedy})" if why.remedy else ""))
