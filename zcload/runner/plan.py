"""What a study will take before it runs: points, lanes, time, memory, disk, CPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zcload.analysis.crossover_search import COARSE
from zcload.lane.payload import required_memory
from zcload.mechanisms import mechanism_called, mechanism_of
from zcload.model.sizes import format_sizes
from zcload.model.study import Point, Study
from zcload.model.timing import FEWEST_GENERATIONS, generation_s, lanes_measured, shortest_window_s
from zcload.model.units import format_frequency, format_rate, format_size
from zcload.runner import limits
from zcload.runner.calibrate import extra_s, lanes_at_once
from zcload.runner.point import GENERATION_S
from zcload.sinks import SINKS


def _word(flag: bool) -> str:
    """Write a flag as a config does."""
    return str(flag).lower()


_SHOWN_AS: dict[str, Callable[[Any], str]] = {
    "file_size": format_size,
    "chunk": format_size,
    "receive_chunk": format_size,
    "rate": format_rate,
    "transfer_size": format_sizes,
    "transfer_rate": format_frequency,
    "offloads": _word,
    "gso_max_size": format_size,
}
_FILE_BYTES_PER_S = 0.5e9  # a made file is hashed out at about this rate a CPU; an order of magnitude, for the plan only
_VERIFY_BYTES_PER_S = 0.8e9
_CALIBRATE_S = 6.0
_OWN_S = 1.5  # the run's own start, its look at the host, and the evaluation
_PROCESS_S = 0.5  # a fresh interpreter with zcload imported, for each replicate
_PAGE_S_PER_POINT, _PAGE_S = 0.7, 8.0  # some 14 drawings of 50 ms each, and no more than report.html draws
_LEAST_CLUSTERS = 3  # replicates that a point gets whatever its limit: PointState.reason_to_stop wants a spread


_FIELDS = {"rate": "rate_bps", "transfer_rate": "transfers_per_s"}  # of a point, where they are not the keys


def _idle_keys(point: Point) -> tuple[str, ...]:
    """Return the keys that mean nothing at *point*."""
    keys: tuple[str, ...] = () if point.network == "veth" else ("mtu", "offloads", "gso_max_size")
    if point.transfer == "stream":
        return (*keys, "transfer_size", "connection", "header_bytes", "arrivals", "transfer_rate")
    return (*keys, "rate") if point.arrivals != "closed" else (*keys, "rate", "transfer_rate")


def point_name(study: Study, point: Point) -> str:
    """Return how *point* differs from the study's other points: "chunk=64KiB, senders=4"; empty when there is only one."""
    parts = []
    for key in study.swept:
        if key in _idle_keys(point):
            continue
        value = getattr(point, _FIELDS.get(key, key))
        shown = _SHOWN_AS.get(key)
        parts.append(f"{key}={shown(value) if shown and (value is not None or key == 'rate') else 'auto' if value is None else value}")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """The points by name, the lanes of each, and what all of it needs: seconds at most, bytes of memory and of disk, processes at once."""

    points: tuple[str, ...]
    lanes: tuple[str, ...]
    setup_s: float
    measure_s: float
    check_s: float
    memory_bytes: int
    disk_bytes: int
    processes: int
    limit_s: float  # until the page is written, whatever stalls and however loaded the machine is: the limits of all phases
    typical_s: float | None = None  # of a search: how long it takes where the noise is ordinary

    @property
    def total_s(self) -> float:
        return self.setup_s + self.measure_s + self.check_s

    def as_dict(self, study: Study) -> dict[str, Any]:
        """Return the plan of *study* as JSON data; docs/exchange.md describes the keys."""
        search = study.crossover
        return {
            "study": study.name,
            "search": {"contender": search.contender, "baseline": study.baseline, "sweep": search.sweep} if search else None,
            "points": list(self.points),
            "variants": [{"name": v.name, "mechanism": v.mechanism} for v in study.variants],
            "baseline": study.baseline,
            "best_chunk": study.best_chunk,
            "schedule": study.schedule,
            "processes": self.processes,
            "memory_bytes": self.memory_bytes,
            "disk_bytes": self.disk_bytes,
            "setup_s": self.setup_s,
            "measure_s": self.measure_s,
            "check_s": self.check_s,
            "total_s": self.total_s,
            "typical_s": self.typical_s,
            "limit_s": self.limit_s,
        }


def plan(study: Study, check_windows: bool = False) -> Plan:
    """Estimate what *study* (resolved) takes; the time to measure is the limit, a study may well stop earlier."""
    lanes = tuple(f"{v.name} ({v.mechanism})" if v.name != v.mechanism else v.name for v in study.variants)
    running, measured = lanes_at_once(study), lanes_measured(study)
    made = {p.file_identity: p for p in study.points if p.file is None}.values()
    own = {p.file_size for p in study.points if p.file is not None}
    setup = sum(p.file_size / _FILE_BYTES_PER_S / 2 for p in made) + sum(size / 1.5e9 for size in own)
    setup += sum(measured * p.file_size / _VERIFY_BYTES_PER_S + (_CALIBRATE_S if study.best_chunk else 2.0) for p in study.points)
    setup += sum(extra_s(study, p) for p in study.points)
    setup += limits.LONGEST_WAIT_S + _OWN_S + min(_PAGE_S, _PAGE_S_PER_POINT * len(study.points))  # before and after all points
    check = sum(limits.planned_check_s(study, p) for p in study.points)
    private = max(
        sum(
            p.senders * mechanism_of(v).private_bytes(p.file_size, v.chunk)
            + p.receiver_count * SINKS[v.sink].private_bytes(p.receive_chunk)
            + (p.senders * mechanism_called(p.origin).private_bytes(p.file_size, p.chunk) if p.origin else 0)
            for v in (*study.contenders(p), *[study.variant(study.baseline).at(p)] * (running - len(study.variants)))
        )
        for p in study.points
    )
    search = study.crossover
    return Plan(
        points=tuple(point_name(study, p) or "one point" for p in study.points),
        lanes=lanes,
        setup_s=0.0 if search else setup,  # a search's own time holds the setting-up of its points
        measure_s=search.max_time_s if search else sum(_point_s(study, p) for p in study.points),
        check_s=check if check_windows else 0.0,
        memory_bytes=sum(required_memory(p) for p in made) + private,
        disk_bytes=sum(p.file_size for p in made if p.dir is not None),
        processes=running * max(p.senders + p.receiver_count + p.relays for p in study.points),
        limit_s=limits.run_s(study, check_windows),
        typical_s=min(search.max_time_s, _search_s(study, setup)) if search else None,
    )


def _point_s(study: Study, point: Point) -> float:
    """Return how long measuring *point* takes at most: the limit, or the generations that it gets whatever the limit."""
    generation = generation_s(study, point, shortest_window_s(study, point), lanes_measured(study))
    least_s = FEWEST_GENERATIONS * generation
    if study.stop.replicates > 1:  # each makes its file anew
        made_s = point.file_size / _FILE_BYTES_PER_S / 2 if point.file is None else 0.0
        least_s = _LEAST_CLUSTERS * (_PROCESS_S + made_s + generation)
    return max(study.stop.max_time_s, least_s)


def _search_s(study: Study, setup_s: float) -> float:
    """Estimate how long a search takes: simulated ones measured 5 coarse and about 5 fine values, with 60 to 75 generations in all."""
    values = min(len(study.points), 2 * COARSE)
    generations = values * (study.stop.min_generations + 1)
    return setup_s * values / len(study.points) + generations * GENERATION_S * 1.6
