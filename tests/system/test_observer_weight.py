"""What observing costs: the benchmark measures and prints it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "observer_weight.py"


@pytest.mark.serial
@pytest.mark.slow
def test_ratios_and_a_row_for_each_number_of_senders_are_printed():
    """Both mechanisms have a ratio with an interval around it, and each number of senders has six figures, none negative."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--windows", "16", "--senders", "1", "3"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    _, first, second, _, *counts = done.stdout.splitlines()
    for line, mechanism in ((first, "read_send"), (second, "sendfile")):
        name, _, _, estimate, interval = line.split()
        low, high = map(float, interval.strip("()").split(".."))
        assert name == mechanism
        assert low <= float(estimate) <= high
    assert [line.split()[0] for line in counts] == ["1", "3"]
    assert all(len(line.split()) == 7 and min(map(float, line.split())) >= 0 for line in counts)
