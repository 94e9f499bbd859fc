"""Where one variant starts to beat another: the interval, the verdicts, the search, and how a summary tells it."""

from __future__ import annotations

import math
import random

import jsonschema
import pytest
from support.fake_results import PLACE, Cost, Result, header, lane

from benchmarks.coverage import SCENARIOS
from benchmarks.crossing import VALUES, curve, residuals, search
from zcload import config
from zcload.analysis.crossover import find
from zcload.analysis.crossover_search import COARSE, Search
from zcload.analysis.stats import LOOKS
from zcload.analysis.summary import summarise
from zcload.report import renderer
from zcload.report.charts.series import read_raw
from zcload.report.text.answer import answer
from zcload.runner.rounds import swept_value
from zcload.store import reader
from zcload.store.result_schema import summary_schema

KIB = 1024
NOISE = residuals(SCENARIOS["clean"])
QUIET = (-0.02, 0.0, 0.02, -0.01, 0.01, 0.015, -0.015, 0.0, 0.005, -0.005)  # the noise of ten generations: mean 0


def at(**means):
    """Return logs by value from means: `at(k4=0.1)` has 4 KiB at 10 % dearer."""
    return {int(name[1:]) * KIB: [mean + noise for noise in QUIET] for name, mean in means.items()}


def found(logs, margin=0.03):
    return find(logs, margin=margin, family=17, least=6)


# What points say.


def test_a_crossing_lies_between_two_decided_values():
    """The estimate is where the straight line between the means passes 0, on a logarithmic axis, and the interval is around it."""
    finding = found(at(k4=0.1, k16=-0.1))
    (crossing,) = finding.crossings
    assert finding.verdict == "crosses"
    assert crossing.at.estimate == pytest.approx(8 * KIB)
    assert 4 * KIB < crossing.at.low < 8 * KIB < crossing.at.high < 16 * KIB
    assert crossing.at.low * crossing.at.high == pytest.approx((8 * KIB) ** 2, rel=1e-3)
    assert (crossing.between, crossing.wins_above) == ((4 * KIB, 16 * KIB), True)
    assert (finding.loses, finding.wins) == ((4 * KIB,), (16 * KIB,))


def test_fiellers_interval_by_hand():
    """The interval's ends are where the interpolated log-ratio is Student's quantile times its standard error from 0."""
    (crossing,) = found(at(k4=0.1, k16=-0.1)).crossings
    square = sum(noise**2 for noise in QUIET) / 9 / 10
    weight = math.log(crossing.at.low / (4 * KIB)) / math.log(4)
    mean, total = 0.1 - 0.2 * weight, ((1 - weight) ** 2 + weight**2) * square
    df = int(total**2 / (((1 - weight) ** 4 + weight**4) * square**2 / 9))
    from zcload.analysis.stats import t_quantile

    assert mean == pytest.approx(t_quantile(0.965, df) * math.sqrt(total), rel=0.02)


def test_a_contender_may_win_below():
    """Where it wins at small values and loses at large ones, the crossing says so."""
    (crossing,) = found(at(k4=-0.1, k16=0.1)).crossings
    assert crossing.wins_above is False


@pytest.mark.parametrize(
    ("logs", "verdict"),
    [
        (at(k4=-0.2, k16=-0.1, k64=-0.3), "always"),
        (at(k4=0.2, k16=0.1, k64=0.3), "never"),
        (at(k4=0.0, k16=0.001, k64=-0.001), "no difference"),
        (at(k4=0.1, k16=-0.1, k64=0.1), "several"),
        (at(k4=-0.1, k16=0.0), "open"),  # it wins or is level: where it starts to beat the other has no answer
        (at(k4=0.015, k16=-0.1), "open"),  # 4 KiB is on no side yet
        ({}, "open"),
        ({4 * KIB: [0.1, 0.1]}, "open"),  # too few generations to be looked at
    ],
)
def test_verdicts(logs, verdict):
    """Every shape of a curve has a verdict of its own, and what cannot be told is told."""
    assert found(logs).verdict == verdict


def test_several_crossings_are_all_named():
    """A curve that is not monotone has each of its crossings, with the way it goes."""
    crossings = found(at(k4=0.1, k16=-0.1, k64=0.1)).crossings
    assert [(c.between, c.wins_above) for c in crossings] == [((4 * KIB, 16 * KIB), True), ((16 * KIB, 64 * KIB), False)]


def test_a_young_value_is_no_part_of_the_curve():
    """A value with fewer than the least generations bends no interval."""
    logs = at(k4=0.1, k16=-0.1)
    assert found({**logs, 8 * KIB: [5.0, 5.0]}).crossings == found(logs).crossings


# The search.


def test_a_search_begins_coarse():
    """It begins with five values, both ends among them."""
    begun = sorted(Search(VALUES, margin=0.03, precision=1.5, least=6).logs)
    assert len(begun) == COARSE
    assert (begun[0], begun[-1]) == (VALUES[0], VALUES[-1])


def test_a_search_rests_where_the_winner_is_known():
    """Values far from the crossing are left alone once decided; the ones beside it get nearly all generations."""
    taken = {}
    found, rng = Search(VALUES, margin=0.03, precision=1.1, least=6), random.Random(3)
    wanted = list(found.logs)
    while wanted and sum(map(len, found.logs.values())) < 300:
        for value in wanted:
            found.take(value, curve(24 * KIB)(value) + rng.choice(NOISE))
        wanted = found.look()
    taken = {value: len(logs) for value, logs in found.logs.items()}
    assert taken[VALUES[-1]] < 20
    assert max(taken, key=taken.get) in (16 * KIB, 24 * KIB, 32 * KIB)
    (crossing,) = found.finding().crossings
    measured = sorted(taken)
    beside = [v for v in VALUES if crossing.at.low <= v <= crossing.at.high]
    assert set(beside) <= set(measured)  # bisected down to neighbours


def test_a_search_ends_by_looking_thrice():
    """An interval that is narrow once is measured on until it was narrow at three looks."""
    search_, looks = Search(VALUES[:3], margin=0.03, precision=4.0, least=6), 0
    logs = iter(range(10_000))
    wanted = list(search_.logs)
    while wanted:
        noise = QUIET[next(logs) % len(QUIET)]
        for value in wanted:
            search_.take(value, (0.2 if value < VALUES[1] else -0.2) + noise)
        before = search_._next(search_.finding())
        wanted = search_.look()
        looks += not before
    assert looks == LOOKS


def test_a_dropped_value_is_not_asked_for_again():
    """A value that cannot be measured is left out, and the search goes on with the others."""
    search_ = Search(VALUES, margin=0.03, precision=1.5, least=6)
    search_.drop(VALUES[0])
    assert VALUES[0] not in search_.look()
    assert len(search_.look()) == COARSE - 1


def test_a_search_of_contenders_that_never_cross_is_short():
    """Where one wins everywhere, the search ends as soon as every coarse value is decided."""
    finding, taken = search(lambda value: -0.3, NOISE, random.Random(1))
    assert finding.verdict == "always"
    assert taken < 70


@pytest.mark.parametrize("listed", [False, True])
def test_a_search_along_the_size_of_transfers(listed):
    """Files that are sent one by one are searched by their size, in order, from a range or a list, and the config runs again."""
    sizes = 'transfer_size = ["1MiB", "4KiB", "64KiB"]' if listed else ""
    text = '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send", "sendfile"]\n'
    study = config.loads(f'{text}[workload]\ntransfer = "per-file"\n{sizes}\n[crossover]\nsweep = "transfer_size"\n')
    values = [swept_value(study, number) for number in range(len(study.points))]
    assert values == ([4096.0, 65536.0, 1048576.0] if listed else sorted(values))
    assert (values[0], len(values) > 2) == (4096.0, True)
    assert config.from_tree(study.config) == study


# The summary and the report.

LANES = [lane("copy"), lane("sendfile")]


def a_search(ratios, generations=10):
    """Return the records of a search that measured some of its values: *ratios* by chunk in bytes."""
    values = [float(value) for value in VALUES]
    head = header(LANES, points=[f"chunk={value:g}" for value in values])
    for described, value in zip(head["points"], values, strict=True):
        described["point"] = {**PLACE, "chunk_bytes": int(value)}
    head["crossover"] = {
        "sweep": "chunk",
        "contender": "sendfile",
        "precision": 0.5,
        "max_time_s": 240.0,
        "min_generations": 6,
        "values": values,
    }
    result = Result(head)
    for value, ratio in ratios.items():
        result.point = values.index(value)
        result.calibrated().verified("copy", "sendfile")
        for number in range(generations):
            luck = math.exp(QUIET[number])
            result.block([{"copy": Cost(0.3), "sendfile": Cost(0.5 * ratio * luck - 0.2)}], generation=number, block=0)
        result.event("stopped", reason="enough is known of the crossing", generations=generations)
    result.records.append({"kind": "end", "complete": True, "reason": "done"})
    return result.records


def test_a_summary_of_a_search():
    """The crossing in a summary is derived from its records; only measured values are points."""
    summary = summarise(a_search({4096.0: 1.2, 16384.0: 0.8}))
    jsonschema.validate(summary, summary_schema())
    crossing = summary["crossing"]
    assert [point["point"]["chunk_bytes"] for point in summary["points"]] == [4096, 16384]
    assert {key: crossing[key] for key in ("sweep", "unit", "contender", "baseline", "metric", "verdict", "confidence", "range")} == {
        "sweep": "chunk",
        "unit": "B",
        "contender": "sendfile",
        "baseline": "copy",
        "metric": "total_cpu_s_per_gb",
        "verdict": "crosses",
        "confidence": 0.95,
        "range": [4096.0, 1048576.0],
    }
    (each,) = crossing["crossings"]
    assert each["low"] < each["estimate"] < each["high"]
    assert (each["between"], each["wins"]) == ([4096.0, 16384.0], "above")
    assert crossing["stopped"] == "enough is known of the crossing"


def test_a_value_that_a_search_leaves_undecided_has_no_verdict():
    """Where the search says undecided no comparison says saves: the verdicts of a point allow for the many looks of the search."""
    summary = summarise(a_search({4096.0: 0.945, 16384.0: 0.8}, generations=6))
    assert summary["crossing"]["undecided"] == [4096.0]
    found = {point["point"]["chunk_bytes"]: next(c for c in point["comparisons"] if c["headline"]) for point in summary["points"]}
    assert found[4096]["saving_percent"]["low"] > 3.0
    assert (found[4096]["verdict"], found[16384]["verdict"]) == ("inconclusive", "saves")
    assert found[4096]["reason"].endswith("for all values and looks of the search together")


def test_an_ordinary_summary_has_no_crossing():
    """A study that is no search says so."""
    assert summarise([header(LANES)])["crossing"] is None


@pytest.mark.parametrize(
    ("ratios", "begins"),
    [
        (
            {4096.0: 1.2, 16384.0: 0.8},
            "sendfile pays from 7.5 KiB (7.3 KiB..7.6 KiB) per call here: above that it needs less of both ends' CPU per GB than copy",
        ),
        ({4096.0: 0.8, 16384.0: 1.2}, "sendfile pays up to 8.6 KiB (8.4 KiB..8.8 KiB) per call here: below that it needs less"),
        ({4096.0: 0.8, 16384.0: 0.7}, "sendfile beats copy everywhere from 4KiB to 1MiB per call"),
        ({4096.0: 1.3, 16384.0: 1.2}, "sendfile never beats copy from 4KiB to 1MiB per call"),
        ({4096.0: 1.0, 16384.0: 1.0}, "sendfile makes no difference to copy from 4KiB to 1MiB per call"),
        ({4096.0: 1.2, 16384.0: 0.8, 65536.0: 1.2}, "sendfile and copy cross 2 times"),
        ({4096.0: 1.0, 16384.0: 0.8}, "Where sendfile starts to beat copy cannot be told from 4KiB to 1MiB per call: sendfile beats copy"),
    ],
)
def test_the_answer_of_a_search(ratios, begins):
    """The first words of a report are the crossing, or why there is none."""
    assert answer(summarise(a_search(ratios)))[0].startswith(begins)


@pytest.mark.parametrize("name", ["table", "markdown"])
def test_a_search_is_reported_along_its_axis(name):
    """A search has one table: its values in order, what the contender saves at each, and who wins."""
    text = renderer(name)([reader.Result(summarise(a_search({4096.0: 1.2, 16384.0: 0.8})))])
    assert text.count("Savings of CPU per GB") == 1
    rows = [line for line in text.splitlines() if line.lstrip("| ").startswith(("4KiB", "16KiB"))]
    assert [("copy" in row, "sendfile" in row) for row in rows] == [(True, False), (False, True)]


@pytest.mark.parametrize("name", ["csv", "json"])
def test_other_formats_hold_every_point(name):
    """The formats for programs have all figures of every measured value."""
    text = renderer(name)([reader.Result(summarise(a_search({4096.0: 1.2, 16384.0: 0.8})))])
    assert "4096" in text
    assert "16384" in text


@pytest.mark.parametrize("name", ["csv-windows", "benchstat"])
def test_formats_of_windows_hold_a_search(name):
    """Windows and samples of a search are named by their value, although its summary leaves out what it did not come to."""
    records = a_search({4096.0: 1.2, 16384.0: 0.8}, generations=2)
    text = renderer(name)([reader.Result(summarise(records), None, records)])
    lines = [[value for value in ("4096", "16384") if f"chunk={value}" in line] for line in text.splitlines() if "chunk=" in line]
    assert lines == [["4096"]] * (len(lines) // 2) + [["16384"]] * (len(lines) // 2)
    assert len(lines) == 8


def test_charts_of_a_search_hold_their_own_windows():
    """A chart of single windows shows those of its own value, not of another with its number in the summary."""
    raw = read_raw(a_search({4096.0: 1.2, 16384.0: 0.8}, generations=2))
    assert list(raw) == ["chunk=4096", "chunk=16384"]
    assert min(raw["chunk=4096"].windows["sendfile"]) > max(raw["chunk=16384"].windows["sendfile"])
