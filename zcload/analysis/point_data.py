"""Sort the records of a point and add them up as they are read, so that a result need not fit into memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zcload.analysis.cluster import HostTallies
from zcload.analysis.tally import Generation, add_counters, add_reports, add_samples, window_tally

if TYPE_CHECKING:
    from zcload.model.records.lines import Line
    from zcload.model.records.measurements import Block, Counters, LinkWorkers, Reports, Sample, SenderReport, ServerReport, Window


@dataclass(slots=True)
class PointData:
    """All records of one point, sorted out.

    *generations* hold the blocks that count: the uncontaminated ones and those kept because too many had to be repeated.
    *all_blocks* have the repeated ones too, *clean_blocks* only the uncontaminated. A generation in which that makes no
    difference is the same object in all three; one without a clean block is missing from *clean_blocks*.
    """

    # Each by the number of its generation, or of its replicate where the run has several: what an interval is over.
    generations: dict[int, Generation] = field(default_factory=dict)
    all_blocks: dict[int, Generation] = field(default_factory=dict)
    clean_blocks: dict[int, Generation] = field(default_factory=dict)
    blocks: int = 0
    repeated: int = 0
    kept_contaminated: int = 0
    foreign_share: float | None = None  # of the machine's CPUs: what others used in the blocks that count, on average
    windows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reports: dict[str, list[SenderReport]] = field(default_factory=lambda: defaultdict(list))
    workers: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # senders, receivers, relays
    servers: dict[str, list[ServerReport]] = field(default_factory=lambda: defaultdict(list))  # what was reported of real servers
    measured: int = 0  # generations that hold at least one block
    replicates: int = 0  # the fresh processes that measured them; 0: the run's own process did
    hosts: dict[str, HostTallies] = field(default_factory=lambda: defaultdict(HostTallies))  # by lane, of a run on several
    huge_shares: list[float] = field(default_factory=list)  # of each generation's file, where that is known
    cpus: tuple[int, ...] = ()  # how many CPUs senders, receivers and all workers together may use
    relays: tuple[int, ...] = ()  # of a lane: how many relays, the CPUs that they may use, and how many of these no other worker may

    def used(self) -> list[Generation]:
        """Return the generations that hold at least one block, in order."""
        return [self.generations[number] for number in sorted(self.generations) if self.generations[number].windows]


class Sorting:
    """Takes the records of one point: only blocks of *purpose* count, abandoned ones never, repeated ones only in `all_blocks`."""

    def __init__(self, purpose: str = "measure", *, clusters: bool = True) -> None:
        self._purpose, self._clusters = purpose, clusters
        self._replicates: dict[int, int] = {}  # by generation, where a fresh process measured it
        self._links: dict[int, list[LinkWorkers]] = {}  # by generation
        self._data = PointData()
        self._foreign: list[float] = []  # of each block that counts
        self._number: int | None = None  # of the generation whose lines are being read
        self._pending: dict[int, list[Window]] = defaultdict(list)  # windows of blocks that are not over
        self._samples: dict[int, list[Sample]] = defaultdict(list)  # the first and the last of a generation: the others say no more
        self._reports: dict[int, dict[str, list[SenderReport]]] = defaultdict(dict)
        self._counters: dict[int, list[Counters]] = defaultdict(list)
        self._fates: dict[int, dict[str, Generation]] = defaultdict(dict)

    def take(self, record: Line) -> None:
        """Take in the next record."""
        match record["kind"]:
            case "window" | "block" | "generation" | "sample" | "counters" | "reports":
                number = record["generation"]
            case _:
                return
        if number != self._number:
            if self._number is not None:
                self._add_up(self._number)
            self._number = number
        if record["kind"] == "window":
            if record["purpose"] == self._purpose:
                self._pending[number].append(record)
        elif record["kind"] == "block":
            if record["purpose"] == self._purpose:
                self._judge(record, number, self._pending.pop(number, []))
        elif record["kind"] == "generation":
            self._links[number] = record.get("links", [])
            if record["purpose"] == self._purpose and (share := record.get("file_huge_share")) is not None:
                self._data.huge_shares.append(share)
            replicate = record.get("replicate")
            if replicate is not None:
                self._replicates[number] = replicate
        elif record["kind"] == "sample":
            if record["purpose"] == self._purpose:
                samples = self._samples[number]
                samples[1 if samples else 0 :] = [record]
        elif record["kind"] == "counters":
            self._counters[number].append(record)
        elif record["kind"] == "reports":
            self._take_reports(record)

    def _take_reports(self, record: Reports) -> None:
        self._data.reports[record["lane"]].extend(record["senders"])
        self._reports[record["generation"]].setdefault(record["lane"], []).extend(record["senders"])
        if links := self._links.get(record["generation"]):
            self._data.hosts[record["lane"]].add_reports(record["senders"], links)
        self._data.relays = tuple(record.get("relays", ()))
        self._data.workers[record["lane"]] = (record["workers"][0], record["workers"][1], self._data.relays[0] if self._data.relays else 0)
        self._data.cpus = tuple(record["cpus"])
        if "server" in record:
            self._data.servers[record["lane"]].append(record["server"])

    def _judge(self, block: Block, number: int, windows: list[Window]) -> None:
        fate = block["fate"]
        if fate == "abandoned":
            return
        self._data.blocks += 1
        self._data.repeated += fate == "repeated"
        self._data.kept_contaminated += fate == "kept"
        if fate != "repeated" and "foreign_share" in block:
            self._foreign.append(block["foreign_share"])
        generation = self._fates[number].setdefault(fate, Generation(number))
        for window in windows:
            self._data.windows[window["lane"]] += 1
            if fate != "repeated" and "hosts" in window:
                self._data.hosts[window["lane"]].add(window, self._links.get(number, []))
            tally = window_tally(window, 0.0)  # what the idle machine uses is known at the end
            # A repeated block shares its number with its repetition: keep both, under keys that differ.
            generation.add(window, tally, window["block"] + (0.001 * (1 + window["attempt"]) if fate == "repeated" else 0))

    def finish(self, idle_cores: float | None) -> PointData:
        """Return all that was taken in, sorted; *idle_cores* is what the machine uses when idle, None if it is not known."""
        data = self._data
        data.foreign_share = max(0.0, sum(self._foreign) / len(self._foreign)) if self._foreign else None
        for number in {*self._fates, *self._samples, *self._reports, *self._counters}:
            self._add_up(number, last=True)
        for each in {
            id(each): each for found in (data.generations, data.all_blocks, data.clean_blocks) for each in found.values()
        }.values():
            _less_idle(each, idle_cores)
        data.measured = len(data.used())
        if self._clusters and self._replicates:
            data.replicates = len({self._replicates[g.number] for g in data.used() if g.number in self._replicates})
            self._merge(data)
        return data

    def _add_up(self, number: int, *, last: bool = False) -> None:
        """Make one of all that was read of a generation, in little memory. Lines that come later are added in the same way."""
        data = self._data
        fates = self._fates.pop(number, {})
        if not fates and number not in data.all_blocks:
            return
        samples = self._samples.pop(number, [])
        if not last and any(lane not in data.workers for sample in samples for lane in sample["lanes"]):
            self._samples[number], samples = samples, []  # how many workers it had may be known later
        reports, counters = self._reports.pop(number, {}), self._counters.pop(number, ())
        made: dict[tuple[int, ...], Generation] = {}  # what is alike in all three stays one object

        def whole(before: Generation | None, wanted: tuple[str, ...]) -> Generation:
            parts = [*([before] if before else ()), *(fates[fate] for fate in wanted if fate in fates)]
            key = tuple(map(id, parts))
            if key not in made:
                made[key] = found = parts[0] if before is None and len(parts) == 1 == len(fates) else Generation(number)
                for part in parts if found not in parts else ():
                    found.merge(part)
                add_samples(found, samples, data.workers)
                add_reports(found, reports)
                add_counters(found, counters)
                found.pack()
            return made[key]

        data.all_blocks[number] = whole(data.all_blocks.get(number), ("counted", "kept", "repeated"))
        data.generations[number] = whole(data.generations.get(number), ("counted", "kept"))
        if "counted" in fates or number in data.clean_blocks:
            data.clean_blocks[number] = whole(data.clean_blocks.get(number), ("counted",))

    def _merge(self, data: PointData) -> None:
        """Make one cluster of the generations of each replicate: they share the luck that a fresh process brings."""
        made: dict[tuple[int, ...], Generation] = {}  # what is alike in all three stays one object

        def clusters(generations: dict[int, Generation]) -> dict[int, Generation]:
            parts: dict[int, list[Generation]] = defaultdict(list)
            for number in sorted(generations):
                parts[self._replicates.get(number, number)].append(generations[number])
            found = {}
            for replicate, members in parts.items():
                key = tuple(map(id, members))
                if key not in made:
                    made[key] = _cluster(replicate, members)
                found[replicate] = made[key]
            return found

        whole = (data.generations, data.all_blocks, data.clean_blocks)  # kept alive: `made` knows them by their identity
        data.generations, data.all_blocks, data.clean_blocks = map(clusters, whole)


def _cluster(replicate: int, members: Sequence[Generation]) -> Generation:
    """Return all generations of a replicate as one; a single one, which most have, is not copied."""
    if len(members) == 1:
        return replace(members[0], number=replicate)
    whole = Generation(replicate)
    for member in members:
        whole.merge(member, apart=True)
    whole.pack()
    return whole


def _less_idle(generation: Generation, idle_cores: float | None) -> None:
    for lane, total in generation.sums.items():
        if "machine_cpu_s" not in total:
            continue
        if idle_cores is None:
            generation.sums[lane] = total.without("machine_")
        else:
            total["machine_cpu_s"] -= idle_cores * total["machine_wall_s"]


def sort_out(records: Iterable[Line], idle_cores: float | None, purpose: str = "measure", *, clusters: bool = True) -> PointData:
    """Sort the *records* of one point at once; without *clusters* generations stay apart that one replicate measured."""
    sorting = Sorting(purpose, clusters=clusters)
    for record in records:
        sorting.take(record)
    return sorting.finish(idle_cores)
