"""The types of stored results: what every version has written fits them, and they are read without pydantic."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from support.fake_results import example
from support.paths import ROOT

from zcload.analysis.summary import summarise
from zcload.model.records import values
from zcload.model.records.lines import Line
from zcload.model.records.summary import Summary

FIRST = ROOT / "tests/data/first-release"

with_config(ConfigDict(strict=True))(values.Stored)
LINES, SUMMARY = TypeAdapter(Line), TypeAdapter(Summary)


def test_lines_of_the_first_release_fit_their_types():
    """Every line that the first release wrote is a Line."""
    for line in (FIRST / "windows.jsonl").read_text().splitlines():
        LINES.validate_json(line)


def test_a_summary_of_the_first_release_fits_its_type():
    """The summary that the first release wrote is a Summary."""
    SUMMARY.validate_json((FIRST / "summary.json").read_bytes())


def test_what_a_run_writes_today_fits_the_types():
    """Every kind of line, and the summary derived from them, fits the types."""
    records = example()
    for record in records:
        LINES.validate_json(json.dumps(record))
    SUMMARY.validate_json(json.dumps(summarise(records)))


@pytest.mark.parametrize("key", ["kind", "point", "senders", "open_ns"])
def test_a_window_without_a_key_is_none(key):
    """A window that lacks a key of the first release does not fit."""
    window = next(record for record in example() if record["kind"] == "window")
    with pytest.raises(ValidationError):
        LINES.validate_python({name: value for name, value in window.items() if name != key})


def test_the_types_need_no_pydantic():
    """Importing the types imports no validator: what only measures does not pay for one."""
    code = "import sys, zcload.model.records.lines, zcload.model.records.summary; print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
