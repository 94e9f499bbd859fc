"""Charts: what they are made of, from records that are known; what is drawn says the same figures as its table."""

from __future__ import annotations

import itertools
import json
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from support.fake_results import Cost, Result, example, example_summary, header, lane
from support.pages import small_files
from support.paths import GOLDEN

from zcload.analysis.summary import summarise
from zcload.report.charts import draw
from zcload.report.charts.parts import COLOURS, LABEL_PX, SHAPES, _spread, beyond, looks, savings_ends, top
from zcload.report.charts.registry import all_charts
from zcload.report.charts.series import Stretch, merged, read_raw, thinned
from zcload.report.charts.view import swept, view_of
from zcload.report.formats.terminal import render
from zcload.report.text.curve_plot import curve
from zcload.store.reader import Result as Stored

needs_library = pytest.mark.skipif(not draw.available(), reason=f"vl-convert-python is not installed: {draw.REMEDY}")


def sweep(points=3, names=("copy", "sendfile"), generations=3):
    """Return the records of a sweep over chunks, each point and variant with costs of its own."""
    result = Result(header([lane(name) for name in names], [f"chunk={2**p}KiB" for p in range(points)]))
    for point in range(points):
        result.point = point
        for number in range(generations):
            costs = {
                name: Cost(0.4 / (1 + i) + 0.01 * number + 0.02 * point, elapsed_s=0.05 * (1 + i) + 0.01 * point)
                for i, name in enumerate(names)
            }
            result.sample(number, **{name: (0, 0, {}, {}) for name in names})
            result.generation(number, costs)
            moved = 3 * round(0.1e9)
            busy = {"cpu_ns": 60_000_000, "voluntary": 30, "involuntary": 3}
            result.sample(number, **dict.fromkeys(names, (3, moved, busy, busy)))
    return result.end()


def view(records):
    return view_of(summarise(records), read_raw(records))


def curve_of(prepared):
    return next(chart for chart in all_charts(prepared) if chart.name == "curve")


# The raw view.


def test_windows_that_count_are_the_points():
    """Every window of a counted or kept block is a point with the CPU of both ends per GB; warm-ups and repeated blocks are none."""
    raw = read_raw(example(everything=False))
    assert set(raw) == {""}
    found = raw[""].windows
    assert {name: len(values) for name, values in found.items()} == {"copy": 13, "copy#2": 13, "sendfile": 13, "copy@64KiB": 13}
    assert all(value == pytest.approx(0.6) for value in found["copy"])


def test_stretches_are_per_second_of_open_windows():
    """Between two samples a lane's bytes, CPU and switches are divided by the time its own windows were open, and by no other."""
    (point,) = read_raw(sweep(points=1)).values()
    first = point.stretches["copy"][0]
    assert first.open_s == pytest.approx(3 * 0.05)
    assert first.goodput_bps == pytest.approx(8 * 0.3e9 / 0.15)
    assert first.sender_cores == pytest.approx(0.06 / 0.15)
    assert first.receiver_switches_per_s == pytest.approx(33 / 0.15)
    assert [s.generation for s in point.stretches["copy"]] == [0, 1, 2]


def test_samples_without_exact_clocks_fall_back_on_the_ticks():
    """Where a sample has no `cpu_ns`, user and system time stand in for it."""
    records = json.loads(json.dumps(sweep(points=1)))
    for record in records:
        if record["kind"] == "sample":
            for counters in record["lanes"].values():
                for role in ("senders", "receivers"):
                    counters[role]["user_s"] = counters[role].pop("cpu_ns") / 1e9
    (raw,) = read_raw(records).values()
    assert raw.stretches["copy"][0].sender_cores == pytest.approx(0.4)


def test_a_stretch_inside_a_window():
    """A sample taken within a long window splits it: each part is divided by the part of the window that it saw."""
    s, ns = 10**9, 1_000_000_000
    counters = {"senders": {"cpu_ns": 0, "voluntary": 0, "involuntary": 0}, "receivers": {"cpu_ns": 0, "voluntary": 0, "involuntary": 0}}
    label = {"point": 0, "generation": 0, "purpose": "measure"}
    at = [(0, 0), (2 * s, 1000), (4 * s, 3000)]
    records = [{"kind": "sample", "t_ns": t, "lanes": {"a": {"bytes": moved, **counters}}, **label} for t, moved in at]
    window = {"kind": "window", "lane": "a", "block": 0, "open_ns": ns, "last_byte_ns": 3 * ns, "senders": [], "receivers": [], **label}
    found = read_raw([*records, window])[""].stretches["a"]
    assert [(x.open_s, x.goodput_bps) for x in found] == [(1.0, 8000.0), (1.0, 16000.0)]


def test_a_torn_result_has_no_raw_view_to_trip_over():
    """However many records there are, reading them gives what is whole."""
    records = example()
    for length in range(1, len(records), 7):
        read_raw(records[:length])


def test_thinned_points_keep_the_shape():
    """Thinning keeps the least and the greatest, spreads the rest evenly by rank, and gives the same every time."""
    values = [math.sin(i) for i in range(1000)]
    few = thinned(values, 50)
    assert len(few) == 50
    assert (few[0], few[-1]) == (min(values), max(values))
    assert few == thinned(list(reversed(values)), 50)
    assert thinned([3.0, 1.0], 50) == [1.0, 3.0]


@pytest.mark.parametrize(("generations", "each", "most"), [(3, 2, 12), (5, 10, 10), (100, 4, 12), (1, 500, 20)])
def test_merged_stretches_keep_time_and_bytes(generations, each, most):
    """Joining stretches keeps their time and, of the generations that are drawn, all bytes; it never joins two generations."""
    whole = [Stretch(g, g + i / each, 0.1 * (1 + i), 1e9 * i, 1, 1, 1, 1) for g in range(generations) for i in range(each)]
    few = merged(whole, most)
    kept = {s.generation for s in few}
    of_kept = [s for s in whole if s.generation in kept]
    assert len(few) <= max(most, len(kept))
    assert len(kept) <= max(most, 1)
    assert sum(s.open_s for s in few) == pytest.approx(sum(s.open_s for s in of_kept))
    assert sum(s.goodput_bps * s.open_s for s in few) == pytest.approx(sum(s.goodput_bps * s.open_s for s in of_kept))


# What is drawn.


def drawn_values(chart, field):
    """Return every value of *field* in the data of a chart's layers that have tips."""
    return [v[field] for panel in chart.panels for part in panel.spec["layer"] for v in part["data"]["values"] if field in v and "tip" in v]


def test_charts_of_a_single_point():
    """A study of one point begins with bars, savings and cores against goodput; every chart has its table."""
    charts = list(all_charts(view(example(everything=False))))
    assert [chart.name for chart in charts] == ["cpu-per-gb", "savings", "curve", "savings-best-chunk", "timeline", "windows"]
    assert all(chart.table and chart.table.rows and chart.note and chart.title for chart in charts)


def test_charts_of_a_sweep():
    """A sweep has its own charts over the points, and each point its own under a name with the point's number."""
    names = [chart.name for chart in all_charts(view(sweep()))]
    assert names[:3] == ["sweep-cpu-per-gb", "sweep-savings", "curve"]
    assert {"cpu-per-gb-1", "savings-2", "timeline-3", "windows-3"} <= set(names)
    assert len(set(names)) == len(names)


def test_savings_of_a_sweep_are_those_that_are_asked_for():
    """In a study of servers the savings by point are of the server's own CPU, in the drawing and in its table, servers first."""
    summary = summarise(sweep(names=("copy", "sendfile", "nginx")))
    for point in summary["points"]:
        point["variants"][2]["mechanism"] = "server"
        for c in point["comparisons"]:
            if c["metric"] == "sender_cpu_s_per_gb":
                c["saving_percent"] = {"estimate": 77.0, "low": 76.0, "high": 78.0}
    chart = next(chart for chart in all_charts(view_of(summary, {})) if chart.name == "sweep-savings")
    assert set(drawn_values(chart, "y")) == {77.0}
    assert chart.table.headers[1:] == ["nginx", "sendfile"]
    assert all("77 % (76..78)" in cell for row in chart.table.rows for cell in row[1:])
    assert "the server's CPU" in chart.note


def test_a_result_without_records_has_the_other_charts():
    """A summary alone gives every chart that needs no raw records; one without a measured window gives none."""
    summary = example_summary()
    assert [chart.name for chart in all_charts(view_of(summary, {}))] == ["cpu-per-gb", "savings", "curve", "savings-best-chunk"]
    assert list(all_charts(view_of(summarise([header([lane("copy")])]), {}))) == []


def test_the_curve_draws_what_the_summary_says():
    """A mark of the curve stands at a variant's goodput and cores, and its bars end where the intervals end."""
    summary = summarise(sweep())
    figure = curve_of(view_of(summary, {}))
    both = next(panel for panel in figure.panels if panel.title == "both ends")
    marks = {(v["n"], v["step"]): v for part in both.spec["layer"] for v in part["data"]["values"] if "tip" in v}
    assert len(marks) == 6
    for step, point in enumerate(summary["points"]):
        for variant in point["variants"]:
            x, y = variant["metrics"]["goodput_bps"], variant["metrics"]["total_cpu_cores"]
            mark = marks[variant["name"], step]
            assert (mark["x1"], mark["x"], mark["x2"]) == (x["low"] / 1e9, x["estimate"] / 1e9, x["high"] / 1e9)
            assert (mark["y1"], mark["y"], mark["y2"]) == (y["low"], y["estimate"], y["high"])


def test_results_from_before_total_cores_have_the_curve_too():
    """A summary without `total_cpu_cores` shows the sum of both ends, without an interval that it does not know."""
    summary = summarise(sweep(points=1))
    for variant in summary["points"][0]["variants"]:
        del variant["metrics"]["total_cpu_cores"]
    figure = curve_of(view_of(summary, {}))
    metrics = summary["points"][0]["variants"][0]["metrics"]
    total = metrics["sender_cpu_cores"]["estimate"] + metrics["receiver_cpu_cores"]["estimate"]
    assert total in drawn_values(figure, "y")
    assert figure.table.rows[0][-1].count("..") == 0


def test_bars_draw_what_the_summary_says():
    """A bar ends at both ends' CPU, its dark part at the sender's share of it, and the rule has the ends of the interval."""
    summary = example_summary(everything=False)
    chart = next(c for c in all_charts(view_of(summary, {})) if c.name == "cpu-per-gb")
    (panel,) = chart.panels
    bars = {v["name"]: v for v in panel.spec["layer"][0]["data"]["values"]}
    for v in summary["points"][0]["variants"]:
        if not v["windows"]:
            continue
        sender, receiver, both = (v["metrics"][f"{who}_cpu_s_per_gb"] for who in ("sender", "receiver", "total"))
        assert (bars[v["name"]]["end"], bars[v["name"]]["low_end"], bars[v["name"]]["high_end"]) == (
            both["estimate"], both["low"], both["high"]
        )  # fmt: skip
        assert bars[v["name"]]["part"] == pytest.approx(both["estimate"] * sender["estimate"] / (sender["estimate"] + receiver["estimate"]))


@pytest.mark.parametrize(("replicates", "units"), [(None, "generations"), (1, "generations"), (3, "replicates")])
def test_raw_windows_say_what_the_intervals_come_from(replicates, units):
    """The note of the raw windows names generations, and replicates where the intervals are over several of them."""
    summary = summarise(sweep(points=1))
    summary["points"][0]["replicates"] = replicates
    (drawn,) = (chart for chart in all_charts(view_of(summary, read_raw(sweep(points=1)))) if chart.name == "windows")
    assert f"which comes from the {units} and not from these points." in drawn.note


def test_small_files_are_charted_in_microseconds():
    """Charts of small files show microseconds per file; over several sizes the axis is logarithmic."""
    records = small_files(sweep(points=2))
    charts = {chart.name: chart for chart in all_charts(view(records))}
    (panel,) = charts["cpu-per-gb-1"].panels
    (copy,) = [v for v in panel.spec["layer"][0]["data"]["values"] if v["name"] == "copy"]
    whole = next(v for v in summarise(records)["points"][0]["variants"] if v["name"] == "copy")["metrics"]["total_cpu_s_per_transfer"]
    assert copy["x"] == pytest.approx(1e6 * whole["estimate"])
    scales = [part["encoding"]["y"]["scale"] for part in charts["sweep-cpu-per-gb"].panels[0].spec["layer"][:3]]
    assert {scale["type"] for scale in scales} == {"log"}
    assert "us per file" in json.dumps(charts["windows-1"].panels[0].spec)
    summary = summarise(records)
    for point in summary["points"]:
        for v in point["variants"]:
            v["metrics"]["system_cpu_s_per_transfer"] = {"estimate": 0.0, "low": 0.0, "high": 1e-6}
    (drawn,) = (chart for chart in all_charts(view_of(summary, {})) if chart.name == "sweep-cpu-per-gb")
    assert "machine" not in [panel.title for panel in drawn.panels], "a logarithmic axis has no place for 0"


def test_a_noisy_run_does_not_stretch_the_axis():
    """An axis shows every ordinary estimate and ends at half as much again; whiskers beyond end in an arrow at the edge."""
    assert top([33.0, 36.0, 600.0], [30.0, 31.0, 35.0]) == pytest.approx(1.06 * 1.5 * 35.0)
    assert top([33.0, 36.0, 40.0], [30.0, 31.0, 35.0]) == pytest.approx(1.06 * 40.0)
    ends = savings_ends([{"estimate": -20.0, "low": -55_500.0, "high": 90.0}, {"estimate": 30.0, "low": 20.0, "high": 40.0}], 3.0)
    assert -60 < ends[0] < -20
    assert 90 < ends[1] < 100
    values = [{"low": -55_500.0, "high": 90.0, "tip": "a"}, {"low": 20.0, "high": 40.0, "tip": "b"}]
    (arrows,) = beyond(values, {}, {}, ends, upright=False)
    assert [(v["end"], v["tip"]) for v in arrows["data"]["values"]] == [(ends[0], "a: beyond the axis")]


def test_no_line_leads_from_the_data_to_a_name():
    """Names at the right edge have their mark before them: a line to the data would look like data."""
    for chart in all_charts(view(sweep())):
        for panel in chart.panels:
            for part in panel.spec["layer"]:
                if part["mark"]["type"] in ("rule", "line"):
                    assert all(place.get("scale", {}) is not None for place in part["encoding"].values() if place["field"] in "xy"), (
                        chart.name
                    )


def test_a_verdict_can_be_told_without_colour():
    """In the forest plot a decided verdict is a filled mark and an open one hollow, and the word stands beside it."""
    summary = example_summary()
    headline = next(c for c in summary["points"][0]["comparisons"] if c["headline"] and c["variant"] == "splice")
    headline["verdict"] = "inconclusive"
    chart = next(c for c in all_charts(view_of(summary, {})) if c.name == "savings")
    marks = {v["tip"].split(":")[0]: v for part in chart.panels[0].spec["layer"] for v in part["data"]["values"] if "tip" in v}
    assert (marks["sendfile"]["fill"], marks["splice"]["fill"]) == ("filled", "hollow")
    assert marks["sendfile"]["text"].startswith("saves ")
    assert marks["splice"]["text"].endswith("% inconclusive")


def test_a_colour_belongs_to_a_mechanism():
    """A mechanism has its colour whatever stands beside it; variants of one colour differ in shape, and the seven usual ones in colour."""
    usual = ("read_send", "sendfile", "splice", "mmap_send", "msg_zerocopy", "slurp_send", "uring_send_zc")
    assert len({look.colour for look in looks({name: name for name in usual}).values()}) == len(COLOURS)
    alone, beside = looks({"x": "splice"}), looks({"a": "read_send", "b": "sendfile", "x": "splice", "y": "splice"})
    assert alone["x"].colour == beside["x"].colour == beside["y"].colour
    assert len({(look.colour, look.shape) for look in beside.values()}) == 4
    servers = looks({f"server-{i}": "server" for i in range(4)} | {"read_send": "read_send", "sendfile": "sendfile"})
    assert len({look.colour for look in servers.values()}) == 6, "a server leaves the colours of mechanisms to them while others are free"
    many = looks({f"splice-{i}": "splice" for i in range(len(SHAPES))})
    assert len({look.shape for look in many.values()}) == len(SHAPES)


@pytest.mark.parametrize(
    "wanted", [[5.0], [10.0, 10.0, 10.0], [0.0, 1.0, 199.0, 200.0], [float(i) for i in range(14)], [190.0] * 14, [100.0] * 30]
)
def test_names_do_not_cover_each_other(wanted):
    """Names beside their marks keep their order and the height of a line between them."""
    places = _spread(wanted, 200)
    assert places == sorted(places)
    assert all(b - a >= LABEL_PX - 1e-9 for a, b in itertools.pairwise(places))
    if len(wanted) <= 14:
        assert max(places) <= 200


@pytest.mark.parametrize(
    ("names", "title", "labels"),
    [
        ([""], "point", ("the point",)),
        (["chunk=4KiB", "chunk=16KiB"], "chunk", ("4KiB", "16KiB")),
        (["chunk=4KiB, senders=1", "chunk=4KiB, senders=2"], "point", ("chunk=4KiB, senders=1", "chunk=4KiB, senders=2")),
    ],
)
def test_what_a_sweep_is_called(names, title, labels):
    """An axis of one swept key is called after it; of several, the points have their whole names."""
    assert swept(names) == (title, labels)


# Drawings.


@needs_library
def test_a_drawing_is_small_and_whole():
    """A drawing keeps its axes' titles with their units, has a title on each mark with the mark's figures, and no role or label inside."""
    figure = curve_of(view(sweep()))
    (text,) = draw.svg([draw.framed(figure.panels[0].spec)])
    words = [element.text for element in ElementTree.fromstring(text).iter() if element.text]
    assert {"goodput (Gbit/s)", "CPU (cores)", "sendfile", "copy"} <= set(words)
    assert sum(word.startswith("sendfile, chunk=") for word in words) == 3
    assert "aria-" not in text
    assert "var(--s1)" in text
    assert "http" not in text.replace(draw.SVG, "")


@needs_library
def test_a_file_stands_alone():
    """A chart's file has fixed colours, a title and all panels; the same every time; as PNG it is one."""
    figure = curve_of(view(sweep()))
    (text,) = draw.svg_file([draw.whole(figure)], [figure.title])
    assert "var(" not in text
    assert ElementTree.fromstring(text).find(f"{{{draw.SVG}}}title").text == figure.title
    assert all(f">{ledger}<" in text for ledger in ("sender", "receiver", "both ends"))
    assert draw.svg_file([draw.whole(figure)], [figure.title]) == [text]
    (picture,) = draw.png([text])
    assert picture.startswith(b"\x89PNG")


@needs_library
def test_golden_chart(golden):
    """A chart's file is the same drawing as ever: a change of it is meant, and seen by looking at its golden file."""
    figure = curve_of(view(sweep()))
    (text,) = draw.svg_file([draw.whole(figure)], [figure.title])
    golden(GOLDEN / "curve.svg", text)


@needs_library
def test_marks_that_repeat_are_written_once():
    """Many equal marks are uses of one definition, in as many places as there are values."""
    chart = next(c for c in all_charts(view(example())) if c.name == "windows")
    (text,) = draw.svg([draw.framed(chart.panels[0].spec)])
    root = ElementTree.fromstring(text)
    names = {element.get("id") for element in root.iter() if element.get("id")}
    used = [element.get("href") for element in root.iter(f"{{{draw.SVG}}}use")]
    assert {f"#{name}" for name in names} == set(used)
    dots = sum(len(part["data"]["values"]) for part in chart.panels[0].spec["layer"] if part["mark"]["type"] == "circle")
    assert len(used) >= dots


@needs_library
def test_names_that_are_markup_stay_text():
    """A variant's name with markup, quotes, backslashes or a control character is a text in the drawing and nothing else."""
    evil = "<script>alert('x')</script>\"\\ & ]]>"
    records = sweep(points=2, names=("copy", evil))
    charts = list(all_charts(view(records)))
    texts = draw.svg_file([draw.whole(chart) for chart in charts], [chart.title for chart in charts])
    assert len(texts) == len(charts) > 1
    for text in texts:
        assert not [e for e in ElementTree.fromstring(text).iter() if e.tag.endswith("script")]
        assert "<script>" not in text
    (text,) = draw.svg([draw.framed({"mark": "text", "data": {"values": [{}]}, "encoding": {"text": {"value": "a\x01b"}}})])
    assert "a\ufffdb" in text


@needs_library
def test_what_cannot_be_drawn_is_one_error():
    """A spec that the library refuses, or a library that fails, is an error of one line and no traceback."""
    with pytest.raises(draw.ZcloadError, match="charts could not be drawn: "):
        draw.svg([{"$schema": "nonsense", "mark": 5}])


def test_without_the_library_drawing_says_what_to_install(monkeypatch):
    """Without vl-convert a chart is an error that names the remedy."""
    monkeypatch.setattr(draw, "available", lambda: False)
    with pytest.raises(draw.ZcloadError, match=r"pip install vl-convert-python"):
        draw.svg([{}])


# In characters.


def test_the_curve_in_characters():
    """In a terminal the curve has a letter at each point's goodput and cores, dots between points, round figures at its axes."""
    drawing = curve(summarise(sweep()), 100)
    lines = drawing.splitlines()
    body = [line[9:] for line in lines if line[8:9] in ("|", "+")]
    assert len(body) == 17
    assert ["".join(body).count(letter) for letter in "ab"] == [3, 3]
    assert "." in "".join(body)
    assert lines[-1].split() == ["a", "copy", "b", "sendfile"]
    assert any(line.strip() == "goodput (Gbit/s)" for line in lines)
    assert max(map(len, lines)) <= 100
    assert drawing.isascii()


def test_marks_in_characters_stand_side_by_side():
    """Variants with equal figures have their letters side by side, none covers another."""
    result = Result(header([lane(name) for name in ("copy", "one", "two")]))
    for number in range(3):
        result.generation(number, {"copy": Cost(0.4), "one": Cost(0.2), "two": Cost(0.2)})
    assert re.search(r"\|.* bc$", curve(summarise(result.end()), 90), re.MULTILINE)


@pytest.mark.parametrize("width", [0, 79])
def test_no_curve_where_there_is_no_room(width):
    """A narrow terminal, or none, has no curve; neither has a result without figures."""
    assert curve(summarise(sweep()), width) is None
    assert curve(summarise([header([lane("copy")])]), 100) is None
    assert "goodput (Gbit/s)" not in render([Stored(summarise(sweep()))], width)
    assert "goodput (Gbit/s)" in render([Stored(summarise(sweep()))], 80)
