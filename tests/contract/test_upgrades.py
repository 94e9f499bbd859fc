"""Results of every release are read for ever, what a later one adds is passed over, and a newer major schema is refused clearly."""

from __future__ import annotations

import json
import shutil

import pytest
from support.paths import DATA, FIRST_RELEASE

from zcload.api import study_of
from zcload.compare.comparison import compare
from zcload.errors import ConfigError
from zcload.report import renderer
from zcload.runner.resume import read_previous
from zcload.store.reader import Result

# One directory for each release and kind of study, as that release wrote it; none is ever changed or removed.
STORED = [FIRST_RELEASE, *sorted((DATA / "releases").iterdir())]
FORMATS = ("table", "markdown", "json", "csv", "csv-windows", "openmetrics", "benchstat", "bencher", "github-action-benchmark")


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.name)
def test_a_stored_result_is_read_for_ever(stored):
    """Its summary, and one made anew of its windows, are shown in every format, compared, and hold a config that runs again."""
    for result in (Result.load(stored), Result.load(stored / "windows.jsonl")):
        for form in FORMATS:
            assert renderer(form)([result])
        if "killed" not in stored.name:  # before it had measured enough to be compared
            assert compare([result], [result])
            assert result.to_rows("windows")
    previous = read_previous(stored)
    assert previous.header["zcload_version"]
    assert study_of(stored).name == previous.header["name"]


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.name)
def test_what_a_kill_leaves_is_shown(stored, tmp_path):
    """A run that was killed after any of its lines, its first as well, is shown in every format and on a page."""
    lines = (stored / "windows.jsonl").read_bytes().splitlines(keepends=True)
    for count in sorted({min(count, len(lines)) for count in (1, 2, 3, 5, 8, 13, 21, 34)}):
        (tmp_path / "windows.jsonl").write_bytes(b"".join(lines[:count]))
        result = Result.load(tmp_path)
        for form in (*FORMATS, "html"):
            assert renderer(form)([result])


@pytest.mark.parametrize("name", ["windows.jsonl", "summary.json"])
def test_a_newer_major_schema_is_refused(name, tmp_path):
    """A result of a newer major schema is refused with both schemas and what to do, not read as if it were one of ours."""
    shutil.copytree(FIRST_RELEASE, tmp_path / "r")
    path = tmp_path / "r" / name
    kind = name.partition(".")[0]
    path.write_text(path.read_text().replace(f"zcload.{kind}/1", f"zcload.{kind}/2"))
    with pytest.raises(ConfigError) as refused:
        Result.load(path)
    says = f'has the schema "zcload.{kind}/2"; this zcload reads "zcload.{kind}/1" (use the zcload that wrote it)'
    assert str(refused.value) == f"{path}: {says}" or str(refused.value) == f"{path}:1: {says}"


def test_what_a_later_minor_version_adds_is_passed_over(tmp_path):
    """Lines of an unknown kind and unknown keys of known lines change nothing of what is shown."""
    lines = (FIRST_RELEASE / "windows.jsonl").read_text().splitlines()
    shown = renderer("csv")([Result.load(FIRST_RELEASE / "windows.jsonl")])
    more = [json.dumps({**json.loads(line), "of_a_later_version": [1, {"a": None}]}) for line in lines]
    more.insert(2, '{"kind":"of_a_later_version","point":0}')
    (tmp_path / "windows.jsonl").write_text("\n".join(more) + "\n")
    assert renderer("csv")([Result.load(tmp_path / "windows.jsonl")]) == shown
