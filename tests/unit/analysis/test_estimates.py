"""From raw records to estimates: what is counted, what is left out, what cancels, and what raises a caution."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.fake_results import CPUS, Cost, Result, header, lane

from zcload.analysis.bottleneck import bottleneck
from zcload.analysis.estimates import generation_log_ratio, metric_interval, ratio_to
from zcload.analysis.point_data import sort_out
from zcload.analysis.stats import Bootstrap, generations_interval
from zcload.analysis.summary import summarise
from zcload.analysis.tally import idle_cores, window_tally
from zcload.model.cautions import CAUTIONS
from zcload.model.metrics import METRICS

COST, MACHINE = METRICS["total_cpu_s_per_gb"], METRICS["system_cpu_s_per_gb"]
CALLS, SWITCHES = METRICS["sender_syscalls_per_gb"], METRICS["sender_voluntary_switches_per_gb"]


def result(*lanes):
    """Return an empty result with the lanes copy and sendfile, or those named."""
    return Result(header([lane(name) for name in lanes or ("copy", "sendfile")]))


def data_of(made, idle=0.0, purpose="measure"):
    return sort_out(made.records[1:], idle, purpose)


# Windows.


def test_a_window_is_the_difference_of_its_readings():
    """Bytes, CPU time, calls and times of a window are differences of its two readings, whatever came before."""
    made = result()
    for block in range(2):
        made.window("copy", Cost(0.4, 0.25, gb=0.2, sender_calls=3, receiver_calls=7, elapsed_s=0.08), generation=0, block=block)
    tally = window_tally(made.records[-1], None)
    expected = {
        "windows": 1,
        "elapsed_s": 0.08,
        "open_s": 0.05,
        "span_s": 0.081,
        "bytes": 200_000_000,
        "bytes_sent": 200_000_000,
        "bits": 1.6e9,
        "gb": 0.2,
        "sender_cpu_s": 0.08,
        "receiver_cpu_s": 0.05,
        "total_cpu_s": 0.13,
        "sender_busiest_s": 0.08,
        "receiver_busiest_s": 0.05,
        "sender_iterations": 3,
        "receiver_iterations": 7,
        "sender_syscalls": 3,
        "receiver_syscalls": 7,
        "sender_call_0": 3,
        "receiver_call_0": 7,
        "observer_cpu_s": 0.00001,
    }
    assert tally == pytest.approx(expected)


def test_several_processes_are_summed_and_the_busiest_is_kept():
    """A lane's figures are sums over its processes; the busiest of them is what a bottleneck is judged by."""
    window = {
        "senders": [[[0, 0, 0, 0, 0], [30, 500, 5, 2, 3]], [[10, 0, 0, 1, 1], [20, 500, 5, 2, 3]]],
        "receivers": [[[0, 0, 0, 0], [7, 600, 1, 4]], [[0, 0, 0, 0], [9, 400, 1, 5]]],
        "open_ns": 0,
        "close_ns": 10,
        "last_byte_ns": 20,
        "rest_ns": 30,
        "observer_cpu_ns": 0,
        "machine": None,
    }
    tally = window_tally(window, 0.1)
    names = ("sender_cpu_s", "sender_busiest_s", "receiver_busiest_s", "bytes", "sender_syscalls", "receiver_syscalls")
    assert [tally[name] for name in names] == pytest.approx([40e-9, 30e-9, 9e-9, 1000, 5 + 3, 9])
    assert "machine_cpu_s" not in tally


def test_the_machine_ledger_is_what_was_not_idle_less_the_idle_machine():
    """The machine's CPU is CPUs x wall less idle time, less what the idle machine uses in that time; null where that is not known."""
    made = result()
    made.window("copy", Cost(0.4, machine=0.8), generation=0, block=0)  # 0.08 s of CPU in a span of 51 ms
    assert window_tally(made.records[-1], 0.0)["machine_cpu_s"] == pytest.approx(0.08, abs=0.0051)  # idle is in ticks
    with_idle = window_tally(made.records[-1], 0.2)["machine_cpu_s"]
    assert window_tally(made.records[-1], 0.0)["machine_cpu_s"] - with_idle == pytest.approx(0.2 * 0.051)
    assert "machine_cpu_s" not in window_tally(made.records[-1], None)


def test_nothing_received_has_no_length():
    """A window in which no byte arrived has the last byte of an earlier one, and no length."""
    made = result()
    made.window("null", Cost(0.0, 0.0, gb=0.0, elapsed_s=-0.5), generation=0, block=0)
    assert window_tally(made.records[-1], None)["elapsed_s"] == 0.0


def test_idle_cores():
    """What the idle machine uses is the mean over all moments in which it was watched; unknown where it never was."""
    made = result().idle(0.1, generation=0).idle(0.3, generation=1)
    assert idle_cores(made.records) == pytest.approx(0.2)
    assert idle_cores(result().records) is None
    assert idle_cores(result().idle(-0.1, generation=0).records) == 0.0  # rounding of ticks is no negative use
    assert CPUS == 2


# Blocks.


def test_warm_up_and_abandoned_blocks_never_count():
    """Windows of a warm-up, of an abandoned block and of one that was cut short are in no figure."""
    made = result()
    made.generation(0, {"copy": Cost(0.4), "sendfile": Cost(0.2)}, blocks=2)
    made.block([{"copy": Cost(9.0), "sendfile": Cost(9.0)}], generation=0, block=2, fate="abandoned")
    made.window("copy", Cost(9.0), generation=0, block=3)
    data = data_of(made)
    assert (data.blocks, dict(data.windows)) == (2, {"copy": 2, "sendfile": 2})
    assert data.generations[0].sums["copy"]["sender_cpu_s"] == pytest.approx(0.08)
    assert data_of(made, purpose="check").generations == {}


def test_a_generation_without_a_whole_block_is_not_used():
    """A generation that ended in its warm-up or in its first block does not count as one."""
    made = result().generation(0, {"copy": Cost(0.4), "sendfile": Cost(0.2)}, blocks=0)
    made.block([{"copy": Cost(0.4)}], generation=1, block=0, fate="abandoned")
    made.block([{"copy": Cost(0.4)}], generation=2, block=0, fate="repeated")
    assert data_of(made).used() == []


def test_contaminated_blocks():
    """Repeated blocks are left out and stand beside; kept ones count, and stand beside without."""
    made = result()
    groups = [{"copy": Cost(0.4), "sendfile": Cost(0.2)}]
    dirty = [{"copy": Cost(0.4), "sendfile": Cost(0.8)}]
    made.block(groups, generation=0, block=0)
    made.block(dirty, generation=0, block=1, fate="repeated")
    made.block(groups, generation=0, block=1, attempt=1)
    made.block(dirty, generation=1, block=0, fate="kept")
    made.block(groups, generation=1, block=1)
    data = data_of(made)
    cpu = [[found[number].sums["sendfile"]["sender_cpu_s"] for number in (0, 1)] for found in (data.generations, data.all_blocks)]
    assert (data.blocks, data.repeated, data.kept_contaminated) == (5, 1, 1)
    assert cpu == [pytest.approx([0.04, 0.10]), pytest.approx([0.12, 0.10])]
    assert data.clean_blocks[1].sums["sendfile"]["sender_cpu_s"] == pytest.approx(0.02)
    assert [len(found[0].windows["sendfile"].rows) for found in (data.generations, data.all_blocks)] == [
        2,
        3,
    ]  # a block keeps its number when repeated


# Pairs.


def log_ratio(made, variant, baseline, metric=COST):
    (generation,) = data_of(made).used()
    found = generation_log_ratio(metric, variant, baseline, generation, "copy")
    return None if found is None else math.exp(found)


def test_a_pair_is_compared_within_its_group_and_block():
    """Drift from block to block, and from group to group, cancels to the last digit: each window meets the baseline's beside it."""
    made = result("copy", "a", "b")
    for block, drift in enumerate((1.0, 1.7, 0.6)):
        first = {"copy": Cost(0.4 * drift, 0.2 * drift), "a": Cost(0.2 * drift, 0.1 * drift)}
        second = {"copy": Cost(0.8 * drift, 0.4 * drift), "b": Cost(0.6 * drift, 0.3 * drift)}
        made.block([first, second], generation=0, block=block)
    assert log_ratio(made, "a", "copy") == pytest.approx(0.5, rel=1e-6)
    assert log_ratio(made, "b", "copy") == pytest.approx(0.75, rel=1e-6)


def test_a_pair_in_two_groups_meets_by_way_of_the_reference():
    """Two lanes of different groups are compared through the baseline's windows of both, so the second group's drift cancels."""
    made = result("copy", "a", "best")
    made.block([{"copy": Cost(0.4), "a": Cost(0.1)}, {"copy": Cost(0.8, 0.4), "best": Cost(0.6, 0.3)}], generation=0, block=0)
    assert log_ratio(made, "a", "best") == pytest.approx((0.3 / 0.6) / (0.9 / 1.2), rel=1e-6)


def test_a_pair_without_its_other_half_is_left_out():
    """A block in which one of the two has no window gives no pair; a generation without any gives none at all."""
    made = result()
    made.block([{"copy": Cost(0.4), "sendfile": Cost(0.1)}], generation=0, block=0)
    made.block([{"sendfile": Cost(5.0)}], generation=0, block=1)
    made.block([{"copy": Cost(5.0)}], generation=0, block=2)
    assert log_ratio(made, "sendfile", "copy") == pytest.approx(0.3 / 0.6, rel=1e-6)
    assert log_ratio(made, "splice", "copy") is None


def test_the_generations_estimate_is_robust():
    """One window in six that costs ten times as much moves a generation's estimate little, and its ratio of sums much."""
    made = result()
    for block in range(6):
        dear = 10 if block == 2 else 1
        made.block([{"copy": Cost(0.4, 0.2), "sendfile": Cost(0.2 * dear, 0.1 * dear)}], generation=0, block=block)
    (generation,) = data_of(made).used()
    assert log_ratio(made, "sendfile", "copy") == pytest.approx(0.5, rel=1e-6)
    assert generation.sums["sendfile"]["total_cpu_s"] / generation.sums["copy"]["total_cpu_s"] == pytest.approx(0.5 * 15 / 6, rel=1e-6)


# Points.


def point_of(ratios, made=None):
    """Return the generations of a study in which sendfile has these ratios."""
    made = made or result()
    for number, ratio in enumerate(ratios):
        made.block([{"copy": Cost(0.4, 0.2), "sendfile": Cost(0.4 * ratio, 0.2 * ratio, sender_calls=200)}], generation=number, block=0)
    return data_of(made).used()


def test_a_ratio_is_the_geometric_mean_with_the_interval_of_generations():
    """The estimate is the mean of the generations' log-ratios, its interval that over generations, both taken back from logs."""
    generations = point_of([0.5, 0.6, 0.55, 0.45])
    ratio = ratio_to(COST, "sendfile", "copy", generations, "copy", Bootstrap(4))
    found = generations_interval([math.log(r) for r in (0.5, 0.6, 0.55, 0.45)]).map(math.exp)
    assert ratio.interval.estimate == pytest.approx(0.52200434, rel=1e-6)
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((found.low, found.high), rel=1e-6)
    assert ratio.sums.estimate == pytest.approx(2.1 / 4)
    assert ratio.logs == pytest.approx([math.log(r) for r in (0.5, 0.6, 0.55, 0.45)], rel=1e-6)


def test_counts_are_ratios_of_sums():
    """A count's ratio is (sum / sum) / (sum / sum) over generations, with a bootstrap interval; equal generations give it no width."""
    generations = point_of([0.5, 0.6, 0.55, 0.45])
    ratio = ratio_to(CALLS, "sendfile", "copy", generations, "copy", Bootstrap(4))
    assert (ratio.interval.estimate, ratio.interval.low, ratio.interval.high) == pytest.approx((0.5, 0.5, 0.5))
    own, reason = metric_interval(CALLS, "copy", generations, Bootstrap(4))
    assert (own.estimate, own.low, own.high, reason) == (*[pytest.approx(4000)] * 3, None)


def test_a_variant_that_failed_is_compared_over_the_generations_it_had():
    """A lane that was there for two generations of four has an interval from those two."""
    made = result()
    generations = point_of([0.5, 0.6], made)
    for number in (2, 3):
        made.block([{"copy": Cost(0.4, 0.2)}], generation=number, block=0)
    generations = data_of(made).used()
    assert len(generations) == 4
    assert len(ratio_to(COST, "sendfile", "copy", generations, "copy", Bootstrap(4)).logs) == 2


# Samples.


def test_samples_lose_the_gates_own_switches():
    """Each order costs each sender one switch and each receiver one wait: those are taken off, the rest is the lane's."""
    made = result()
    made.block([{"copy": Cost(0.4)}], generation=0, block=0)
    made.reports(0, "copy")
    made.sample(0, copy=(10, 1_000_000_000, {"voluntary": 50, "user_s": 0.1}, {"voluntary": 7}))
    made.sample(0, copy=(12, 1_100_000_000, {"voluntary": 90, "user_s": 0.15}, {"voluntary": 8}))  # one in between: not looked at
    made.sample(0, copy=(30, 3_000_000_000, {"voluntary": 100, "user_s": 0.5, "involuntary": 4}, {"voluntary": 47}))
    (generation,) = data_of(made).used()
    sums = generation.sums["copy"]
    assert sums["sampled_gb"] == 2.0
    assert (sums["sender_voluntary"], sums["receiver_voluntary"], sums["sender_involuntary"]) == (50 - 20, 40 - 20, 4)
    assert sums["sender_user_s"] == pytest.approx(0.4)


def test_one_sample_is_no_difference():
    """A generation with a single sample, and a lane that is not in both, have no counts."""
    made = result()
    made.block([{"copy": Cost(0.4), "sendfile": Cost(0.2)}], generation=0, block=0)
    made.block([{"copy": Cost(0.4), "sendfile": Cost(0.2)}], generation=1, block=0)
    made.reports(1, "copy", "sendfile")
    made.sample(0, copy=(10, 10**9, {"voluntary": 50}, {}))
    made.sample(1, copy=(10, 10**9, {"voluntary": 50}, {}), sendfile=(10, 10**9, {}, {}))
    made.sample(1, sendfile=(12, 2 * 10**9, {"voluntary": 50}, {}))
    one, two = data_of(made).used()
    assert "sampled_gb" not in one.sums["copy"]
    assert "sampled_gb" not in two.sums["copy"]
    assert two.sums["sendfile"]["sender_voluntary"] == 48


# Bottleneck.


def busy(sender=0.1, receiver=0.1, sender_busiest=None, receiver_busiest=None):
    return {
        "elapsed_s": 1.0,
        "sender_cpu_s": sender,
        "receiver_cpu_s": receiver,
        "total_cpu_s": sender + receiver,
        "sender_busiest_s": sender if sender_busiest is None else sender_busiest,
        "receiver_busiest_s": receiver if receiver_busiest is None else receiver_busiest,
    }


def limited(**shares):
    return [{"tcp_info": {"busy_time_us": 1000, **{f"{name}_us": 1000 * share for name, share in shares.items()}}}]


@pytest.mark.parametrize(
    ("tally", "cpus", "reports", "verdict"),
    [
        (busy(sender=0.95), (1, 1, 2), [], "sender CPU"),
        (busy(receiver=0.95), (1, 1, 2), [], "receiver CPU"),
        (busy(sender=0.95, receiver=0.99), (1, 1, 2), [], "sender CPU"),  # the sender is looked at first
        (busy(sender=0.9), (1, 1, 2), [], "unknown"),  # 90 % itself is not above it
        (busy(sender=1.5, sender_busiest=0.95), (4, 1, 5), [], "sender CPU"),  # one process of several is the limit
        (busy(sender=1.9, sender_busiest=0.5), (2, 1, 3), [], "sender CPU"),  # four senders share two CPUs
        (busy(sender=1.2, sender_busiest=0.3), (2, 1, 3), [], "unknown"),
        (busy(sender=0.5, receiver=0.45), (1, 1, 1), [], "CPU"),  # both ends on one CPU
        (busy(), (1, 1, 2), limited(rwnd_limited=0.6), "receiver's window"),
        (busy(), (1, 1, 2), limited(sndbuf_limited=0.6), "send buffer"),
        (busy(), (1, 1, 2), limited(rwnd_limited=0.5, sndbuf_limited=0.4), "unknown"),
        (busy(sender=0.95), (1, 1, 2), limited(rwnd_limited=0.9), "sender CPU"),
        ({}, (1, 1, 2), [], "unknown"),
        (None, (), [], "unknown"),
        (busy(sender=0.95), (), [], "unknown"),  # the CPUs are not known: killed before its first report
    ],
)
def test_bottleneck(tally, cpus, reports, verdict):
    """The first that holds of: sender's CPU, receiver's, both together, the receiver's window, the send buffer; else it is unknown."""
    assert bottleneck(tally, cpus, reports)["verdict"] == verdict


def test_bottleneck_shares():
    """The shares behind the verdict are given, and null where nothing was reported."""
    found = bottleneck(busy(sender=0.5, receiver=0.25), (1, 1, 2), limited(rwnd_limited=0.25))
    assert {key: found[key] for key in ("sender_busy", "receiver_busy", "cpu_busy")} == {
        "sender_busy": 0.5,
        "receiver_busy": 0.25,
        "cpu_busy": 0.375,
    }
    assert (found["rwnd_limited"], found["sndbuf_limited"]) == (0.25, 0.0)
    assert bottleneck(busy(), (1, 1, 2), [{"tcp_info": {}}])["rwnd_limited"] is None


# Cautions.

COPY, SENDFILE = Cost(0.4, 0.2), Cost(0.2, 0.2)
LUCK = (1.0, 1.02, 0.98, 1.01, 0.99, 1.0)


def study(*, generations=6, sendfile=SENDFILE, copy=COPY, extra=None, stopped="target reached", blocks=2):
    """Return the records of a study; *extra* adds to each generation."""
    made = Result(header([lane("copy"), lane("copy#2", "copy", aa=True), lane("sendfile")]))
    for number in range(generations):
        luck = LUCK[number % 6]
        again = Cost(copy.sender * luck, copy.receiver * luck, elapsed_s=copy.elapsed_s)
        other = replace(sendfile, sender=sendfile.sender * luck)
        made.generation(number, {"copy": copy, "copy#2": again, "sendfile": other}, blocks=blocks)
        if extra:
            extra(made, number)
    made.event("stopped", reason=stopped, generations=generations)
    return made.end()


def codes(records):
    return [c["code"] for c in summarise(records)["cautions"]]


def strange(made, number):
    if number in (3, 7):
        for block in range(3):
            made.block([{"copy": Cost(1.4, 0.2), "copy#2": Cost(1.4, 0.2), "sendfile": SENDFILE}], generation=number, block=10 + block)


def keep(made, number):
    made.block([{"copy": COPY, "copy#2": COPY, "sendfile": SENDFILE}], generation=number, block=9, fate="kept")


def copies(made, number):
    made.reports(number, "sendfile", completions={"completions": 7, "copied": 7})


def dear(made, number):
    made.block([{"copy": COPY, "sendfile": Cost(4.0, 0.2)}], generation=number, block=9)


def slow_psutil(made, number):
    for seen in (0.0, 1.0):
        made.sample(number, copy=(seen, seen * 1e9, {"user_s": 0.5 * seen, "cpu_ns": 1e9 * seen}, {}))


@pytest.mark.parametrize(
    ("records", "code"),
    [
        (study(generations=5), "few_generations"),
        (study(stopped="time limit"), "target_missed"),
        (study(extra=keep), "contaminated"),
        (study(copy=Cost(0.4, 0.2), extra=copies), "copied"),
        (study(sendfile=Cost(0.1, 0.49)), "receiver_bound"),
        (study(sendfile=Cost(0.2, 0.2, observer_s=0.01)), "observer_cost"),
        (study(blocks=6, extra=dear), "estimators_disagree"),
        (study(extra=slow_psutil), "clocks_disagree"),
        (study(generations=14, blocks=1, extra=strange), "outlying"),
        (study()[:-1], "partial"),
    ],
)
def test_caution(records, code):
    """What spoils a result is told as a caution with its code, and nothing else is: each of these has exactly the one."""
    assert codes(records) == [code]
    assert code in CAUTIONS
    caution = summarise(records)["cautions"][0]
    assert caution["message"]
    assert caution["remedy"]


def test_no_caution_without_cause():
    """A study that went well has none."""
    assert codes(study()) == []


def test_aa_differs():
    """A baseline that misses itself is a caution, within the margin or not."""
    made = Result(header([lane("copy"), lane("copy#2", "copy", aa=True)]))
    for number in range(6):
        made.generation(number, {"copy": COPY, "copy#2": Cost(0.404 * LUCK[number] ** 0.1, 0.202 * LUCK[number] ** 0.1)})
    assert codes(made.end()) == ["aa_differs"]


def test_cautions_of_the_run_are_kept():
    """What was seen before and while measuring comes first, with the point's name where there are several."""
    made = Result(header([lane("copy")], ["chunk=4KiB", "chunk=8KiB"], cautions=[{"code": "small_file", "message": "m", "remedy": "r"}]))
    made.point = 1
    made.event("caution", code="strangers", message="3 connections", remedy="another port")
    found = summarise(made.end())["cautions"]
    assert [(c["code"], c["message"]) for c in found] == [("small_file", "m"), ("strangers", "chunk=8KiB: 3 connections")]


def test_target_missed_names_the_widest():
    """The caution tells which variant's interval is too wide, the A/A lane left out, and how wide it is."""
    made = Result(header([lane("copy"), lane("copy#2", "copy", aa=True), lane("a"), lane("b")]))
    for number, luck in enumerate(LUCK):
        costs = {"copy": COPY, "copy#2": Cost(0.4 * luck**9), "a": Cost(0.2 * luck), "b": Cost(0.2 * luck**4)}
        made.generation(number, costs)
    made.event("stopped", reason="time limit", generations=6)
    (caution,) = [c for c in summarise(made.end())["cautions"] if c["code"] == "target_missed"]
    assert caution["message"].startswith("the interval of b is still +-")
