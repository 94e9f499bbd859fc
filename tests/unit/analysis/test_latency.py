"""Latencies from raw values to percentiles with intervals, and how they are stored."""

from __future__ import annotations

import random
import statistics

import pytest
from support.fake_results import PLACE, Cost, Result, header, lane
from support.summaries import point_of, summary_of, variant

from zcload.analysis.latency import BEYOND, PERCENTILES, describe, quantile, rank
from zcload.analysis.stats import Bootstrap
from zcload.model.packed import pack, unpack

LUCK = (1.0, 1.04, 0.98, 1.02, 0.96, 1.0)


@pytest.mark.parametrize("values", [[], [0], [-1, 2**63 - 1, -(2**63)], list(range(10_000))])
def test_packed_values_come_back(values):
    """Packing is undone by unpacking, for every value of 64 bits."""
    assert list(unpack(pack(values))) == values


def test_packing_is_compact():
    """Latencies of some ten microseconds take less room than their digits would."""
    rng = random.Random(1)
    values = [rng.randrange(20_000, 90_000) for _ in range(1000)]
    assert len(pack(values)) < len(",".join(map(str, values)))


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", pack([1, 2])[:-8]])
def test_what_was_not_packed_is_refused(text):
    """A text that pack did not write raises ValueError, not one of zlib's own errors."""
    with pytest.raises(ValueError, match=r"."):
        unpack(text)


@pytest.mark.parametrize(
    ("level", "count", "at"),
    [(0.5, 1, 0), (0.5, 2, 0), (0.5, 3, 1), (0.9, 10, 8), (0.99, 1000, 989), (0.999, 10_000, 9989), (1.0, 7, 6), (0.0, 7, 0)],
)
def test_rank_is_the_least_value_that_so_many_do_not_exceed(level, count, at):
    """The rank of a percentile is ceil(level x count), counted from 1, whatever binary fractions do to the product."""
    assert rank(level, count) == at


def test_percentiles_of_known_values():
    """The values 1..10000 us, dealt among generations and windows at random, have the percentiles that everybody can count."""
    values = [us * 1000 for us in range(1, 10_001)]
    random.Random(3).shuffle(values)
    generations = [[pack(values[g::8][:600]), pack(values[g::8][600:])] for g in range(8)]
    found = describe(generations, [], Bootstrap(8), open_loop=True)
    assert found["count"] == 10_000
    assert found["kind"] == "response_time"
    assert found["lateness"] is None
    estimates = {name: figure["estimate"] for name, figure in found["percentiles"].items()}
    assert estimates == {"p50": 0.005, "p90": 0.009, "p99": 0.0099, "p99_9": 0.00999, "max": 0.01}
    assert found["mean"] == pytest.approx(5000.5e-6)
    assert [0.5, 0.005] in found["curve"]
    assert found["curve"][-1] == [1.0, 0.01]
    for name in PERCENTILES:
        figure = found["percentiles"][name]
        assert figure["low"] <= figure["estimate"] <= figure["high"]


def test_the_interval_of_a_percentile_is_that_of_drawing_generations():
    """The thinned search gives what pooling and sorting every draw of generations gives."""
    rng = random.Random(5)
    clusters = [sorted(round(rng.lognormvariate(10 + shift, 0.5)) for _ in range(400)) for shift in (0.0, 0.1, -0.2, 0.3, 0.05, 0.0, 0.15)]
    bootstrap = Bootstrap(len(clusters))
    for level in (0.5, 0.9, 0.99):
        drawn = []
        for pick in bootstrap.picks:
            pooled = sorted(value for cluster in pick(clusters) for value in cluster)
            drawn.append(pooled[rank(level, len(pooled))])
        plain = bootstrap.interval(1.0, drawn)
        found = quantile(level, clusters, bootstrap)
        span = max(c[rank(level, 400)] for c in clusters) - min(c[rank(level, 400)] for c in clusters)
        assert found.low == pytest.approx(plain.low, abs=span / 100)
        assert found.high == pytest.approx(plain.high, abs=span / 100)


def test_generations_that_differ_widen_the_interval():
    """Values that are alike within a generation count as one piece of evidence, not as hundreds."""
    rng = random.Random(6)
    alike = [sorted(round(rng.gauss(1000, 10)) for _ in range(500)) for _ in range(8)]
    shifted = [[value + 100 * g for value in cluster] for g, cluster in enumerate(alike)]
    narrow, wide = (quantile(0.5, clusters, Bootstrap(8)) for clusters in (alike, shifted))
    assert narrow.high - narrow.low < 5 < 100 < wide.high - wide.low


@pytest.mark.parametrize(("name", "level"), PERCENTILES.items())
def test_a_percentile_needs_values_beyond_it(name, level):
    """One value too few, and the percentile is null with the number that it takes; with that number it is there."""
    needed = round(BEYOND / (1 - level))
    enough = describe([[pack(range(needed // 2))], [pack(range(needed - needed // 2))]], [], Bootstrap(2), open_loop=False)
    short = describe([[pack(range(needed // 2))], [pack(range(needed - needed // 2 - 1))]], [], Bootstrap(2), open_loop=False)
    assert enough["percentiles"][name]["estimate"] is not None
    assert enough["kind"] == "service_time"
    assert short["percentiles"][name]["estimate"] is None
    assert str(needed) in short["percentiles"][name]["reason"]


def test_one_generation_gives_no_interval():
    """With a single generation a percentile has its value and no interval, and says why."""
    figure = describe([[pack(range(1000))]], [], Bootstrap(1), open_loop=True)["percentiles"]["p50"]
    assert figure["estimate"] is not None
    assert figure["low"] is None
    assert "single generation" in figure["reason"]


def test_lateness_is_told_beside_latency():
    """How late transfers were begun is in the summary as percentiles of all raw values."""
    found = describe([[pack([9, 9])], [pack([9])]], [pack([1_000, 3_000]), pack([2_000])], Bootstrap(2), open_loop=True)
    assert found["lateness"] == {"p50": 2e-6, "p99": 3e-6, "max": 3e-6}


def transfers(*, late=False, generations=6, count=200):
    """Return the records of a study of transfers: the copy takes 40 us of both ends' CPU a transfer, sendfile 30."""
    place = PLACE | {"transfer": "per-file", "arrivals": "poisson" if late else "closed"}
    head = header([lane("copy", "read_send"), lane("sendfile"), lane("null", moves_payload=False)])
    head["points"] = [described | {"point": place} for described in head["points"]]
    result = Result(head).verified("copy", "sendfile").calibrated()
    gb = count * 16_384 / 1e9
    for number in range(generations):
        extra = {"latencies_ns": tuple(1000 * (i + 1) for i in range(count)), "late_ns": (5000,) * count if late else ()}
        costs = {
            "copy": Cost(count * 30e-6 / gb, count * 10e-6 / gb, gb=gb, machine=count * 50e-6 / gb, **extra),
            "sendfile": Cost(count * 20e-6 * LUCK[number] / gb, count * 10e-6 / gb, gb=gb, machine=count * 50e-6 / gb, **extra),
        }
        result.generation(number, costs, idle=0.0)
    result.event("stopped", reason="target reached", generations=generations)
    return result.end()


def test_cpu_per_transfer_is_paired_like_cpu_per_gb():
    """CPU seconds per transfer come from the exact clocks of each window, and so does their ratio to the baseline."""
    point = point_of(transfers())
    copy, sendfile = variant(point, "copy")["metrics"], variant(point, "sendfile")["metrics"]
    assert copy["total_cpu_s_per_transfer"]["estimate"] == pytest.approx(40e-6)
    assert copy["sender_cpu_s_per_transfer"]["estimate"] == pytest.approx(30e-6)
    assert copy["sender_syscalls_per_transfer"]["estimate"] == pytest.approx(2.0)
    assert sendfile["total_cpu_s_per_transfer"]["low"] < 30e-6 < sendfile["total_cpu_s_per_transfer"]["high"]
    ratios = {c["metric"]: c["ratio"]["estimate"] for c in point["comparisons"] if c["variant"] == "sendfile"}
    assert ratios["total_cpu_s_per_transfer"] == pytest.approx(ratios["total_cpu_s_per_gb"])
    assert ratios["total_cpu_s_per_transfer"] == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(("late", "per_s"), [(False, 200 / 0.04), (True, 200 / 0.05)])
def test_arrivals_that_are_served_early_leave_the_window_its_length(late, per_s):
    """Transfers per second are those of the whole window where arrivals are scheduled, and end with the last byte where they are not."""
    records = transfers(late=late)
    for record in records:
        if record["kind"] == "window":
            record["last_byte_ns"] = record["open_ns"] + 40_000_000
    assert variant(point_of(records), "copy")["metrics"]["transfers_per_s"]["estimate"] == pytest.approx(per_s)


def test_a_summary_names_what_its_latencies_are():
    """Scheduled arrivals give response times, a closed loop service times: nobody can take the one for the other."""
    for late, kind in ((True, "response_time"), (False, "service_time")):
        latency = variant(point_of(transfers(late=late)), "copy")["latency"]
        assert (latency["kind"], latency["count"]) == (kind, 6 * 2 * 200)
        assert latency["percentiles"]["p99"]["estimate"] == pytest.approx(198e-6)
        assert (latency["lateness"] is not None) == late


def test_a_stream_has_no_latency():
    """Where nothing was transferred file by file there is no latency, and figures per transfer are null with the reason."""
    result = Result(header([lane("copy", "read_send"), lane("sendfile")])).verified("copy", "sendfile").calibrated()
    for number in range(2):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2)})
    copy = variant(point_of(result.end()), "copy")
    assert copy["latency"] is None
    assert "stream" in copy["metrics"]["total_cpu_s_per_transfer"]["reason"]


def test_warm_ups_and_repeated_blocks_are_in_no_percentile():
    """Only windows that count give latencies: the slow ones of a repeated block and of the warm-up are left out."""
    fast, slow = (
        {"copy": Cost(0.4, latencies_ns=(value,) * 50), "sendfile": Cost(0.2, latencies_ns=(value,) * 50)} for value in (10, 10**9)
    )
    result = Result(header([lane("copy", "read_send"), lane("sendfile")])).verified("copy", "sendfile").calibrated()
    for number in range(2):
        result.block([slow], generation=number, block=-1, purpose="warm-up")
        result.block([slow], generation=number, block=0, fate="repeated")
        result.block([fast], generation=number, block=0, attempt=1)
        result.reports(number, "copy", "sendfile")
    latency = variant(point_of(result.end()), "copy")["latency"]
    assert latency["count"] == 100
    assert latency["percentiles"]["max"]["estimate"] == 1e-8


def test_old_results_have_no_latency_and_still_read():
    """Records written before there were transfers give a summary that says so and fails nowhere."""
    summary = summary_of(Result(header([lane("copy", "read_send")])).end())
    assert summary["points"][0]["variants"][0]["latency"] is None


def test_the_mean_is_that_of_all_values():
    """The mean is over transfers, not over windows."""
    values = [[1, 2, 3], [100]]
    found = describe([[pack(v)] for v in values], [], Bootstrap(2), open_loop=True)
    assert found["mean"] == pytest.approx(statistics.fmean([1, 2, 3, 100]) / 1e9)
