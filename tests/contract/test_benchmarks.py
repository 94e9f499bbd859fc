"""The benchmarks are programs that nobody imports: what they take from zcload is held to what is there."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec

import pytest
from support.paths import ROOT

PROGRAMS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_what_a_benchmark_imports_exists(path):
    """Every name that a benchmark imports from zcload is there."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    missing = [
        f"{node.module}.{alias.name}"
        for node in imports
        if node.module and node.module.split(".")[0] == "zcload"
        for alias in node.names
        if not hasattr(import_module(node.module), alias.name) and find_spec(f"{node.module}.{alias.name}") is None
    ]
    assert not missing
