"""How long a loop around iperf3 takes for an answer: what kept pairs of runs say."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys

from support.paths import ROOT

from zcload.analysis.summary import summarise
from zcload.store.reader import each_record

SCRIPT = ROOT / "benchmarks" / "peers" / "time_to_answer.py"


def said(folder, *options):
    """Return the lines that the benchmark prints of the series in *folder*."""
    command = [sys.executable, str(SCRIPT), "--into", str(folder), "--turns", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout.splitlines()


def pairs(count, middle, *, seconds=2.5, turn=0):
    """Return the lines of *count* kept pairs whose ratios lie around *middle*."""
    return "".join(json.dumps([math.log(middle) + 0.02 * (number % 3 - 1), seconds, turn]) + "\n" for number in range(count))


def extrapolated(lines):
    """Return the seconds that the target would take."""
    return float(next(line for line in lines if "would take" in line).split("take ")[1].split()[0])


def test_kept_pairs_are_judged_and_a_target_half_as_wide_takes_four_times_as_long(tmp_path):
    """Each turn of kept pairs is a series, and the extrapolated time grows with the square of the half-width."""
    (tmp_path / "iperf3-256KiB-4GiB-1s.jsonl").write_text(pairs(12, 0.5) + pairs(12, 0.6, turn=1))
    lines, narrower = said(tmp_path, "--target", "0.01"), said(tmp_path, "--target", "0.005")
    assert lines[0] == "loop around iperf3: 2 series, ratio 0.500, 0.600"
    assert lines[3].startswith("  a replicate takes 2.5 s; ")
    assert math.isclose(extrapolated(narrower), 4 * extrapolated(lines), rel_tol=1e-3)


def test_pairs_of_another_chunk_are_kept_apart(tmp_path):
    """What was measured with another chunk does not count as the same series."""
    (tmp_path / "iperf3-256KiB-4GiB-1s.jsonl").write_text(pairs(6, 0.5))
    (tmp_path / "iperf3-64KiB-4GiB-1s.jsonl").write_text(pairs(6, 0.9))
    assert said(tmp_path)[0].endswith("1 series, ratio 0.500")
    assert said(tmp_path, "--chunk", "64KiB")[0].endswith("1 series, ratio 0.900")


def test_a_kept_run_has_the_interval_of_its_report_at_its_end(tmp_path):
    """After its last replicate a run of zcload is known as well as its report says, and its seconds are fully accounted for."""
    result = tmp_path / "zcload" / "256KiB" / "1"
    shutil.copytree(ROOT / "tests" / "data" / "first-release", result)
    (result / "series.json").write_text(json.dumps({"hog": "none", "started": 0.0, "seconds": 30.0}))
    lines = said(tmp_path, "--at", "1000")
    (compared,) = (
        each
        for each in summarise(each_record(result / "windows.jsonl"))["points"][0]["comparisons"]
        if (each["metric"], each["variant"]) == ("total_cpu_s_per_gb", "sendfile")
    )
    ratio = compared["ratio"]
    assert lines[0] == f"zcload: 1 series, ratio {ratio['estimate']:.3f}"
    assert lines[1] == f"  half-widths {50 * (ratio['high'] - ratio['low']):.1f} points after 30 s"
    shares = [int(line.split(": ")[1].split(" %")[0]) for line in lines if line.endswith("of the time")]
    assert abs(sum(shares) - 100) <= len(shares)  # each is rounded


def test_the_chart_has_a_mark_for_each_interval_of_each_program(tmp_path):
    """From the third pair or replicate on each has a mark, beside the one in the legend."""
    (tmp_path / "iperf3-256KiB-4GiB-1s.jsonl").write_text(pairs(6, 0.5))
    said(tmp_path, "--save", str(tmp_path / "saved.json"))
    drawing = [sys.executable, str(SCRIPT.with_name("interval_chart.py")), str(tmp_path / "saved.json"), str(tmp_path / "chart.svg")]
    subprocess.run(drawing, timeout=300, check=True)
    drawn = (tmp_path / "chart.svg").read_text()
    assert drawn.count("<circle") == 4 + 1
    assert "loop around iperf3, 1 series" in drawn


def test_half_widths_shrink_with_time_and_are_marked_beyond_the_end(tmp_path):
    """The table shows intervals of as many pairs as had passed, and beyond the end extrapolates with the root of the time."""
    (tmp_path / "iperf3-256KiB-4GiB-1s.jsonl").write_text(pairs(12, 0.5))
    lines = said(tmp_path, "--at", "15", "30", "120", "--margin", "1")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")][1:]
    early, whole, beyond = (float(row[1].split()[0]) for row in table)
    assert early > whole > beyond
    assert [row[1].endswith("(extrapolated)") for row in table] == [False, False, True]
    assert lines[-1].startswith(f"loop around iperf3: the smallest saving that shows beyond a margin of 1 %: {1 + early:.1f} % in 15 s")
