"""What a report says of small files: per file, over all sizes, and how long they take."""

from __future__ import annotations

import pytest
from support.fake_results import PLACE, Cost, Result, header, lane
from support.summaries import summary_of

from zcload.model.metrics import TOTAL_CPU_S_PER_TRANSFER
from zcload.report import FORMATS, renderer
from zcload.report.tables import crossover
from zcload.report.tables.small_files import across, difference, facts, latencies, per_transfer
from zcload.store import reader

LUCK = (1.0, 1.04, 0.98, 1.02, 0.96, 1.0)
COUNT = 200


def small_files(*, saving=(0.5,), arrivals="closed", late_ns=0, per_s=None, served=COUNT, sizes=1):
    """Return a study with a point for each *saving* of sendfile; the copy takes 40 us a file, 10 of them the receiver's."""
    place = PLACE | {
        "transfer": "per-file",
        "transfer_size": "16KiB" if sizes == 1 else "mix: 16KiB 16KiB",
        "transfer_bytes": 16_384.0,
        "transfer_sizes": sizes,
        "connection": "persistent",
        "arrivals": arrivals,
        "transfers_per_s": per_s,
    }
    head = header([lane("copy", "read_send"), lane("sendfile")], [f"transfer_size={n}KiB" for n, _ in enumerate(saving)])
    head["points"] = [described | {"point": place} for described in head["points"]]
    result = Result(head)
    gb = served * 16_384 / 1e9
    for number, share in enumerate(saving):
        result.point = number
        result.verified("copy", "sendfile").event("calibrated", window_s=0.05, loop_s_per_call=None, loop_s_per_transfer=5e-6)
        times = {"latencies_ns": tuple(1000 * (i + 1) for i in range(served)), "late_ns": (late_ns,) * served if late_ns else ()}
        for generation, luck in enumerate(LUCK):
            costs = {
                "copy": Cost(served * 30e-6 / gb, served * 10e-6 / gb, gb=gb, **times),
                "sendfile": Cost(served * (30e-6 - 40e-6 * share) * luck / gb, served * 10e-6 / gb, gb=gb, **times),
            }
            result.generation(generation, costs)
        result.event("stopped", reason="target reached", generations=6)
    return summary_of(result.end())


def rendered(name, summary):
    """Return the report of *summary* in a format."""
    return renderer(name)([reader.Result(summary, None, ())])


def test_a_point_of_small_files_has_its_costs_per_transfer():
    """The table has microseconds of each end, calls, transfers a second and the verdict."""
    table = per_transfer(small_files()["points"][0])
    copy, sendfile = (dict(zip(table.headers, row, strict=True)) for row in table.rows)
    assert copy["both ends us"].startswith("40.0 ")
    assert copy["receiver us"].startswith("10.00 ")
    assert sendfile["both ends us"].startswith("20.0 ")
    assert (copy["verdict"], sendfile["verdict"]) == ("-", "saves")
    assert copy["transfers/s"].startswith("4000 ")


def test_latencies_are_named_for_what_they_are():
    """A closed loop has service times, a schedule response times with the lateness beside them; both in milliseconds."""
    closed = latencies(small_files()["points"][0])
    assert closed.title.startswith("Service time in ms, from the actual start")
    scheduled = latencies(small_files(arrivals="poisson", late_ns=7000, per_s=4000.0)["points"][0])
    assert scheduled.title.startswith("Response time in ms, from the scheduled start")
    row = dict(zip(scheduled.headers, scheduled.rows[0], strict=True))
    assert row["p50"].startswith("0.100 (")
    assert row["transfers"] == "2400"
    assert (row["p99.9"], row["max"], row["begun late, p99"]) == ("-", "0.200", "0.00700")


def test_the_answer_says_microseconds_per_file():
    """Where a verdict is given the sentence has the difference in time per file, and where none is it does not."""
    summary = small_files(saving=(0.5, 0.01))
    first, second = (next(c for c in p["comparisons"] if c["headline"]) for p in summary["points"])
    assert difference(summary["points"][0], first, TOTAL_CPU_S_PER_TRANSFER).startswith(", or 20.0 us (")
    assert difference(summary["points"][0], first, TOTAL_CPU_S_PER_TRANSFER).endswith(" a file less than its 40.0 us")
    assert difference(summary["points"][1], second, TOTAL_CPU_S_PER_TRANSFER) == ""
    text = rendered("table", summary)
    assert "a file less than its 40.0 us" in " ".join(text.split())


def test_a_loss_is_more_per_transfer():
    """A variant that costs more says by how many microseconds, the smaller bound first."""
    summary = small_files(saving=(-0.5,))
    (c,) = (c for c in summary["points"][0]["comparisons"] if c["headline"])
    text = difference(summary["points"][0], c, TOTAL_CPU_S_PER_TRANSFER)
    low, high = (float(part) for part in text.partition("(")[2].partition(")")[0].split(".."))
    assert text.startswith(", or 20.")
    assert low < 20.0 < high
    assert text.endswith(" a file more than its 40.0 us")


def test_one_table_has_the_answer_over_all_sizes():
    """With several points of small files one table has every variant's cost per file and verdict at each of them."""
    summary = small_files(saving=(0.5, 0.0, -0.5))
    table = across(summary)
    assert table.headers == ["point", "copy", "sendfile"]
    assert [row[0] for row in table.rows] == ["transfer_size=0KiB", "transfer_size=1KiB", "transfer_size=2KiB"]
    assert [row[1] for row in table.rows] == ["40.0"] * 3
    assert [row[2].rpartition("% ")[2] for row in table.rows] == ["saves", "no difference", "costs"]
    assert across(small_files()) is None


@pytest.mark.parametrize(
    "name", [name for name in FORMATS if name not in ("html", "csv-windows", "benchstat")]
)  # the others are drawn, or made of windows
def test_every_format_takes_small_files(name):
    """No format fails on a result of small files, and each has the cost per file somewhere."""
    text = rendered(name, small_files(saving=(0.5, 0.1), arrivals="constant", late_ns=1, per_s=4000.0))
    assert "transfer" in text


def test_streams_have_none_of_this():
    """A result of a stream has no table, sentence or fact of small files."""
    result = Result(header([lane("copy", "read_send"), lane("sendfile")])).verified("copy", "sendfile").calibrated()
    for number in range(3):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2)})
    summary = summary_of(result.end())
    (point,) = summary["points"]
    assert per_transfer(point) is None
    assert latencies(point) is None
    assert across(summary) is None
    assert facts(point) == ()
    assert all(difference(point, c, TOTAL_CPU_S_PER_TRANSFER) == "" for c in point["comparisons"])


def test_how_small_files_were_measured_is_told():
    """The last lines say sizes, connections, arrivals, and what the loop around a file costs."""
    lines = facts(small_files(arrivals="poisson", late_ns=1, per_s=4000.0, sizes=2)["points"][0])
    assert "mix: 16KiB 16KiB (16 KiB on average) over persistent connections, by a Poisson schedule of 4000/s" in lines[0]
    assert "5.00 us a file" in lines[1]


@pytest.mark.parametrize(("served", "missed"), [(200, False), (197, False), (150, True)])
def test_a_rate_that_is_not_served_is_a_caution(served, missed):
    """Fewer small files a second than 98 % of those asked for are a caution with both numbers; a little less is none."""
    summary = small_files(arrivals="constant", late_ns=1, per_s=4000.0, served=served)
    found = [c["message"] for c in summary["cautions"] if c["code"] == "arrivals_missed"]
    assert bool(found) == missed
    assert not missed or "copy: 3000 small files a second were served, 4000 were asked for" in found[0]


@pytest.mark.parametrize("verdict", ["always", "never", "no difference", "none"])
def test_a_search_over_small_files_is_told_per_file(verdict):
    """Sentences and table of a crossover along transfer_size speak of CPU per file, those along other keys of CPU per GB."""
    found = {"baseline": "copy", "contender": "sendfile", "metric": "total_cpu_s_per_gb", "sweep": "transfer_size", "range": [1024, 65536]}
    found |= {"verdict": verdict, "wins": [], "loses": [], "level": [], "undecided": [16384.0], "crossings": [], "stopped": None}
    summary = small_files() | {"crossing": found}
    told = " ".join([*crossover.sentences(summary), crossover.along(summary).title])
    assert "CPU per file" in told
    assert "per GB" not in told
    summary["points"][0]["point"] = {k: v for k, v in summary["points"][0]["point"].items() if k != "transfer_bytes"} | {"senders": 1}
    found |= {"sweep": "senders"}
    assert "CPU per GB" in crossover.along(summary).title
