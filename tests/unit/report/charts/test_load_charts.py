"""Charts of what other studies ask: where a variant starts to pay, and how long a transfer takes."""

from __future__ import annotations

import pytest
from support.fake_results import PLACE, Cost, Result, header, lane
from support.pages import Page

from zcload.analysis.summary import summarise
from zcload.report.charts import draw
from zcload.report.charts.registry import all_charts
from zcload.report.charts.view import view_of
from zcload.report.html import render
from zcload.store.reader import Result as Stored


def marks(chart):
    """Return the data of the marks that say something when pointed at."""
    return [v for panel in chart.panels for part in panel.spec["layer"] for v in part["data"]["values"] if "tip" in v]


def search(crossings):
    """Return a summary as a search leaves it: five chunks, and the *crossings* that were found."""
    sizes = [4096 << 2 * i for i in range(5)]
    head = header([lane("copy"), lane("sendfile")], [f"chunk={size // 1024}KiB" for size in sizes])
    for point, size in zip(head["points"], sizes, strict=True):
        point["point"] = PLACE | {"chunk_bytes": size}
    result = Result(head)
    for number in range(len(sizes)):
        result.point = number
        for generation in range(3):
            result.generation(generation, {"copy": Cost(0.3), "sendfile": Cost(0.5 - 0.1 * number + 0.01 * generation)})
    found = {
        "sweep": "chunk", "unit": "B", "contender": "sendfile", "baseline": "copy", "metric": "total_cpu_s_per_gb", "confidence": 0.95,
        "range": [sizes[0], sizes[-1]], "verdict": "crosses" if crossings else "open", "crossings": crossings, "wins": [], "loses": [],
        "level": [], "undecided": [], "precision_percent": 50.0, "stopped": None,
    }  # fmt: skip
    return summarise(result.end()) | {"crossing": found}


CROSSING = {"estimate": 50_000.0, "low": 40_000.0, "high": 10.0**9, "between": [16384, 262144], "wins": "above"}


def test_a_search_shows_its_crossing():
    """The chart has the saving at every measured value by the axis' own scale, and the crossing's interval, cut where the axis ends."""
    chart = next(all_charts(view_of(search([CROSSING]), {})))
    assert chart.name == "crossing"
    assert [mark["x"] for mark in marks(chart)] == [4096, 16384, 65536, 262144, 1048576]
    (band,) = [v for part in chart.panels[0].spec["layer"] for v in part["data"]["values"] if "at" in v and part["mark"]["type"] == "rect"]
    assert (band["a"], band["at"]) == (40_000.0, 50_000.0)
    assert band["b"] == pytest.approx(1048576 * 1.2)
    assert "estimate" in chart.note


def test_a_search_without_a_crossing_marks_none():
    """Where nothing crosses nothing is marked, and the note does not speak of it."""
    chart = next(all_charts(view_of(search([]), {})))
    assert not [v for part in chart.panels[0].spec["layer"] for v in part["data"]["values"] if "at" in v]
    assert "crossing" not in chart.note


def test_the_page_of_a_search_is_told_along_its_axis(monkeypatch):
    """The page has the table along the axis once, and no section for each of the many points."""
    monkeypatch.setattr(draw, "available", lambda: False)
    found = Page(render([Stored(search([CROSSING]))]))
    assert len([table for table in found.tables if " along chunk" in table["caption"]]) == 1
    assert not [a for a in found.every("section") if a.get("class") == "point"]


def test_latency_is_drawn_as_its_table_says():
    """Each percentile has a mark at its milliseconds, with its interval, on a logarithmic axis; a point without latency has no chart."""
    head = header([lane("copy"), lane("sendfile")])
    head["points"][0]["point"] = PLACE | {"transfer": "per-file", "arrivals": "closed"}
    result = Result(head)
    for generation in range(6):
        luck = 1000 * generation
        costs = {
            name: Cost(0.4, latencies_ns=tuple(base + luck + 500 * i for i in range(200)))
            for name, base in (("copy", 50_000), ("sendfile", 30_000))
        }
        result.generation(generation, costs)
    summary = summarise(result.end())
    chart = next(c for c in all_charts(view_of(summary, {})) if c.name == "latency")
    percentiles = summary["points"][0]["variants"][1]["latency"]["percentiles"]
    drawn = [mark["y"] for mark in marks(chart) if mark["n"] == "sendfile"]
    assert drawn == [1e3 * figure["estimate"] for figure in percentiles.values() if figure["estimate"] is not None]
    assert len(drawn) > 2
    assert all(mark["low"] <= mark["y"] <= mark["high"] for mark in marks(chart))
    axes = [part["encoding"]["y"].get("scale") or {} for part in chart.panels[0].spec["layer"]]
    scales = {axis["type"] for axis in axes if "type" in axis}
    assert scales == {"log"}
    assert chart.table.headers[2:] == [name.replace("_", ".") for name in percentiles]
    assert not [c for c in all_charts(view_of(search([]), {})) if c.name == "latency"]


@pytest.mark.skipif(not draw.available(), reason=f"vl-convert-python is not installed: {draw.REMEDY}")
def test_they_can_be_drawn():
    """What the specs say the library draws, the axes' names in it."""
    chart = next(all_charts(view_of(search([CROSSING]), {})))
    (text,) = draw.svg([draw.whole(chart)])
    assert all(f">{word}<" in text for word in ("4KiB", "1024KiB", "chunk", "saved (%)"))
