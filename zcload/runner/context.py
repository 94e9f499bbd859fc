"""What all generations of a point share, and how its lanes are set up and torn down."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from zcload.errors import StudyError, ZcloadError
from zcload.host.cache import WARM, FileCache
from zcload.host.machine import Machine
from zcload.host.topology import Core
from zcload.lane.contract import Identity, Lane, PlacedLane
from zcload.lane.file_pages import few_huge_pages
from zcload.lane.network import Network
from zcload.lane.payload import Source
from zcload.lane.placement import Placement, place
from zcload.lane.rest import wait_for_rest
from zcload.lane.sampler import Sampler, Samples
from zcload.lane.set_up import set_up
from zcload.lane.small_files.transfer_plan import expected_digests
from zcload.linux.perf_event import Ability
from zcload.mechanisms import mechanism_of
from zcload.model.cautions import Caution, caution
from zcload.model.study import Contender, Point, Study
from zcload.model.units import human_bytes
from zcload.runner.block import Emit
from zcload.runner.window import drop_mappings

if TYPE_CHECKING:
    from zcload.cluster.bench import Bench
    from zcload.server.root import ServedFile

VERIFY_STALL_S = 10.0
BARE = "#"  # how the name of a lane begins that is no variant: it measures zcload's own cost in calibration


class PointFailed(StudyError):
    """A point cannot be measured; the study's others may go on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a *lane* ended: connections of others that came late, what was *odd* about its server, which of its workers was *killed*."""

    lane: str
    strangers: int = 0
    odd: str | None = None
    killed: StudyError | None = None


@dataclass(slots=True)
class PointContext:
    """A point of a study on this host. *out*, *cautioned*, *strangers*, *identities* and *half_measured* are those of its state."""

    study: Study
    index: int
    point: Point
    source: Source
    cache: FileCache
    network: Network
    cores: tuple[Core, ...]
    congestion: str | None
    machine: Machine | Bench
    rng: random.Random
    interrupts_apart: bool
    emit: Emit
    served: ServedFile | None = None  # the file as servers find it, where there are any
    perf: Ability | None = None  # which perf events may be counted
    out: dict[str, str] = field(default_factory=dict)
    cautioned: set[str] = field(default_factory=set)
    strangers: dict[str, int] = field(default_factory=dict)  # connections of others that were refused so far, by lane
    identities: dict[str, Identity] = field(default_factory=dict)  # of the file that servers which ran before serve
    half_measured: list[int] = field(default_factory=list)  # a draw of CPU roles that was measured one way round only, if any
    replicate: int | None = None  # the number of the fresh process that measures now; None: the run measures in its own
    digests: tuple[str, ...] = ()  # of the small files that verification sends
    seed: int = 0  # of random arrivals, drawn anew for each generation and the same in all of its lanes
    cached: float | None = None  # which share of the file was cached before the lanes were last set up

    @property
    def together(self) -> bool:
        return self.study.schedule == "together"

    def record(self, record: dict[str, Any]) -> None:
        """Emit *record* as one of this point."""
        self.emit({"kind": record["kind"], "point": self.index, **record})

    def caution(self, code: str, /, **fields: object) -> None:
        """Record the caution *code* of the table, once for each code and point."""
        self.record_caution(caution(code, **fields))

    def record_caution(self, found: Caution) -> None:
        """Record a caution, once for each code and point."""
        if found.code not in self.cautioned:
            self.cautioned.add(found.code)
            self.record({"kind": "caution", **found.as_dict()})

    def record_perf(self) -> None:
        """Record which perf events may be counted, and why not the others."""
        if self.perf is not None:
            self.record({"kind": "perf", "events": list(self.perf.events), "reasons": self.perf.reasons, "user_only": self.perf.user_only})

    def record_network(self) -> None:
        """Record the settings of the point's network, if it was made for the run, and how they differ from the host's."""
        facts = self.network.facts
        if not facts:
            return
        self.record({"kind": "network", **facts})
        if facts["settings_differ"]:
            self.caution("veth_settings", settings=", ".join(facts["settings_differ"]))

    def remove(self, name: str, error: ZcloadError) -> None:
        """Take a failed variant out of the point; raises PointFailed if it is the baseline, without which nothing can be compared."""
        if name.startswith(BARE):
            self.caution("own_cost_unknown", reason=error)
            return
        self.out[name] = str(error)
        self.record({"kind": "failed", "variant": name, "reason": str(error)})
        if name == self.study.baseline:
            raise PointFailed(f"the baseline failed: {error}")

    def roles(self) -> Placement:
        """Draw the CPU roles of a generation and move the coordinator out of the way.

        The next generation has the roles of the same draw the other way round. One CPU can be better for a sender: with this, each CPU has
        each role equally often.
        """
        point = self.point
        swapped = bool(self.half_measured)
        draw = self.half_measured.pop() if swapped else self.rng.getrandbits(32)
        if not swapped:
            self.half_measured.append(draw)
        placement = place(
            point.placement, point.senders, point.receiver_count, self.cores, random.Random(draw), point.relays, swapped=swapped
        )
        for found in placement.cautions:
            self.record_caution(found)
        os.sched_setaffinity(0, placement.coordinator)
        return placement

    @contextmanager
    def lanes(
        self, groups: Sequence[Sequence[Contender]], *, verify: bool = False, started: Callable[[str], None] | None = None
    ) -> Iterator[list[dict[str, PlacedLane]]]:
        """Set up the lanes of the variants of each group, in random order, ready for their first window; tear all down at the end.

        With *verify* the file is sent through each and its digests are compared. A variant that fails is removed, the others continue; so
        is one with a worker that died after its last use. *started* is told each variant's name before its turn.
        """
        placement = self.roles()
        if self.point.arrivals != "closed":
            self.seed = self.rng.getrandbits(32)
        self.source.check()
        self._settle()
        lanes: list[dict[str, PlacedLane]] = [{} for _ in groups]
        order = [(number, variant) for number, group in enumerate(groups) for variant in group]
        self.rng.shuffle(order)
        try:
            for number, variant in order:
                if started:
                    started(variant.name)
                try:
                    self._bring_up(variant, placement, verify, lanes[number])
                except StudyError as error:
                    self.drop(lanes, variant.name, error)
            yield lanes
            self._check_health(lanes)
        finally:
            ended = [self._take_down(lane) for group in lanes for lane in group.values()]
            for each in ended:
                self._note_end(each)
        for each in ended:
            if each.killed is not None:
                self.remove(each.lane, each.killed)

    def sampler(self, groups: Sequence[Mapping[str, PlacedLane]]) -> Samples:
        """Return what samples the processes of the lanes of *groups* at rest."""
        return Sampler([cast("Mapping[str, Lane]", group) for group in groups])

    def report(self, placed: PlacedLane) -> dict[str, Any]:
        """Return what the workers of a lane report at the end of a generation."""
        lane = cast("Lane", placed)
        return {
            "lane": lane.name,
            "workers": [len(lane.workers.senders), len(lane.workers.receivers)],
            "cpus": cpus_of(lane.placement),
            "senders": lane.report(),
            **relay_facts(lane.placement),
            **lane.facts(),
        }

    def facts(self) -> dict[str, Any]:
        """Return what the record of a generation has about where it runs: on one host, how much of the file lies in huge pages."""
        return {"file_huge_share": round(self.source.huge_share, 4)} if self.source.huge_share is not None else {}

    def _settle(self) -> None:
        """See to the file's cache state, and say where it cannot be what it should be."""
        self.cached = self.cache.settle()
        if self.cached is None:
            self.caution("cache_unverified", state=self.point.cache)
        elif not self.cache.cold and self.cached < WARM:
            self.caution("not_resident", percent=100 * self.cached, size=human_bytes(self.source.size))
        if few_huge_pages(self.point.file_pages, self.source.huge_share, self.source.size):
            self.caution("few_huge_pages", percent=100 * (self.source.huge_share or 0), size=human_bytes(self.source.size))

    def drop(self, lanes: Sequence[dict[str, PlacedLane]], name: str, error: ZcloadError) -> None:
        """Tear down the lane of a variant that failed and remove it; if the file was changed, all variants fail."""
        for group in lanes:
            if name in group:
                self._note_end(self._take_down(group.pop(name)))
        self.source.check()
        self.remove(name, error)

    def _bring_up(self, variant: Contender, placement: Placement, verify: bool, lanes: dict[str, PlacedLane]) -> None:
        verify = verify and mechanism_of(variant).moves_payload
        lane = self._set_up(variant, placement, verify)
        lane.cache = self.cache
        lanes[variant.name] = lane
        check_identity(self.identities, lane.name, lane.identity)
        self._count_strangers(lane.name, lane.unauthenticated)
        if verify:
            lane.verify(self._expected(lane), VERIFY_STALL_S)
        else:
            lane.ready()
        wait_for_rest(lane)  # what setting up has started must not end in the first window
        if verify:
            moved, traced = lane.received(), lane.traced()
            if self.cache.cold:
                drop_mappings(lane)
            self.record({"kind": "verified", "variant": variant.name, "digest": self.source.digest, "bytes": moved})
            if traced is not None:
                self.record({"kind": "traced", "variant": variant.name, "trace": traced})

    def _expected(self, lane: Lane) -> tuple[str, ...]:
        """Return the SHA-256 of what each connection brings in verification: a share of the file, or some small files."""
        if lane.transfer_plan is None:
            return self.source.share_digests(lane.parts, lambda what, fraction: None)
        if not self.digests:
            self.digests = expected_digests(self.point, self.source.fd, self.source.size)
        return self.digests

    def _set_up(self, variant: Contender, placement: Placement, verify: bool) -> Lane:
        if variant.server is not None:
            assert self.served is not None
            from zcload.server.server_lane import set_up_server

            return set_up_server(variant, self.point, self.served, placement, self.network, seed=self.seed)
        return set_up(
            variant,
            self.point,
            fd=self.source.fd,
            size=self.source.size,
            placement=placement,
            congestion=self.congestion,
            verify=verify,
            network=self.network,
            seed=self.seed,
        )

    def _count_strangers(self, name: str, count: int) -> None:
        """Add *count* connections of others that lane *name* refused, and record the new total of all lanes and phases."""
        if count:
            self.strangers[name] = self.strangers.get(name, 0) + count
            self.record({"kind": "caution", **caution("strangers", count=sum(self.strangers.values())).as_dict()})

    def _check_health(self, lanes: Sequence[dict[str, PlacedLane]]) -> None:
        """Drop each lane of which a process has ended; raise PointFailed if the network's keeper has."""
        for group in lanes:
            for lane in list(group.values()):
                if lane.name in group and (error := self._failure(lane)) is not None:
                    self.drop(lanes, lane.name, error)
        if (gone := self.network.failure()) is not None:
            raise PointFailed(str(gone))

    def _failure(self, placed: PlacedLane) -> StudyError | None:
        """Return what is wrong with a lane that is at rest."""
        return cast("Lane", placed).failure()

    def retire(self, placed: PlacedLane) -> StudyError | None:
        """Tear a lane down before the others of its generation; return what was wrong with it."""
        error, ended = self._failure(placed), self._take_down(placed)
        self._note_end(ended)
        return ended.killed or error

    def _take_down(self, placed: PlacedLane) -> Ended:
        """Tear a lane down and return how it ended. Never raises, and so records nothing: the disk may be full."""
        lane = cast("Lane", placed)
        strangers = lane.late_unauthenticated()
        lane.tear_down()
        return Ended(lane.name, strangers, lane.odd, lane.workers.killed)

    def _note_end(self, ended: Ended) -> None:
        """Record what there is to tell of a lane that was torn down."""
        self._count_strangers(ended.lane, ended.strangers)
        if ended.odd:
            self.caution("server_end", variant=ended.lane, reason=ended.odd)


def check_identity(known: dict[str, Identity], server: str, identity: Identity | None) -> None:
    """Raise StudyError if a *server* that ran before serves another file than the one in *known*, by its headers; None: it cannot."""
    if identity is None:
        return
    for field_name, then, now in zip(("ETag", "Last-Modified"), known.setdefault(server, identity), identity, strict=True):
        if then != now:
            seen = f"{field_name} was {_quoted(then)} and is {_quoted(now)}"
            raise StudyError(f"server {server}: the file that it serves has changed since it was verified: {seen}")


def _quoted(text: str | None) -> str:
    return "missing" if text is None else repr(text[:60])


def cpus_of(placement: Placement) -> list[int]:
    """Return how many CPUs the senders, the receivers, and all workers together may use."""
    return [len(frozenset().union(*sets)) for sets in (placement.senders, placement.receivers, placement.workers)]


def relay_facts(placement: Placement) -> dict[str, Any]:
    """Return {"relays": how many relays a lane has, the CPUs that they may use, and how many of these no other worker may}, or nothing."""
    if not placement.relays:
        return {}
    own = frozenset().union(*placement.relays)
    return {"relays": [len(placement.relays), len(own), len(own.difference(*placement.senders, *placement.receivers))]}
