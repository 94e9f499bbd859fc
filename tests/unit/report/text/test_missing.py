"""Why a figure is missing: the reports say it, with the summary's own reasons."""

from __future__ import annotations

import pytest
from support.command_line import invoke
from support.fake_results import Cost, Result, example_summary, header, lane
from support.pages import sweep

from zcload.analysis.summary import summarise
from zcload.model.units import human_rate
from zcload.report.formats import brief, terminal
from zcload.report.text.missing import missing
from zcload.store.reader import Result as Stored
from zcload.store.writer import write_summary


def alone(generations):
    """Return the summary of a study of a single variant."""
    result = Result(header([lane("read_send", "read_send")], [""], baseline="read_send"))
    result.verified("read_send").calibrated()
    for number in range(generations):
        result.generation(number, {"read_send": Cost(0.4 + 0.001 * number)})
    return summarise(result.end())


def test_every_missing_metric_has_its_reason():
    """Each null metric of a measured variant stands in exactly one line, behind the reason that the summary gives."""
    (point,) = example_summary()["points"]
    lines = missing(point)
    expected = {(v["name"], key) for v in point["variants"] if v["windows"] for key, m in v["metrics"].items() if m["estimate"] is None}
    measured = [v["name"] for v in point["variants"] if v["windows"]]
    found = []
    for line in lines:
        text, _, names = line.removesuffix(")").partition(" (of ") if " (of " in line else (line, "", "")
        reason, _, keys = text.rpartition(": ")
        assert reason
        assert reason != "no reason is stored"
        found += [(name, key) for name in (names.split(", ") if names else measured) for key in keys.split(", ")]
    assert sorted(found) == sorted(expected)


def test_the_command_shows_them(tmp_path, capsys):
    """`zcload report RESULT --section missing` prints that part alone, and its help names the section."""
    write_summary(tmp_path, example_summary())
    done = invoke(capsys, "report", tmp_path, "--section", "missing")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Figures that are missing, and why\n")
    assert "missing (why a figure is" in " ".join(invoke(capsys, "report", "--help").out.split())


def test_sections_of_several_points_name_them():
    """A section that stands once for each point stands under the name of its point, and a point without one is not named."""
    swept = Stored(summarise(sweep(2, ["read_send", "sendfile"])))
    text = terminal.render_sections([swept], ["costs"])
    assert [line for line in text.splitlines() if line.startswith("==")] == ["== chunk=1KiB", "== chunk=2KiB"]
    assert "==" not in terminal.render_sections([Stored(alone(6))], ["costs"])


def test_a_dash_in_the_short_report_says_why():
    """Where the table of the short report has no figure, a line below it gives the reason and the section that has all."""
    text = " ".join(brief.render([Stored(alone(1))]).split())
    assert "- read_send: a single generation has no spread (--section missing has all)" in text
    assert "--section missing" not in brief.render([Stored(alone(6))])


@pytest.mark.parametrize("generations", [1, 6])
def test_a_single_variant_has_an_answer(generations):
    """A study of one variant ends with what that costs, or why that is not known, and how to compare it."""
    summary = alone(generations)
    (v,) = summary["points"][0]["variants"]
    text = " ".join(brief.render([Stored(summary)]).split())
    assert text.endswith("Nothing was compared; zcload run read_send sendfile measures two mechanisms.")
    if generations == 1:
        assert "read_send: no figure for both ends' CPU: a single generation has no spread." in text
    else:
        assert f"of both ends' CPU per GB, at {human_rate(v['metrics']['goodput_bps']['estimate'])}." in text
        assert f"read_send costs {v['metrics']['total_cpu_s_per_gb']['estimate']:.3f} s (" in text
    assert terminal.render([Stored(summary)])
