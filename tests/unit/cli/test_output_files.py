"""What the commands write besides text: the page and the charts, from a stored result, through the installed command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from support.fake_results import example, header, lane
from support.paths import ROOT

from benchmarks.scale import make
from zcload.analysis.summary import summarise
from zcload.cli import output_files
from zcload.report.charts import draw
from zcload.runner import limits
from zcload.store import stored_lines
from zcload.store.reader import Result

needs_library = pytest.mark.skipif(not draw.available(), reason=f"vl-convert-python is not installed: {draw.REMEDY}")
# The library is there and must seem not to be: an import system that does not find it, as in a plain install.
WITHOUT = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "vl_convert" else find(name, *rest)
from zcload.main import main
sys.exit(main())
"""


@pytest.fixture
def result(tmp_path):
    """Write the records of the example study as a result; return its directory."""
    directory = tmp_path / "result"
    directory.mkdir()
    (directory / "windows.jsonl").write_text("".join(json.dumps(record) + "\n" for record in example(everything=False)))
    return directory


def command(*arguments, cwd, code=None):
    start = [sys.executable, "-c", code] if code else [sys.executable, "-m", "zcload"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*start, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_report_as_html(result, tmp_path):
    """`report --format html` prints the page, and with --out writes the same into a file."""
    printed = command("report", result, "--format", "html", cwd=tmp_path)
    assert (printed.returncode, printed.stderr) == (0, "") if draw.available() else (0, printed.stderr)
    written = command("report", result, "--format", "html", "--out", "page.html", cwd=tmp_path)
    assert written.stdout == ""
    assert (tmp_path / "page.html").read_text() == printed.stdout
    assert printed.stdout.startswith("<!doctype html>")


@needs_library
@pytest.mark.parametrize(("kind", "begin"), [("svg", b"<svg "), ("png", b"\x89PNG\r\n")])
def test_charts_as_files(kind, begin, result, tmp_path):
    """`--format svg` and `png` write every chart into the directory, and print the files' names; --chart picks."""
    done = command("report", result, "--format", kind, "--out", "charts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = ["cpu-per-gb", "savings", "curve", "savings-best-chunk", "timeline", "windows"]
    assert done.stdout.splitlines() == [f"charts/{name}.{kind}" for name in names]
    assert all((tmp_path / line).read_bytes().startswith(begin) for line in done.stdout.splitlines())
    one = command("report", result, "--format", kind, "--out", "one", "--chart", "curve", cwd=tmp_path)
    assert one.stdout.splitlines() == [f"one/curve.{kind}"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == [f"curve.{kind}"]
    assert (tmp_path / f"one/curve.{kind}").read_bytes() == (tmp_path / f"charts/curve.{kind}").read_bytes()


@needs_library
def test_charts_of_several_results_do_not_overwrite_each_other(result, tmp_path):
    """With several results the files' names begin with the result's number."""
    done = command("report", result, result, "--format", "svg", "--out", "c", "--chart", "1-curve", "--chart", "2-curve", cwd=tmp_path)
    assert done.stdout.splitlines() == ["c/1-curve.svg", "c/2-curve.svg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "svg"), "--out: missing: the directory for the svg charts (--out charts)"),
        (("--format", "png", "--out", "c", "--chart", "pie"), "--chart: 'pie' is not a chart of this result"),
        (("--format", "table", "--chart", "curve"), "--chart: only works with --format svg or png"),
        (("--format", "pdf"), "--format: 'pdf' is not a format (use table, markdown, "),
        (("--format", "html", "--out", "no/such/folder/page.html"), "cannot write no/such/folder/page.html: no such file or directory"),
    ],
)
def test_wrong_options_are_told(arguments, message, result, tmp_path):
    """What cannot be written is one line with the option and the remedy, exit code 2."""
    done = command("report", result, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plain_install_says_what_is_missing(result, tmp_path):
    """Without vl-convert the page comes with its tables, one line on stderr tells the remedy, and charts are refused with it."""
    page = command("report", result, "--format", "html", cwd=tmp_path, code=WITHOUT)
    assert page.returncode == 0, page.stderr
    assert page.stderr == f"zcload: the HTML report has no charts; to add them: {draw.REMEDY}\n"
    assert "<table" in page.stdout
    assert "<svg" not in page.stdout
    chart = command("report", result, "--format", "svg", "--out", "c", cwd=tmp_path, code=WITHOUT)
    assert chart.returncode == 1
    assert chart.stderr == f"zcload: error: drawing charts needs the package vl-convert-python: {draw.REMEDY}\n"


def test_a_run_ends_with_a_page(tmp_path, capsys, monkeypatch):
    """A page is written whole and in silence; an error is one line with the command for later, and leaves nothing behind."""
    monkeypatch.setattr(draw, "available", lambda: False)
    stored = Result(summarise([header([lane("copy")])]))
    output_files.write_page(stored, tmp_path)
    assert "Nothing was measured" in (tmp_path / "report.html").read_text()
    assert not capsys.readouterr().err
    gone = tmp_path / "it is gone"
    output_files.write_page(stored, gone)
    said = capsys.readouterr().err
    assert said.startswith("zcload: no report.html: ")
    assert said.endswith(f"; make it with: zcload report '{gone}' --format html --out '{gone}/report.html'\n")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_takes_too_long_is_given_up(tmp_path, capsys, monkeypatch):
    """Once the limit of the page is over, it is given up with one line that names the limit, and no page is left."""
    make(tmp_path, 64, points=1)
    stored = Result.load(tmp_path)
    monkeypatch.setattr(limits, "concluding_s", lambda stored_bytes: -1.0)
    monkeypatch.setattr(stored_lines, "_LINES_A_LOOK", 1)
    output_files.write_page(stored, tmp_path)
    said = capsys.readouterr().err
    assert said.startswith("zcload: no report.html: making report.html: not done after -1 s, the limit of this phase; make it with: ")
    assert not (tmp_path / "report.html").exists()


@needs_library
def test_a_child_that_was_started_early_draws_the_same():
    """A drawing is the same whether its program was started with it or before and met a Ctrl-C; one that is never asked is ended."""
    spec = draw.framed({"mark": "bar", "data": {"values": [{"a": 3}]}, "encoding": {"x": {"field": "a", "type": "quantitative"}}})
    late = draw.svg([spec])
    draw.start()
    (child,) = draw._started
    child.send_signal(signal.SIGINT)
    assert draw.svg([spec]) == late
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert draw._started == []
    assert child.returncode == 0
    draw.start()
    (child,) = draw._started
    draw._end_started()
    assert child.returncode == -signal.SIGKILL
