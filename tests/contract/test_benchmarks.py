"""The benchmarks still fit the code that they measure."""

from __future__ import annotations

import ast
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


@pytest.mark.parametrize("path", [path for path in BENCHMARKS if "arrange_pages(" in path.read_text()], ids=lambda path: path.stem)
def test_a_file_gets_its_pages_before_it_is_filled(path):
    """A benchmark that asks for pages of a file does so while it is empty: arrange_pages leaves zeros in it."""
    for function in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)):
        lines = {"arrange_pages": [], "write": [], "pwrite": []}
        for call in (node.func for node in ast.walk(function) if isinstance(node, ast.Call)):
            lines.get(getattr(call, "id", getattr(call, "attr", "")), []).append(call.lineno)
        if lines["arrange_pages"]:
            assert max(lines["arrange_pages"]) < min(lines["write"] + lines["pwrite"])
