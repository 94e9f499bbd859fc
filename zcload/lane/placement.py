"""Choose the CPUs of senders, receivers, relays and the coordinator: a pure function of topology, worker counts and a seed.

Placement changes the result by up to a factor of two, so it is decided here and recorded: the same seed gives the same CPUs.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from zcload.errors import ConfigError, Problem
from zcload.host.topology import Core
from zcload.model.cautions import Caution, caution
from zcload.model.study import PlacementKey

CpuSet = frozenset[int]


@dataclass(frozen=True, slots=True)
class Placement:
    """The CPU set of each sender, of each receiver, of the coordinator and of each relay, with cautions about them."""

    senders: tuple[CpuSet, ...]
    receivers: tuple[CpuSet, ...]
    coordinator: CpuSet
    cautions: tuple[Caution, ...] = ()
    relays: tuple[CpuSet, ...] = ()

    @property
    def workers(self) -> tuple[CpuSet, ...]:
        """The CPU set of each sender, then of each receiver, then of each relay."""
        return self.senders + self.receivers + self.relays


def choose_placement(placement: PlacementKey, cores: Iterable[Core]) -> Literal["spread", "same", "free"]:
    """Return the placement that `auto` means on the allowed *cores*: `spread` where there are two CPUs, else `same`; any other as it is."""
    if placement != "auto":
        return placement
    return "spread" if len(_cpus(cores)) > 1 else "same"


def place(
    placement: PlacementKey,
    senders: int,
    receivers: int,
    cores: Iterable[Core],
    rng: random.Random,
    relays: int = 0,
    *,
    swapped: bool = False,
) -> Placement:
    """Return the CPU sets for *senders*, *receivers* and *relays* (counts) on the allowed *cores*; where hosts differ by role, some are 0.

    `spread` gives every worker a physical core of its own where there are enough; where there are not, no relay shares a core with a
    sender or receiver, since the relay is what is compared. `same` puts all workers on one CPU, `free` leaves every worker all allowed
    CPUs, `auto` is what `choose_placement` makes of it. With *swapped* the same draw gives the roles the other way round. Raises
    ConfigError if `spread` finds only one CPU.
    """
    ordered = sorted(cores, key=lambda core: core.cpus)
    match choose_placement(placement, ordered):
        case "spread":
            return _spread(senders, receivers, relays, ordered, rng, swapped)
        case "same":
            return _same(senders, receivers, relays, ordered, rng, swapped)
        case "free":
            everywhere = _cpus(ordered)
            return Placement((everywhere,) * senders, (everywhere,) * receivers, everywhere, relays=(everywhere,) * relays)


def _same(senders: int, receivers: int, relays: int, cores: Sequence[Core], rng: random.Random, swapped: bool) -> Placement:
    cpu = rng.choice(sorted(_cpus(cores), reverse=swapped))
    others = _cpus(core for core in cores if cpu not in core.cpus)
    one = (CpuSet({cpu}),)
    return Placement(one * senders, one * receivers, others or _cpus(cores), relays=one * relays)


def _spread(senders: int, receivers: int, relays: int, cores: Sequence[Core], rng: random.Random, swapped: bool) -> Placement:
    everywhere = _cpus(cores)
    if len(everywhere) < 2 and senders and receivers:
        only = ", ".join(map(str, everywhere)) or "none"
        what = f'placement "spread" needs two CPUs, and this process may use only one (CPU {only})'
        raise ConfigError(Problem(what, key="workload.placement", remedy='set placement = "auto", "same" or "free", or allow more CPUs'))
    if len(cores) == 1:
        # One core's hardware threads are then all there is to spread over.
        cores = [replace(cores[0], cpus=(cpu,)) for cpu in cores[0].cpus]
    workers = senders + receivers + relays
    if len(cores) >= workers:
        used, coordinator = _pick(cores, workers)
        relay_cores, sender_cores = relays, senders
    else:
        used, coordinator = list(cores), everywhere
        relay_cores = min(max(round(len(used) * relays / workers), 1), len(used) - 1) if relays else 0
        left = len(used) - relay_cores
        sender_cores = min(max(round(left * senders / (senders + receivers)), bool(senders)), left - bool(receivers))
    # Only the roles are shuffled, not which cores take part: fast and slow cores of a hybrid CPU would else make generations differ.
    rng.shuffle(used)
    if swapped:
        used.reverse()
    relay_sets, used = _deal(relays, used[:relay_cores]), used[relay_cores:]
    if sender_cores:
        sender_sets, receiver_sets = _deal(senders, used[:sender_cores]), _deal(receivers, used[sender_cores:])
    else:  # beside the relays there is one core left, which both ends share
        sender_sets, receiver_sets = _deal(senders, used), _deal(receivers, used)
    together = sender_sets + receiver_sets + relay_sets
    return Placement(sender_sets, receiver_sets, coordinator, _smt_cautions(_union(together), cores), relay_sets)


def _pick(cores: Sequence[Core], workers: int) -> tuple[list[Core], CpuSet]:
    """Return *workers* cores near each other, and the CPUs of the coordinator: a spare core's, or all if there is none."""
    near = _near(cores, workers)
    if len(near) > workers:
        # The lowest core is the coordinator's: CPU 0 is where interrupts arrive unless someone moved them.
        return near[1 : workers + 1], _cpus(near[:1])
    spare = [core for core in cores if core not in near]
    return near, _cpus(spare[:1] or cores)


def _near(cores: Sequence[Core], wanted: int) -> list[Core]:
    """Return the first group of at least *wanted* cores that share a last-level cache, else a NUMA node, else all cores."""
    caches: dict[CpuSet, list[Core]] = {}
    nodes: dict[int | None, list[Core]] = {}
    for core in cores:
        if core.cache_cpus:
            caches.setdefault(core.cache_cpus, []).append(core)
        nodes.setdefault(core.node, []).append(core)
    for group in (*caches.values(), *nodes.values()):
        if len(group) >= wanted:
            return group
    return list(cores)


def _deal(workers: int, cores: Sequence[Core]) -> tuple[CpuSet, ...]:
    """Give each of *workers* one CPU, round robin: first the cores' first hardware threads, then their siblings."""
    ranks = zip_longest(*(core.cpus for core in cores))
    cpus = [cpu for rank in ranks for cpu in rank if cpu is not None]
    return tuple(CpuSet({cpus[worker % len(cpus)]}) for worker in range(workers))


def _smt_cautions(used: CpuSet, cores: Iterable[Core]) -> tuple[Caution, ...]:
    shared = sorted({core.siblings for core in cores if len(used.intersection(core.siblings)) > 1})
    if not shared:
        return ()
    pairs = "; ".join(" and ".join(str(cpu) for cpu in siblings if cpu in used) for siblings in shared)
    return (caution("smt_siblings", found=f"workers share a physical core (CPUs {pairs})"),)


def _cpus(cores: Iterable[Core]) -> CpuSet:
    return CpuSet(cpu for core in cores for cpu in core.cpus)


def _union(sets: Iterable[CpuSet]) -> CpuSet:
    return CpuSet().union(*sets)
