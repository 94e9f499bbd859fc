"""How long a loop around iperf3 takes for an answer: what kept pairs of runs say."""

from __future__ import annotations

import json
import math
import subprocess
import sys

from support.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "peers" / "time_to_answer.py"


def said(folder, target):
    """Return the words that the benchmark prints of the pairs in *folder*."""
    command = [sys.executable, str(SCRIPT), "--into", str(folder), "--rounds", "0", "--target", target]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout.split()


def test_kept_pairs_are_judged_and_a_target_half_as_wide_takes_four_times_as_long(tmp_path):
    """Ratio, pairs and seconds of kept pairs are printed, and the extrapolated time grows with the square of the half-width."""
    logs = [math.log(0.5) + 0.02 * (number % 3 - 1) for number in range(12)]
    (tmp_path / "iperf3-1s.jsonl").write_text("".join(json.dumps([log, 2.5]) + "\n" for log in logs))
    words, narrower = said(tmp_path, "0.01"), said(tmp_path, "0.005")
    assert words[:8] == ["iperf3-1s:", "12", "pairs", "in", "30", "s,", "ratio", "0.500,"]
    seconds, more = (float(each[each.index("take") + 1]) for each in (words, narrower))
    assert math.isclose(more, 4 * seconds, rel_tol=1e-3)
