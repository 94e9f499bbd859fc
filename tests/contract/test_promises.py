"""The table of docs/reliability.md: every promise names tests that exist."""

from __future__ import annotations

import re

import pytest
from support.paths import ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text()
ROWS = [line.strip("|").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")][1:]


def test_there_are_promises():
    """The table was found: it has dozens of rows of a fault, what zcload does, and tests."""
    assert len(ROWS) > 25
    assert {len(row) for row in ROWS} == {3}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip()[:60])
def test_a_promise_names_its_tests(row):
    """Each file that a row names is there and holds a test."""
    named = re.findall(r"`([^`]+)`", row[2])
    assert named
    for name in named:
        assert re.search(r"^def test_\w+\(", (ROOT / name).read_text(), re.MULTILINE), name


def test_a_test_that_the_page_names_elsewhere_is_there():
    """The same for the files that the page's text names."""
    named = set(re.findall(r"tests/\w+/[\w/]*\w+\.py", TEXT))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
