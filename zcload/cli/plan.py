"""`zcload run --plan`: what a study will take, and which variants will be skipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def show_plan(study: Study, check_windows: bool, as_json: bool) -> None:
    """Print what *study* needs: lanes, time, memory, disk, CPUs; as text or as JSON. Raises ConfigError if it cannot run here."""
    import json
    import random

    from zcload.host.topology import read_cores
    from zcload.lane.placement import place
    from zcload.runner import preflight
    from zcload.runner.plan import plan

    cores = read_cores()
    preflight.check_host(study, cores)
    planned = plan(study, check_windows)
    first = study.points[0]
    placement = place(first.placement, first.senders, first.receiver_count, cores, random.Random(0), first.relays)
    unavailable = preflight.unavailable(study, first)

    if as_json:
        tree = {
            **planned.as_dict(study),
            "config": dict(study.config),
            "cpus": {
                "senders": sorted(frozenset().union(*placement.senders)),
                "receivers": sorted(frozenset().union(*placement.receivers)),
                **({"relays": sorted(frozenset().union(*placement.relays))} if placement.relays else {}),
                "coordinator": sorted(placement.coordinator),
                "drawn_anew": first.placement != "free",
            },
            "network": list(dict.fromkeys(_network(point) for point in study.points)),
            "skipped": [{"variant": name, "reason": why.reason, "remedy": why.remedy} for name, why in unavailable.items()],
        }
        print(json.dumps(tree, indent=1, allow_nan=False))
        return

    def cpus(sets: Sequence[frozenset[int]]) -> str:
        return ",".join(map(str, sorted(frozenset().union(*sets))))

    roles = f"senders {cpus(placement.senders)}, receivers {cpus(placement.receivers)}, coordinator {cpus([placement.coordinator])}"
    shuffled = "" if study.points[0].placement == "free" else " (roles are drawn anew for each generation)"
    search = study.crossover
    facts = {
        "study": study.name,
        **({"search": f"where {search.contender} starts to beat {study.baseline}, along {search.sweep}"} if search else {}),
        "points": f"{len(planned.points)}: {_some(planned.points)}",
        "lanes": ", ".join(planned.lanes) + (" and the baseline at its best chunk" if study.best_chunk else ""),
        "schedule": study.schedule,
        "processes": f"{planned.processes} at once",
        "CPUs": roles + shuffled,
        "network": "; ".join(dict.fromkeys(_network(point) for point in study.points)),
        "memory": human_bytes(planned.memory_bytes),
        "disk": human_bytes(planned.disk_bytes),
        "time": expected(planned) if search else _phases(planned),
        "limit": f"ends after {human_duration(math.ceil(planned.limit_s))}, whatever stalls",
    }
    for name, fact in facts.items():
        print(f"{name + ':':<11}{fact}")
    for name, why in unavailable.items():
        print(f"{'skipped:':<11}{name}: {why.reason}" + (f" ({why.remedy})" if why.remedy else ""))
