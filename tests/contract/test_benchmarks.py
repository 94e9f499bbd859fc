"""The benchmarks still fit the code that they measure."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.paths import ROOT

BENCHMARKS = sorted(path for path in ROOT.glob("benchmarks/**/*.py") if "argparse" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_starts(path):
    """Every benchmark imports what it names and shows its help."""
    done = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
