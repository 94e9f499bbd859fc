"""Analyse one point: its records become lanes, comparisons, figures, cautions, and its part of the summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import cast

from zcload.analysis import rate
from zcload.analysis.bottleneck import bottleneck
from zcload.analysis.caution_rules import arrivals_missed, point_cautions
from zcload.analysis.cluster import edge_cautions, edge_part, edges
from zcload.analysis.columns import Generations
from zcload.analysis.comparisons import (
    Comparison,
    aa_outside,
    compare,
    judge,
    judge_beside_load,
    smallest_saving_percent,
)
from zcload.analysis.cost_breakdown import cost_breakdown
from zcload.analysis.estimates import difference_to, metric_record
from zcload.analysis.events import Events
from zcload.analysis.explanation import reasons
from zcload.analysis.latency import describe as describe_latency
from zcload.analysis.own_cost import LOOP, cost_per_call, costs_per_call, own_cost, receiver_own_cost
from zcload.analysis.point_data import Sorting
from zcload.analysis.relays import relay_part
from zcload.analysis.servers import server_cautions, server_facts
from zcload.analysis.stats import Bootstrap
from zcload.analysis.tally import Generation
from zcload.analysis.window_check import window_check
from zcload.analysis.zerocopy_check import zerocopy_check
from zcload.model.cautions import Caution, caution
from zcload.model.metrics import (
    METRICS,
    SENDER_CPU_S_PER_TRANSFER,
    TRANSFERS_PER_S,
)
from zcload.model.records.lines import MEASUREMENT_KINDS, Header, Line, PlannedPoint
from zcload.model.records.measurements import SenderReport
from zcload.model.records.summary import (
    ComparisonRecord,
    Latency,
    PointSummary,
    Rate,
    Status,
    VariantRecord,
)
from zcload.model.records.values import LaneFacts, NetworkFacts, PerfFacts
from zcload.model.study import SERVER

LOADED = 0.10  # of the machine's CPUs, used by others on average over the blocks: beyond it a result is not to be quoted


class SortedRecords:
    """The records of one point on their way: windows become sums, events are kept."""

    def __init__(self) -> None:
        self.events = Events()
        self.measured, self.checked = Sorting(), Sorting("check", clusters=False)

    def take(self, record: Line) -> None:
        if record["kind"] in MEASUREMENT_KINDS:
            purpose = record.get("purpose")
            if purpose != "check":
                self.measured.take(record)
            if purpose != "measure":
                self.checked.take(record)
        else:
            self.events.take(record)


class PointAnalysis:
    """One point on its way from records to its part of the summary."""

    def __init__(
        self, header: Header, described: PlannedPoint, records: SortedRecords, key: str, margin: float, where: str, index: int
    ) -> None:
        self.header, self.described, self.key, self.margin, self.where, self.index = header, described, key, margin, where, index
        self.events = records.events
        self.calibrated = self.events.calibrated
        self.receive_loop_s = (self.calibrated.get("receive_loop_s") if self.calibrated else None) or {}
        self.idle_cores = self.events.idle.cores
        self.data = records.measured.finish(self.idle_cores)
        self.generations = Generations(self.data.used())
        self.bootstrap = Bootstrap(len(self.generations))
        alike = [*map(id, self.data.all_blocks.values())] == [*map(id, self.generations)]
        self.everything = self.generations if alike else Generations(self.data.all_blocks.values())
        self.lanes = self._lanes()
        self.baseline: str = header["baseline"]
        self.best = self.calibrated.get("best_chunk_lane") if self.calibrated else None
        self.comparisons = self._compare(self.baseline)
        self.best_comparisons = self._compare(self.best) if self.best and self.best != self.baseline else []
        outside = aa_outside(self.comparisons, margin)
        self.over_comparisons = self._compare_over()
        for comparisons in (self.comparisons, self.best_comparisons, self.over_comparisons):
            judge(comparisons, margin, outside)
        self.loaded = (self.data.foreign_share or 0.0) > LOADED
        if self.loaded:
            judge_beside_load(self.all_comparisons, margin)
        self.rates = self._rates()
        window_s = self.calibrated.get("check_window_s") if self.calibrated else None
        self.check = window_check(records.checked.finish(self.idle_cores), self.comparisons, key, window_s)
        self.per_call = costs_per_call(self.lanes, self.calibrated, list(self.data.all_blocks.values()))
        self.variants = [self._variant(lane) for lane in self.lanes]
        self.observer_share = _observer_share(self.generations)
        lengths = [length for g in self.generations for windows in g.windows.values() for length in windows.column("open_s")]
        self.open_s = [min(lengths), max(lengths)] if lengths else None
        self.edges = edges(list(self.data.hosts.values()))
        self.cautions = self._cautions()
        # Only figures are left to be told: the points of a study need not all be in memory at once.
        self.measured, self.replicates = self.data.measured, self.data.replicates
        self.foreign_share = self.data.foreign_share
        self.relays = self.data.relays
        self.huge_share = fmean(self.data.huge_shares) if self.data.huge_shares else None
        self.counted = (self.data.blocks, self.data.repeated, self.data.kept_contaminated)
        del self.data, self.generations, self.everything, self.bootstrap

    @property
    def all_comparisons(self) -> list[Comparison]:
        return self.comparisons + self.best_comparisons + self.over_comparisons

    def _of_contenders_left(self) -> list[Comparison]:
        """Return the comparisons of variants that took part to the end: what has failed says nothing of what could have been shown."""
        left = {v["name"] for v in self.variants if v["status"] == "ok"}
        return [c for c in self.all_comparisons if c.variant in left]

    def _lanes(self) -> list[LaneFacts]:
        """Return the lanes as results list them: the baseline and its second lane, then servers, which a study of them is about."""
        lanes = sorted(self.described["lanes"], key=self._place)
        extra = self.calibrated.get("extra_lane") if self.calibrated else None
        return [*lanes, extra] if extra else lanes

    def _place(self, lane: LaneFacts) -> int:
        return 0 if lane["name"] == self.header["baseline"] or lane["aa"] else 1 if lane["mechanism"] == SERVER else 2

    def _compare(self, baseline: str) -> list[Comparison]:
        data = self.data
        everything = Generations(data.all_blocks[g.number] for g in self.generations) if data.repeated else None
        clean = Generations(data.clean_blocks[n] for n in sorted(data.clean_blocks)) if data.kept_contaminated else None
        contenders = [(lane["name"], lane["aa"]) for lane in self.lanes if lane["name"] != baseline]
        if baseline != self.baseline:  # the baseline itself stands against its best chunk in the other comparison already
            contenders = [(name, aa) for name, aa in contenders if not aa and name != self.baseline]
        return compare(contenders, baseline, self.baseline, self.generations, self.bootstrap, self.key, everything=everything, clean=clean)

    def _rates(self) -> dict[str, Rate]:
        """Return what became of the point's rate by variant, none without one; hold it against the comparisons."""
        asked = self.described["point"].get("rate_bps")
        if asked is None:
            return {}
        names = [lane["name"] for lane in self.lanes if lane["moves_payload"]]
        found = {name: rate.describe(asked, name, self.generations, self.bootstrap) for name in names}
        rate.only_at_equal_throughput(self.all_comparisons, rate.missed(found))
        for c in self.all_comparisons:
            if c.metric.unit == "cores":
                c.difference = difference_to(c.metric, c.variant, c.baseline, self.generations, self.baseline, self.bootstrap)
        return found

    def _compare_over(self) -> list[Comparison]:
        """Compare each server with the variant whose work it does, the baseline left out: that comparison is among the others."""
        pairs = [(lane["name"], over) for lane in self.lanes if (over := lane.get("over")) not in (None, self.baseline) and not lane["aa"]]
        return [
            c
            for name, over in pairs
            if over
            for c in compare([(name, False)], over, self.baseline, self.generations, self.bootstrap, self.key)
        ]

    def _over_records(self) -> list[ComparisonRecord]:
        over_baseline = {lane["name"] for lane in self.lanes if lane.get("over") == self.baseline}
        return self._records([*(c for c in self.comparisons if c.variant in over_baseline), *self.over_comparisons])

    def _variant(self, lane: LaneFacts) -> VariantRecord:
        name = lane["name"]
        events = self.events.of(name)
        status: Status = "failed" if events.failed else "skipped" if events.skipped else "ok"
        left = [*events.skipped, *events.failed]
        moves, rate = lane["moves_payload"], self.rates.get(name)
        reports = self.data.reports[name]
        sums = defaultdict(float, self.everything.totals(name))
        metrics = {key: metric_record(metric, name, self.generations, self.bootstrap) for key, metric in METRICS.items()}
        said_truth, mapped = zerocopy_check(reports), _mapped_fraction(sums)
        found: VariantRecord = {
            "name": name,
            "mechanism": lane["mechanism"],
            "sink": lane["sink"],
            "chunk_bytes": lane["chunk_bytes"],
            "options": lane["options"],
            "aa": lane["aa"],
            "moves_payload": moves,
            "best_chunk": name == self.best and name != self.baseline,
            "windows": self.data.windows[name],
            "status": status,
            "reason": left[-1]["reason"] if left else None,
            "verified": bool(events.verified) if moves else None,
            "digest": events.verified[-1]["digest"] if events.verified else None,
            "bytes_sent": int(sums["bytes_sent"]),
            "bytes_received": int(sums["bytes"]),
            "copied_fraction": said_truth["copied_fraction"],
            "truth": said_truth,
            "receiver_mapped_fraction": mapped,
            "retransmits": sum(r["tcp_info"].get("total_retrans", 0) for r in reports) if reports else None,
            "retransmitted_fraction": _retransmitted(reports),
            "buffer_page_offsets": sorted({at for r in reports if (at := r.get("buffer_page_offset")) is not None}),
            "loop_s_per_call": None if moves else cost_per_call(sums),
            "own_cost": own_cost(lane, self.per_call, sums, metrics),
            "receiver_own_cost": receiver_own_cost(
                lane, (self.calibrated.get("receive_loop_s") if self.calibrated else None) or {}, sums, metrics
            ),
            "bottleneck": bottleneck(sums, self.data.cpus, reports, bool(rate and rate["reached"])) if moves else None,
            "latency": self._latency(name),
            "rate": rate,
            "server": server_facts(self.data.servers.get(name, ())),
            "metrics": metrics,
            "bill": cost_breakdown(lane, self.described["point"]["network"], self.generations, self.bootstrap, said_truth, mapped),
        }
        if header := lane.get("header"):
            found["header"] = header
        if unencrypted := lane.get("unencrypted"):
            found["unencrypted"] = unencrypted
        if events.traced:
            found["traced"] = events.traced[-1]["trace"]
        if name in self.data.hosts:
            found["hosts"], found["links"] = self.data.hosts[name].host_records(), self.data.hosts[name].link_records()
        return found

    def _latency(self, name: str) -> Latency | None:
        """Return the latencies of a variant's transfers; None for a stream, and for what moves no payload."""
        values = [g.latencies.get(name, []) for g in self.generations]
        late = [text for g in self.generations for text in g.lateness.get(name, [])]
        arrivals = self.described["point"].get("arrivals") or "closed"
        return describe_latency(values, late, self.bootstrap, open_loop=arrivals != "closed")

    def _cautions(self) -> list[Caution]:
        stopped = self.stopped
        missed = stopped == "time limit"
        failed = stopped is not None and stopped.startswith("failed")
        latest = {r["code"]: r for r in self.events.cautions}  # a count that grows is recorded again with its new total
        found = [Caution(r["code"], self.where + r["message"], r["remedy"]) for r in latest.values()]
        if self.loaded:
            cpus = self.header["environment"].get("cpus_online") or 1
            found.append(caution("loaded", self.where, cores=(self.data.foreign_share or 0.0) * cpus, cpus=cpus))
        found += point_cautions(self.where, self.data, self.comparisons, self.variants, self.observer_share, missed, self.margin)
        found += server_cautions(self.where, self.variants)
        found += edge_cautions(self.where, self.edges)
        if failed:
            found.append(caution("point_failed", self.where, reason=stopped))
        found += arrivals_missed(self.where, self.described["point"].get(TRANSFERS_PER_S), self.variants)
        if self.check and self.check["disagree"]:
            differing = ", ".join(self.check["disagree"])
            found.append(caution("windows_disagree", self.where, window_s=self.check["window_s"], variants=differing))
        return found

    def _idle_transfer(self) -> float | None:
        """Return what a small file costs that is not sent, where that was measured as a variant of its own."""
        costs = [v["metrics"][SENDER_CPU_S_PER_TRANSFER]["estimate"] for v in self.variants if not v["moves_payload"]]
        return next((cost for cost in costs if cost), None)

    @property
    def stopped(self) -> str | None:
        """Why the point was measured no more; None if it was cut short."""
        return self.events.stopped[-1]["reason"] if self.events.stopped else None

    def record(self) -> PointSummary:
        """Return it as the summary has it."""
        calibrated = self.calibrated
        blocks, repeated, kept = self.counted
        comparisons = self._records(self.comparisons)
        return {
            "point": self.described["point"],
            "name": self.described["name"],
            "baseline": self.baseline,
            "generations": self.measured,
            "replicates": self.replicates or None,
            "file_huge_share": self.huge_share,
            "blocks": blocks,
            "blocks_repeated": repeated,
            "blocks_kept_contaminated": kept,
            "window_s": calibrated.get("window_s") if calibrated else None,
            "window_open_s": self.open_s,
            "observer_share": self.observer_share,
            "foreign_share": self.foreign_share,
            "loaded": self.loaded,
            "idle_cores": self.idle_cores,
            "loop_s_per_call": self.per_call.get(LOOP),
            "own_s_per_call": self.per_call,
            "receive_loop_s": self.receive_loop_s,
            "pacing": calibrated.get("pacing") if calibrated else None,
            "loop_s_per_transfer": (calibrated.get("loop_s_per_transfer") if calibrated else None) or self._idle_transfer(),
            "best_chunk": calibrated.get("best_chunk") if calibrated else None,
            "smallest_saving_percent": smallest_saving_percent(self._of_contenders_left(), self.margin),
            "stopped": self.stopped,
            **relay_part(self.described["point"], self.relays),
            **edge_part(self.edges),
            "variants": self.variants,
            "comparisons": comparisons,
            "comparisons_best_chunk": self._best_records(),
            "comparisons_over": self._over_records(),
            "why": reasons(self.variants, comparisons, self.baseline),
            "window_check": self.check,
            "network": cast(NetworkFacts, _without_place(self.events.network)) if self.events.network else None,
            "perf": cast(PerfFacts, _without_place(self.events.perf)) if self.events.perf else None,
        }

    def _best_records(self) -> list[ComparisonRecord]:
        if self.best is None:
            return []
        # Where the baseline's own chunk is the best, the two comparisons are the same one.
        return self._records(self.best_comparisons or self.comparisons)

    def _records(self, comparisons: Sequence[Comparison]) -> list[ComparisonRecord]:
        """Return comparisons as data, each with the label of its variant."""
        labels = {v["name"]: v["truth"]["label"] for v in self.variants}
        return [c.record(labels[c.variant]) for c in comparisons]


def _without_place(record: Mapping[str, object]) -> dict[str, object]:
    """Return what a record says, without its kind and its point."""
    return {key: value for key, value in record.items() if key not in ("kind", "point")}


def _observer_share(generations: Sequence[Generation]) -> float | None:
    """Return the coordinator's CPU time inside windows over the lanes'."""
    sums = [total for g in generations for total in g.sums.values()]
    lanes = sum(total["total_cpu_s"] for total in sums)
    return sum(total["observer_cpu_s"] for total in sums) / lanes if lanes else None


def _retransmitted(reports: Sequence[SenderReport]) -> float | None:
    """Return the share of the senders' segments that were sent again; None where TCP_INFO does not count them."""
    segments = sum(report["tcp_info"].get("data_segs_out", 0) for report in reports)
    return sum(report["tcp_info"].get("total_retrans", 0) for report in reports) / segments if segments else None


def _mapped_fraction(sums: Mapping[str, float]) -> float | None:
    """Return the share of the received bytes that a sink mapped instead of copying; None for a sink that does not map."""
    mapped = sums.get("receiver_mapped_bytes")
    return mapped / sums["bytes"] if mapped is not None and sums["bytes"] else None
