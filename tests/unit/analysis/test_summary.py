"""Summaries of records whose numbers are known: complete and partial results, points, groups, best chunk, long windows."""

from __future__ import annotations

import json
import math
import statistics

import jsonschema
import pytest
from support.fake_results import PLACE, Cost, Result, example, header, lane
from support.paths import FIRST_RELEASE
from support.summaries import point_of, summary_of, variant

from zcload.analysis.stats import generations_interval
from zcload.analysis.summary import SCHEMA, summarise
from zcload.model.metrics import METRICS
from zcload.store.result_schema import summary_schema

COST = "total_cpu_s_per_gb"
LUCK = (1.0, 1.04, 0.98, 1.02, 0.96, 1.0)


def comparison(point, name, metric=COST, key="comparisons"):
    return next(c for c in point[key] if (c["variant"], c["metric"]) == (name, metric))


def study(*, generations=6, lanes=(), events=(), end=True, blocks=2):
    """Return the records of a small study in which sendfile has half the copy's sender cost, with some luck."""
    result = Result(header([lane("copy", "read_send"), lane("sendfile"), *lanes]))
    for kind, more in events:
        result.event(kind, **more)
    result.verified("copy", "sendfile").calibrated()
    for number in range(generations):
        costs = {"copy": Cost(0.4, 0.2, machine=0.8), "sendfile": Cost(0.2 * LUCK[number], 0.1 * LUCK[number], machine=0.4)}
        result.generation(number, costs, idle=0.0, blocks=blocks)
    if not end:
        return result.records
    result.event("stopped", reason="target reached", generations=generations)
    return result.end()


# What a complete result says.


def test_the_head_of_a_summary():
    """Name, version, schema and rules are the header's, and the result is complete."""
    summary = summary_of(study())
    head = {key: value for key, value in summary.items() if key not in ("points", "config", "environment", "cautions")}
    assert head == {
        "schema": SCHEMA,
        "name": "example",
        "zcload_version": "0.0.0",
        "complete": True,
        "started": "2026-01-02T03:04:05Z",
        "seed": 7,
        "schedule": "alternate",
        "headline": COST,
        "margin_percent": 3.0,
        "target_percent": 3.0,
        "max_time_s": 60.0,
        "family": 1,
        "crossing": None,
        "resumed": [],
    }
    assert summary["environment"]["cpu_model"] == "Example CPU"
    assert summary["cautions"] == []


def test_the_facts_of_a_point():
    """A point tells its place, how much was measured and why it ended."""
    point = point_of(study())
    names = ("point", "name", "baseline", "generations", "blocks", "blocks_repeated", "blocks_kept_contaminated", "window_s", "stopped")
    assert [point[name] for name in names] == [PLACE, "", "copy", 6, 12, 0, 0, 0.05, "target reached"]
    assert point["window_open_s"] == [0.05, 0.05]
    assert point["loop_s_per_call"] == 1e-6
    assert point["observer_share"] == pytest.approx(24 * 0.00001 / (12 * 0.06 + 2 * 0.03 * sum(LUCK)))
    assert point["best_chunk"] is None
    assert point["window_check"] is None


def test_a_variants_own_figures():
    """Figures of the baseline, equal in every window, are those numbers with intervals of no width."""
    copy = variant(point_of(study()), "copy")
    expected = {
        "goodput_bps": 0.8e9 / 0.05,
        "sender_cpu_s_per_gb": 0.4,
        "receiver_cpu_s_per_gb": 0.2,
        COST: 0.6,
        "sender_cpu_cores": 0.8,
        "receiver_cpu_cores": 0.4,
        "sender_syscalls_per_gb": 4000,
        "receiver_syscalls_per_gb": 5000,
    }
    for key, value in expected.items():
        figure = copy["metrics"][key]
        assert (figure["estimate"], figure["low"], figure["high"]) == pytest.approx((value, value, value)), key
        assert figure["unit"] == METRICS[key].unit
    assert copy["metrics"]["system_cpu_s_per_gb"]["estimate"] == pytest.approx(0.8, rel=0.07)  # idle time comes in ticks
    facts = {key: copy[key] for key in ("mechanism", "sink", "chunk_bytes", "options", "aa", "moves_payload", "best_chunk", "status")}
    assert facts == {
        "mechanism": "read_send",
        "sink": "recv",
        "chunk_bytes": 262_144,
        "options": {},
        "aa": False,
        "moves_payload": True,
        "best_chunk": False,
        "status": "ok",
    }
    assert (copy["windows"], copy["bytes_sent"], copy["bytes_received"]) == (12, 1_200_000_000, 1_200_000_000)
    assert (copy["verified"], copy["digest"]) == (True, "ab" * 32)


def test_a_comparison():
    """Ratio, saving, half-width and verdict come from the generations' log-ratios alone."""
    logs = [math.log(0.5 * luck) for luck in LUCK]
    interval = generations_interval(logs).map(math.exp)
    estimate, low, high = interval.estimate, interval.low, interval.high
    c = comparison(point_of(study()), "sendfile")
    assert c["ratio"] == pytest.approx({"estimate": estimate, "low": low, "high": high}, rel=1e-6)
    assert c["saving_percent"] == pytest.approx(
        {"estimate": 100 * (1 - estimate), "low": 100 * (1 - high), "high": 100 * (1 - low)}, rel=1e-6
    )
    assert c["half_width_percent"] == pytest.approx(50 * (high - low), rel=1e-6)
    assert (c["baseline"], c["headline"], c["aa"], c["verdict"], c["reason"]) == ("copy", True, False, "saves", None)
    assert c["ratio_of_sums"]["estimate"] == pytest.approx(0.5, rel=1e-6)
    assert c["generation_sd"] == pytest.approx(statistics.stdev(logs), rel=1e-6)


def test_goodput_has_words_of_its_own():
    """Throughput that stays is no difference, as much as a cost that stays."""
    point = point_of(study())
    assert comparison(point, "sendfile", "goodput_bps")["verdict"] == "no difference"
    assert comparison(point, "sendfile", "sender_syscalls_per_gb")["verdict"] is None


def test_every_variant_is_compared_in_every_metric():
    """A point has one comparison a metric for each variant but the baseline, in the order of the study and of the metrics."""
    point = point_of(study(lanes=[lane("splice")]))
    assert [(c["variant"], c["metric"]) for c in point["comparisons"]] == [(n, key) for n in ("sendfile", "splice") for key in METRICS]
    assert point["comparisons_best_chunk"] == []
    assert all(list(v["metrics"]) == list(METRICS) for v in point["variants"])


@pytest.mark.parametrize(("machine_s", "what"), [(0.1, "below 0"), (1.02, "0")])
def test_a_figure_below_zero_is_none_with_its_reason(machine_s, what):
    """Where as much was subtracted for the idle machine as it used, or more, it has no figure, no ratio to it, and a caution."""
    result = Result(header([lane("copy"), lane("sendfile")]))
    for number in range(6):
        result.idle(1.5 if what == "below 0" else 2.0, generation=number)
        result.generation(number, {"copy": Cost(0.4, machine=machine_s), "sendfile": Cost(0.2 + 0.01 * number, machine=machine_s)})
    summary = summarise(result.end())
    (point,) = summary["points"]
    for v in point["variants"]:
        for key in ("system_cpu_s_per_gb", "system_cpu_cores"):
            assert v["metrics"][key]["estimate"] is None
            assert v["metrics"][key]["reason"].startswith(f"{what}: other work ran while the lanes were parked")
    c = comparison(point, "sendfile", "system_cpu_s_per_gb")
    assert (c["ratio"]["estimate"], c["verdict"]) == (None, None)
    assert {c["message"].partition(":")[0] for c in summary["cautions"] if c["code"] == "machine_ledger"} == {"copy", "sendfile"}


def test_no_interval_reaches_below_zero():
    """A machine that used hardly more than when idle has a figure from 0 on, and no ratio to it: some draws have nothing to divide by."""
    result = Result(header([lane("copy"), lane("sendfile")]))
    for number in range(6):
        result.idle(0.1, generation=number)
        machine = 0.06 if number % 2 else -0.02
        result.generation(number, {"copy": Cost(0.4, machine=0.2 + machine), "sendfile": Cost(0.3, machine=0.5)}, blocks=4)
    for point in summarise(result.end())["points"]:
        for v in point["variants"]:
            assert all(m["estimate"] is None or m["low"] >= 0 for m in v["metrics"].values())
        assert all(c["ratio"]["estimate"] is None or c["ratio"]["low"] >= 0 for c in point["comparisons"])


def test_the_smallest_saving():
    """The smallest saving a point could have shown is its margin and its widest headline half-width."""
    point = point_of(study())
    assert point["smallest_saving_percent"] == pytest.approx(3 + comparison(point, "sendfile")["half_width_percent"])


@pytest.mark.parametrize(
    ("irq", "schedule", "headline"),
    [
        ("no", "alternate", COST),
        ("unknown", "alternate", COST),
        ("yes", "alternate", "system_cpu_s_per_gb"),
        ("yes", "together", COST),  # lanes that share the machine have no machine ledger
    ],
)
def test_headline(irq, schedule, headline):
    """Where the kernel keeps interrupts apart from processes, the headline is the machine's CPU; else both ends'."""
    records = study()
    records[0] = header(records[0]["points"][0]["lanes"], irq=irq, schedule=schedule)
    summary = summary_of(records)
    assert summary["headline"] == headline
    assert {c["metric"] for c in summary["points"][0]["comparisons"] if c["headline"]} == {headline}


@pytest.mark.parametrize(("machines", "headline"), [((0, 0), COST), ((0, 1), "system_cpu_s_per_gb")])
def test_headline_between_hosts(machines, headline):
    """Between machines, where receive work is charged to any process, the headline is the machines' CPU; between hosts of one it is not."""
    records = study()
    engine = {"name": "local", "version": "1", "scheduler": "tcp://h:1", "encrypted": False, "quiet": True, "noisy": []}
    common = {"roles": ["sender"], "address": "10.0.0.1", "cpus": [0], "round_trip_ns": 1, "nic": None, "environment": {}}
    hosts = [{"name": f"h{number}", "machine": machine, **common} for number, machine in enumerate(machines)]
    records[0]["cluster"] = {"engine": engine, "pattern": "pairs", "swap": False, "links": [], "hosts": hosts}
    assert summary_of(records)["headline"] == headline


def server_study(saving=0.5):
    """Return a study of two servers beside a mechanism, which the config names first."""
    lanes = [lane("sendfile"), lane("nginx-off", "server"), lane("nginx-on", "server")]
    result = Result(header(lanes, ["rate=1Gbit/s", "rate=max"], baseline="nginx-off"))
    for point in range(2):
        result.point = point
        for number, luck in enumerate(LUCK):
            # What nginx-on saves is all the server's; the receiver pays it back.
            costs = {"nginx-off": Cost(0.4, 0.2), "nginx-on": Cost(0.4 * (1 - saving) * luck, 0.4), "sendfile": Cost(0.3 * luck, 0.2)}
            result.generation(number, costs)
    return result.end()


def test_the_headline_of_a_study_of_servers():
    """In a study of servers the verdicts are on the server's own CPU, and all of them keep one error rate together."""
    summary = summary_of(server_study())
    assert (summary["headline"], summary["family"]) == ("sender_cpu_s_per_gb", 4)
    for point in summary["points"]:
        verdicts = {c["variant"]: c["verdict"] for c in point["comparisons"] if c["headline"]}
        assert verdicts == {"nginx-on": "saves", "sendfile": "saves"}


def test_verdicts_on_servers_keep_one_error_rate(monkeypatch):
    """A verdict on a server's CPU that the family of a study does not allow is taken back, with that reason."""
    monkeypatch.setattr("zcload.analysis.comparisons.holm", lambda levels: [False] * len(levels))
    (c, *_) = (c for c in summary_of(server_study())["points"][0]["comparisons"] if c["metric"] == "sender_cpu_s_per_gb")
    assert c["verdict"] == "inconclusive"
    assert c["reason"].endswith("for all 4 headline comparisons of the study together (Holm)")


def test_the_pair_that_is_asked_for_comes_first():
    """Results list the baseline, then the servers, which a study of them is about, then the mechanisms beside them."""
    point = summary_of(server_study())["points"][0]
    assert [v["name"] for v in point["variants"]] == ["nginx-off", "nginx-on", "sendfile"]
    assert list(dict.fromkeys(c["variant"] for c in point["comparisons"])) == ["nginx-on", "sendfile"]


# Groups.


def test_two_groups_with_a_baseline_each():
    """With two groups the baseline has a window in each, its figures are over both, and pairs stay within their group."""
    result = Result(header([lane(name) for name in ("copy", "a", "b", "c", "d")]))
    for number, luck in enumerate(LUCK):
        first = {"copy": Cost(0.4), "a": Cost(0.2 * luck, 0.1 * luck), "b": Cost(0.4), "c": Cost(0.4)}
        # The second group has worse luck in all it does: the ratios must not see it.
        second = {"copy": Cost(1.2, 0.6), "d": Cost(0.6 * luck, 0.3 * luck)}
        result.generation(number, [first, second])
    point = point_of(result.end())
    assert [variant(point, name)["windows"] for name in ("copy", "a", "d")] == [24, 12, 12]
    assert comparison(point, "a")["ratio"] == pytest.approx(comparison(point, "d")["ratio"], rel=1e-6)
    assert comparison(point, "d")["ratio"]["estimate"] == pytest.approx(0.5, rel=0.01)
    assert variant(point, "copy")["metrics"][COST]["estimate"] == pytest.approx((0.6 + 1.8) / 2, rel=0.2)
    assert variant(point, "copy")["bytes_received"] == 2_400_000_000


# The best chunk.


def best_chunk_study(best="copy@64KiB"):
    """Return a study whose baseline at its best chunk costs three quarters, in another group than sendfile, beside worse luck."""
    result = Result(header([lane("copy"), lane("copy#2", "copy", aa=True), lane("sendfile")]))
    result.calibrated(best=best, extra=lane("copy@64KiB", "copy", chunk=65_536) if best != "copy" else None)
    for number, luck in enumerate(LUCK):
        first = {"copy": Cost(0.4), "sendfile": Cost(0.2 * luck, 0.1 * luck), "copy#2": Cost(0.4 * luck, 0.2 * luck)}
        second = {"copy": Cost(0.8, 0.4), "copy@64KiB": Cost(0.6, 0.3)}
        result.generation(number, [first, second] if best != "copy" else [first])
    return result.end()


def test_savings_against_the_best_chunk_are_chained_through_the_baseline():
    """A variant stands against the best chunk by way of the baseline's windows in both their groups."""
    point = point_of(best_chunk_study())
    c = comparison(point, "sendfile", key="comparisons_best_chunk")
    assert c["baseline"] == "copy@64KiB"
    assert c["ratio"]["estimate"] == pytest.approx(comparison(point, "sendfile")["ratio"]["estimate"] / 0.75, rel=1e-6)
    assert {c["variant"] for c in point["comparisons_best_chunk"]} == {"sendfile"}  # not the baseline, nor its A/A lane
    assert {c["variant"] for c in point["comparisons"]} == {"copy#2", "sendfile", "copy@64KiB"}
    assert point["best_chunk"] == {"chunk_bytes": 65_536, "total_cpu_s_per_gb": {"65536": 0.5}}


def test_the_best_chunk_lane_is_marked():
    """The lane that was measured for its chunk is told from the study's own variants, and has its chunk."""
    point = point_of(best_chunk_study())
    marked = [(v["name"], v["chunk_bytes"]) for v in point["variants"] if v["best_chunk"]]
    assert marked == [("copy@64KiB", 65_536)]


def test_a_baseline_at_its_best_has_the_same_comparisons_twice():
    """Where the baseline's own chunk is the best, the comparisons against the best chunk are the same ones."""
    point = point_of(best_chunk_study(best="copy"))
    assert point["comparisons_best_chunk"] == point["comparisons"]
    assert not any(v["best_chunk"] for v in point["variants"])


def test_the_family_holds_both_kinds_of_comparison():
    """Headline comparisons against the best chunk are decided together with the others, A/A apart."""
    assert summary_of(best_chunk_study())["family"] == 3


# Contamination.


def test_contaminated_blocks_in_a_summary():
    """Estimates with the repeated blocks and without the kept ones stand beside those with the blocks that count."""
    result = Result(header([lane("copy"), lane("sendfile")]))
    clean, dirty = {"copy": Cost(0.4), "sendfile": Cost(0.2, 0.1)}, {"copy": Cost(0.4), "sendfile": Cost(0.4, 0.2)}
    for number in range(6):
        result.generation(number, clean, blocks=1)
        result.block([dirty], generation=number, block=1, fate="repeated")
        result.block([dirty if number < 3 else clean], generation=number, block=1, attempt=1, fate="kept" if number < 3 else "counted")
    summary = summary_of(result.end())
    (point,) = summary["points"]
    c = comparison(point, "sendfile")
    assert (point["blocks"], point["blocks_repeated"], point["blocks_kept_contaminated"]) == (18, 6, 3)
    # Pseudo-medians in logs: a generation with one dirty block of two is at sqrt(0.5), with the repeated one at 2/3 on the way.
    assert c["ratio"]["estimate"] == pytest.approx(0.5**0.75, rel=1e-6)
    assert c["with_contaminated"]["estimate"] > c["ratio"]["estimate"] > c["without_contaminated"]["estimate"]
    assert c["without_contaminated"]["estimate"] == pytest.approx(0.5, rel=1e-6)
    (caution,) = [caution for caution in summary["cautions"] if caution["code"] == "contaminated"]
    assert "3 blocks (25 %)" in caution["message"]


def test_without_contamination_there_is_one_estimate():
    """Where no block was contaminated, the three estimates are one."""
    for c in point_of(study())["comparisons"]:
        assert c["with_contaminated"] == c["without_contaminated"] == c["ratio"]


# Points.


def test_points_are_apart():
    """Each point has its own figures, and one family of headlines spans them all."""
    result = Result(header([lane("copy"), lane("sendfile")], ["chunk=64KiB", "chunk=1MiB"]))
    for number, luck in enumerate(LUCK):  # rounds: generations of the points alternate in the file
        for point, ratio in ((0, 0.5), (1, 0.8)):
            result.point = point
            result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.4 * ratio * luck, 0.2 * ratio * luck)})
    summary = summary_of(result.end())
    assert [p["name"] for p in summary["points"]] == ["chunk=64KiB", "chunk=1MiB"]
    estimates = [comparison(p, "sendfile")["ratio"]["estimate"] for p in summary["points"]]
    assert estimates[1] / estimates[0] == pytest.approx(1.6, rel=1e-6)
    assert summary["family"] == 2


# What is not there, or not whole.


def test_a_header_alone():
    """A run killed before its first window still has a summary: partial, and every number null with its reason."""
    summary = summary_of([header([lane("copy"), lane("sendfile")])])
    assert summary["complete"] is False
    assert summary["cautions"][0] == {
        "code": "partial",
        "message": "this result is partial: the run was killed",
        "remedy": "zcload run --resume RESULT_DIR measures the rest",
    }
    (point,) = summary["points"]
    assert (point["generations"], point["blocks"], point["stopped"], point["window_open_s"]) == (0, 0, None, None)
    assert {m["reason"] for v in point["variants"] for m in v["metrics"].values()} == {"no window was measured"}
    assert {(v["windows"], v["bytes_received"], v["status"]) for v in point["variants"]} == {(0, 0, "ok")}


@pytest.mark.slow
def test_every_beginning_of_a_run_has_a_summary():
    """Wherever a run was killed, what is there can be summarised, and no number is invented."""
    records = example()
    first = {kind: i for i, kind in reversed(list(enumerate(record["kind"] for record in records)))}
    for length in sorted({1, *first.values(), *range(30, len(records), 50)} - {0}):  # before each kind of line, and in between
        summary = summary_of(records[:length])
        assert summary["complete"] is False
        assert summary["points"][0]["generations"] <= 6


def test_killed_in_mid_block():
    """Windows whose block did not end are in no figure."""
    records = study(end=False)
    whole = point_of(records)
    last = max(i for i, r in enumerate(records) if r["kind"] == "block")
    cut = point_of(records[:last])
    assert (whole["blocks"], cut["blocks"]) == (12, 11)
    assert variant(cut, "copy")["windows"] == 11


def test_interrupted():
    """A run that was interrupted says so, and keeps what it has."""
    records = [*study(end=False), {"kind": "end", "complete": False, "reason": "interrupted by SIGINT"}]
    summary = summary_of(records)
    assert summary["cautions"][0]["message"] == "this result is partial: interrupted by SIGINT"
    assert comparison(summary["points"][0], "sendfile")["verdict"] == "saves"


def test_a_skipped_variant():
    """A variant that this host cannot run is in the result with its reason, and its comparison is null."""
    point = point_of(study(lanes=[lane("splice")], events=[("skipped", {"variant": "splice", "reason": "splice: not here"})]))
    splice = variant(point, "splice")
    assert (splice["status"], splice["reason"], splice["windows"], splice["verified"]) == ("skipped", "splice: not here", 0, False)
    c = comparison(point, "splice")
    assert (c["ratio"]["estimate"], c["verdict"], c["reason"]) == (None, None, "no window was measured")


def test_a_failed_lane():
    """A variant that failed keeps what it had until then, and the cause."""
    point = point_of(example())
    failed = variant(point, "mmap_send")
    assert (failed["status"], failed["windows"]) == ("failed", 4)
    assert failed["reason"] == "lane mmap_send, sender 0 (pid 5): OSError: [Errno 5]"
    assert comparison(point, "mmap_send")["ratio"]["estimate"] == pytest.approx(0.7 / 0.6, rel=0.05)


def test_a_lane_that_moves_nothing():
    """The null mechanism has no figure per GB, no digest and no bottleneck; what a turn of the loop costs is its figure."""
    result = Result(header([lane("copy"), lane("null", moves_payload=False)])).calibrated(loop=None)
    for number in range(6):
        result.generation(number, {"copy": Cost(0.4), "null": Cost(0.0, 0.0, gb=0.0, sender_calls=0, elapsed_s=-1.0)})
        window = next(r for r in reversed(result.records) if r["kind"] == "window" and r["lane"] == "null")
        before, after = window["senders"][0]
        after[0], after[2] = before[0] + 24_000_000, before[2] + 1000  # 24 ms of CPU in 1000 turns
    point = point_of(result.end())
    null = variant(point, "null")
    assert (null["verified"], null["bottleneck"]) == (None, None)
    assert null["metrics"][COST]["reason"] == "no payload was moved"
    assert null["loop_s_per_call"] == point["loop_s_per_call"] > 0


def test_a_figure_of_the_reports_is_missing_for_want_of_reports():
    """Without reports there are no retransmissions to tell of, and that is the reason given, not a sample that was not taken."""
    figure = variant(point_of(study()), "sendfile")["metrics"]["sender_retransmits_per_gb"]
    assert figure["estimate"] is None
    assert figure["reason"].startswith("no sender reported what it sent")
    assert "sample" not in figure["reason"]


def test_copied_fraction():
    """The copied fraction is over all completions of all generations, null where none were reported."""
    records = study()
    events = [r for r in records if r["kind"] == "reports" and r["lane"] == "sendfile"]
    assert variant(point_of(records), "sendfile")["copied_fraction"] is None
    events[0]["senders"][0]["completions"] = {"completions": 30, "copied": 30}
    events[1]["senders"][0]["completions"] = {"completions": 10, "copied": 0}
    events[1]["senders"][0]["tcp_info"] = {"total_retrans": 3}
    sendfile = variant(point_of(records), "sendfile")
    assert (sendfile["copied_fraction"], sendfile["retransmits"]) == (0.75, 3)


def test_together_has_no_machine_ledger():
    """Windows without a reading of the machine have no machine figure, and say why."""
    result = Result(header([lane("copy"), lane("sendfile")], schedule="together"))
    for number, luck in enumerate(LUCK):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2 * luck)})
    figure = variant(point_of(result.end()), "copy")["metrics"]["system_cpu_s_per_gb"]
    assert (figure["estimate"], figure["reason"]) == (None, "no machine ledger: lanes ran together, or no payload was moved")


# Long windows.


@pytest.mark.parametrize(("long_cost", "disagree"), [(0.2, False), (0.35, True)])
def test_long_windows_beside_the_short_ones(long_cost, disagree):
    """Long windows are in no figure but their own table; ratios whose intervals do not meet are a caution."""
    records = study(end=False)
    result = Result(records[0], clock_ns=10**13)
    for number in range(6, 10):
        luck = LUCK[number % 6]
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(long_cost * luck, 0.5 * long_cost * luck)}, purpose="check")
    summary = summary_of(records + result.records[1:] + [{"kind": "end", "complete": True, "reason": "done"}])
    (point,) = summary["points"]
    check = point["window_check"]
    assert point["generations"] == 6
    assert (check["window_s"], check["generations"]) == (2.0, 4)
    row = next(row for row in check["rows"] if row["metric"] == COST)
    assert row["short"] == comparison(point, "sendfile")["ratio"]
    assert row["long"]["estimate"] == pytest.approx(long_cost / 0.4, rel=0.05)
    assert row["disagree"] is disagree
    assert ("windows_disagree" in [c["code"] for c in summary["cautions"]]) is disagree


def test_long_windows_are_counted_apart():
    """A variant's windows and bytes are those that its figures are made of."""
    records = study(end=False)
    before = variant(point_of(records), "copy")
    result = Result(records[0], clock_ns=10**13).generation(6, {"copy": Cost(0.4), "sendfile": Cost(0.2)}, purpose="check")
    after = variant(point_of(records + result.records[1:]), "copy")
    assert (after["windows"], after["bytes_received"]) == (before["windows"], before["bytes_received"])


# The contract.


def test_the_schema_is_one():
    """The schema is itself a valid schema of its draft."""
    jsonschema.Draft202012Validator.check_schema(summary_schema())


def test_a_result_of_the_first_release_satisfies_the_schema_of_today():
    """What came later, metrics too, is required of no result: `zcload schema --result` holds for every one that was ever written."""
    first = json.loads((FIRST_RELEASE / "summary.json").read_text())
    jsonschema.validate(first, summary_schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s.update(schema="zcload.summary/2"),
        lambda s: s.pop("complete"),
        lambda s: s["points"][0].pop("comparisons"),
        lambda s: s["points"][0]["variants"][0].update(status="fine"),
        lambda s: s["points"][0]["variants"][0]["metrics"].pop(COST),
        lambda s: s["points"][0]["variants"][0]["metrics"][COST].pop("unit"),
        lambda s: s["points"][0]["comparisons"][0].update(verdict="better"),
        lambda s: s["points"][0]["comparisons"][0]["ratio"].update(low="1"),
    ],
)
def test_the_schema_refuses_what_breaks_the_contract(spoil):
    """A summary that lost a key, or says something unheard of, does not satisfy the schema."""
    summary = summarise(study())
    spoil(summary)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(summary, summary_schema())


def test_the_example_with_everything():
    """A result with skipped, failed, A/A, null and best-chunk lanes, repeated and kept blocks satisfies the schema."""
    summary = summary_of(example())
    statuses = {v["name"]: v["status"] for v in summary["points"][0]["variants"]}
    assert statuses["slurp_send"] == "skipped"
    assert statuses["mmap_send"] == "failed"
    assert {"small_file", "target_missed", "contaminated"} <= {c["code"] for c in summary["cautions"]}
