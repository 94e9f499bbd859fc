"""What a result says of a rate: reached or missed, how late, the cores two lanes need at it, and what is not compared."""

from __future__ import annotations

import re

import pytest
from support.fake_results import PLACE, Cost, Result, header, lane

from zcload.analysis.summary import summarise
from zcload.model.schedule import bucket
from zcload.report import renderer
from zcload.report.text.answer import answer
from zcload.report.text.rate import table as rate_table
from zcload.store.reader import Result as Stored

ASKED = 16e9  # 0.1 GB in 50 ms
PACING = {
    "sleeps": [300],
    "bursts": [381],
    "bytes": [10**8],
    "late_max_ns": 900_000,
    "late": {str(bucket(80_000)): 377, str(bucket(900_000)): 4},
}


def at_rate(costs, *, asked=ASKED, generations=6, luck=(1.0, 1.02, 0.98, 1.01, 0.99, 1.0), pacing=PACING, groups=None):
    """Return the summary's point of lanes with these *costs* (by name) at a rate, a bit of luck in each generation."""
    head = header([lane(name) for name in costs])
    head["points"][0]["point"] = {**PLACE, "rate_bps": asked}
    result = Result(head)
    result.calibrated()
    for number in range(generations):
        # The lanes' luck differs, as an interval needs some.
        lanes = {
            name: Cost(cost.sender * luck[(number + i) % len(luck)], cost.receiver, cost.gb, elapsed_s=cost.elapsed_s, machine=cost.machine)
            for i, (name, cost) in enumerate(costs.items())
        }
        dealt = [{name: lanes[name] for name in group} for group in groups] if groups else lanes
        result.generation(number, dealt, idle=0.02)
    for record in result.records:
        if record["kind"] == "window" and pacing:
            record["pacing"] = pacing
    result.event("stopped", reason="target reached", generations=generations)
    summary = summarise(result.end())
    return summary, summary["points"][0]


COPY, SENDFILE = Cost(0.4, 0.2), Cost(0.2, 0.2)
SLOW = Cost(0.4, 0.2, gb=0.09)


def of(point, name):
    return next(v for v in point["variants"] if v["name"] == name)


def compared(point, metric, variant="sendfile"):
    return next(c for c in point["comparisons"] if (c["variant"], c["metric"]) == (variant, metric))


def test_a_point_without_a_rate_says_nothing_of_one():
    """Without a rate variants have no facts of it and differences of cores are not given: lanes moved different amounts."""
    _, point = at_rate({"copy": COPY, "sendfile": SENDFILE}, asked=None, pacing=None)
    assert of(point, "copy")["rate"] is None
    assert compared(point, "total_cpu_cores")["difference"] is None
    assert point["pacing"] is None


def test_a_lane_at_its_rate():
    """A lane that moved what was asked reached its rate, which then is its bottleneck, and its lateness is that of all its windows."""
    _, point = at_rate({"copy": COPY, "sendfile": SENDFILE})
    copy = of(point, "copy")
    assert copy["rate"]["asked_bps"] == ASKED
    assert copy["rate"]["achieved_bps"]["estimate"] == pytest.approx(ASKED)
    assert copy["rate"]["reached"] is True
    assert copy["bottleneck"]["verdict"] == "rate"
    assert copy["rate"]["bursts"] == 12 * 381
    assert copy["rate"]["sleeps_per_gb"] == pytest.approx(3000)
    late = copy["rate"]["lateness"]
    assert 80e-6 <= late["p50"] <= 90e-6
    assert late["p99"] == late["max"] == 900e-6


@pytest.mark.parametrize(("gb", "reached"), [(0.1, True), (0.0981, True), (0.0979, False), (0.2, True)])
def test_reached_means_within_two_percent(gb, reached):
    """A rate is reached from 98 % of it on."""
    _, point = at_rate({"copy": COPY, "sendfile": Cost(0.2, 0.2, gb=gb)})
    assert of(point, "sendfile")["rate"]["reached"] is reached


def test_a_noisy_lane_below_its_rate_has_not_missed_it():
    """A lane whose estimate lies below the rate but whose interval does not may have reached it: it is open, and nothing is compared."""
    head = header([lane("copy"), lane("sendfile")])
    head["points"][0]["point"] = {**PLACE, "rate_bps": ASKED}
    result = Result(head)
    for number, gb in enumerate((0.1, 0.08, 0.1, 0.1, 0.09, 0.1)):
        result.generation(number, {"copy": COPY, "sendfile": Cost(0.2, 0.2, gb=gb)})
    summary = summarise(result.end())
    (point,) = summary["points"]
    assert [v["rate"]["reached"] for v in point["variants"]] == [True, None]
    assert compared(point, "total_cpu_s_per_gb")["verdict"] == "inconclusive"
    assert {c["code"] for c in summary["cautions"] if c["code"].startswith("rate")} == {"rate_unequal"}
    assert any(line.startswith("Inconclusive: sendfile may or may not keep up with 16 Gbit/s: it made 15") for line in answer(summary))
    assert "open" in str(rate_table(summary, point).rows)


def test_the_difference_is_that_of_the_cores():
    """At 16 Gbit/s, 2 GB/s, a copy at 0.6 s/GB needs 1.2 cores and sendfile at 0.4 s/GB 0.8: 0.4 of a core less, with an interval."""
    _, point = at_rate({"copy": COPY, "sendfile": SENDFILE})
    assert of(point, "copy")["metrics"]["total_cpu_cores"]["estimate"] == pytest.approx(1.2, rel=0.01)
    difference = compared(point, "total_cpu_cores")["difference"]
    assert difference["estimate"] == pytest.approx(-0.4, abs=0.01)
    assert difference["low"] < difference["estimate"] < difference["high"] < -0.35


def test_the_machines_cores_differ_alike():
    """Where the machine was read, its cores have a difference too."""
    _, point = at_rate({"copy": Cost(0.4, 0.2, machine=0.8), "sendfile": Cost(0.2, 0.2, machine=0.5)})
    difference = compared(point, "system_cpu_cores")["difference"]
    assert difference["estimate"] == pytest.approx(-0.6, abs=0.15)


def test_lanes_of_two_groups_are_paired_by_their_own_baselines():
    """A difference is to the baseline's window of the same group: what one group's conditions add to both cancels."""
    costs = {"copy": COPY, "sendfile": SENDFILE, "splice": Cost(0.3, 0.2)}
    _, point = at_rate(costs, groups=[["copy", "sendfile"], ["copy", "splice"]])
    assert compared(point, "total_cpu_cores", "splice")["difference"]["estimate"] == pytest.approx(-0.2, abs=0.02)


@pytest.mark.parametrize("which", ["copy", "sendfile", "both"])
def test_a_missed_rate_is_a_finding(which):
    """A lane that misses the rate gets a caution and takes the verdicts about CPU back, with the reason; the goodput's stands."""
    costs = {"copy": SLOW if which in ("copy", "both") else COPY, "sendfile": SENDFILE if which == "copy" else Cost(0.2, 0.2, gb=0.09)}
    summary, point = at_rate(costs)
    headline = compared(point, "total_cpu_s_per_gb")
    assert headline["verdict"] == "inconclusive"
    assert "not at equal throughput" in headline["reason"]
    assert "reached 14.4 Gbit/s of 16 Gbit/s" in headline["reason"]
    assert headline["ratio"]["estimate"] is not None
    missed = [c for c in summary["cautions"] if c["code"] == "rate_missed"]
    assert len(missed) == (2 if which == "both" else 1)
    goodput = compared(point, "goodput_bps")["verdict"]
    assert goodput == {"copy": "gains", "sendfile": "loses", "both": "no difference"}[which]
    name = "copy" if which == "copy" else "sendfile"
    assert of(point, name)["bottleneck"]["verdict"] != "rate"


def test_lanes_that_reach_their_rate_are_compared():
    """Two lanes at the rate keep their verdict, and nothing is said against it."""
    summary, point = at_rate({"copy": COPY, "sendfile": SENDFILE})
    assert compared(point, "total_cpu_s_per_gb")["verdict"] == "saves"
    assert not [c for c in summary["cautions"] if c["code"].startswith("rate")]


@pytest.mark.parametrize(("gb", "said"), [(0.1015, False), (0.1025, True)])
def test_lanes_that_moved_more_than_asked_are_told(gb, said):
    """A lane more than 2 % above the rate, and above the others, makes the caution that lanes are not equal."""
    summary, _ = at_rate({"copy": COPY, "sendfile": Cost(0.2, 0.2, gb=gb)})
    assert ("rate_unequal" in {c["code"] for c in summary["cautions"]}) is said


def test_lanes_apart_from_each_other_are_told():
    """Two lanes that are each within 2 % of the rate but not of each other make the caution too."""
    summary, point = at_rate({"copy": Cost(0.4, 0.2, gb=0.0985), "sendfile": Cost(0.2, 0.2, gb=0.1015)})
    assert all(v["rate"]["reached"] for v in point["variants"])
    assert "rate_unequal" in {c["code"] for c in summary["cautions"]}


def test_what_was_not_measured_has_not_missed_its_rate():
    """A lane without windows has neither reached nor missed its rate."""
    head = header([lane("copy"), lane("sendfile")])
    head["points"][0]["point"] = {**PLACE, "rate_bps": ASKED}
    summary = summarise(Result(head).end(complete=False))
    assert of(summary["points"][0], "copy")["rate"]["reached"] is None
    assert not [c for c in summary["cautions"] if c["code"] == "rate_missed"]


# Reports.


def test_the_answer_in_operators_units():
    """At a rate that all reach the report says the cores each needs and the difference with its interval."""
    summary, _ = at_rate({"copy": COPY, "sendfile": SENDFILE})
    first = answer(summary)[0]
    assert re.fullmatch(
        r"At 16 Gbit/s: copy needs 1\.20 cores of both ends, sendfile 0\.80\d* \(0\.4 of a core less: 0\.3\d*\.\.0\.4\d*\)\.", first
    ), first


def test_the_answer_names_who_cannot_keep_up():
    """A variant that misses the rate is named with what it reaches, and no difference is told to one that missed it."""
    summary, _ = at_rate({"copy": SLOW, "sendfile": SENDFILE})
    said = answer(summary)
    assert "copy cannot keep up with 16 Gbit/s: it reaches 14.4 Gbit/s." in said
    assert said[0].startswith("At 16 Gbit/s, which copy was not shown to reach: sendfile needs 0.80")
    assert "of a core" not in said[0]


def test_more_cores_are_said_as_more():
    """A variant that needs more than the baseline is said to."""
    summary, _ = at_rate({"copy": SENDFILE, "sendfile": COPY})
    assert "0.4 of a core more: 0." in answer(summary)[0]


@pytest.mark.parametrize("name", ["table", "markdown"])
def test_reports_have_a_table_of_the_rate(name):
    """The terminal's and the Markdown report show achieved rate, cores, difference and lateness, and what the pacing costs by itself."""
    summary, _ = at_rate({"copy": SLOW, "sendfile": SENDFILE, "splice": SENDFILE})
    summary["points"][0]["pacing"] = {"cpu_s_per_sleep": 1.75e-5, "cpu_s_per_gb": 0.134, "sleeps_per_gb": 7642.0, "cpu_cores": 0.0833}
    text = renderer(name)([Stored(summary)]).replace("\xa0", " ")  # Markdown keeps a figure and its unit on one line
    assert "At 16 Gbit/s offered" in text
    assert re.search(r"copy +\|? +14\.4 \(14\.4\.\.14\.4\) +\|? +no ", text)
    assert "17.5 us a wake-up" in text


def test_a_report_without_a_rate_has_no_such_table():
    """Without a rate nothing is said of one."""
    summary, point = at_rate({"copy": COPY, "sendfile": SENDFILE}, asked=None, pacing=None)
    assert rate_table(summary, point) is None
    assert not [line for line in answer(summary) if line.startswith("At ")]
