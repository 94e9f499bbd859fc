"""What `.ci/test.py`, which `make test` starts, makes of tests that fail: a defect stays red, an accident is named."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from support.paths import ROOT

A, B, C, D = (f"tests/test_{letter}.py::test[{letter}/x]" for letter in "abcd")


@pytest.fixture(scope="module")
def runner():
    """Return the module `.ci/test.py`."""
    spec = importlib.util.spec_from_file_location("ci_test", ROOT / ".ci" / "test.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answering(codes):
    """Return what stands for pytest: it ends with each test's next code, and the list of the tests that it was started for."""
    started = []

    def run(arguments):
        started.append(arguments[-1])
        assert arguments[:-1] == ["-q", "-n", "0"]
        return codes[arguments[-1]].pop(0)

    return run, started


def test_a_test_that_failed_is_run_again_until_it_fails_or_has_passed_twice(runner):
    """Of the tests that failed, those count as passed that pass alone twice; one that fails again is not run a third time."""
    run, started = answering({A: [0, 0], B: [1], C: [0, 1]})
    assert runner.run_again([A, B, C, B], run) == [A]
    assert started == [A, A, B, C, C]


def test_many_failures_are_not_run_again(runner):
    """More than three tests that failed are no accident: none is run again."""
    run, started = answering({})
    assert runner.run_again([A, B, C, D], run) == []
    assert started == []


@pytest.mark.parametrize(
    ("codes", "failed", "passed_again", "expected"),
    [
        ([0, 0, 0], [], [], 0),
        ([0, 5, 5], [], [], 0),  # a choice that leaves phases empty
        ([5, 5, 5], [], [], 5),
        ([0, 1, 0], [A], [], 1),
        ([0, 1, 0], [A], [A], 0),
        ([1, 1, 0], [A, B], [A], 1),
        ([0, 2], [A], [A], 2),  # interrupted
        ([0, 1, 0], [], [], 1),  # pytest failed and no test did
        ([4], [], [], 4),
    ],
)
def test_the_exit_code_is_that_of_what_stayed_red(codes, failed, passed_again, expected, runner):
    """A run is green only if every test passed at once, or failed once and then passed each time."""
    assert runner.exit_code(codes, failed, passed_again) == expected


def test_the_last_lines_name_what_passed_only_again(runner):
    """Each test that passed only when it was run again has a line of its own before the sum."""
    results = [(A, "failed"), (B, "passed"), (C, "skipped"), (D, "error")]
    assert runner.summary(results, [A], None, 1.5) == [
        f"failed once, then passed twice alone: {A}",
        "= 2 passed, 1 skipped, 1 error, 1 of them only when run again in 1.50s =".center(80, "="),
    ]
    assert "1 failed, 1 passed, 1 skipped, 1 error, ended early (2)" in runner.summary(results, [], 2, 1.5)[-1]


def test_only_files_that_name_a_mark_are_collected_for_it(runner, monkeypatch):
    """For the tests of a mark only the files that name it are collected, unless the user names files."""
    monkeypatch.chdir(ROOT)
    files = runner.files_with("alone", ["-k", "units"])
    assert "tests/system/test_leftovers.py" in files
    assert len(files) < len(runner.files_with("serial", [])) < 100
    assert runner.files_with("serial", ["-x", "tests/unit/model"]) == []
    assert runner.files_with("serial", ["tests/system/test_lane.py::test_many_senders"]) == []


def test_a_name_read_from_a_record_selects_the_test(runner, tmp_path):
    """The names and outcomes of tests are read from the record that pytest writes, so that pytest finds each again."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.fixture\ndef bad():\n    yield\n    raise OSError\n"
        "@pytest.mark.parametrize('x', ['a::b [c]', 'tab\\tand\\x1b'])\ndef test_fails(x): assert not x\n"
        "def test_ends_badly(bad): pass\n@pytest.mark.skip\ndef test_skipped(): pass\n"
        "@pytest.mark.xfail\ndef test_expected(): assert 0\ndef test_passes(): pass\n"
    )
    record = tmp_path / "record.xml"
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null", "-o", "junit_family=xunit1"]
    command = [sys.executable, "-m", "pytest", *options, f"--junitxml={record}"]
    subprocess.run([*command, str(tmp_path)], cwd=tmp_path, stdout=subprocess.DEVNULL, check=False)
    found = runner.outcomes(record)
    assert sorted(what for _, what in found) == ["error", "failed", "failed", "passed", "skipped", "xfailed"]
    names = [name for name, what in found if what == "failed"]
    subprocess.run([*command, *names], cwd=tmp_path, stdout=subprocess.DEVNULL, check=False)
    assert [what for _, what in runner.outcomes(record)] == ["failed", "failed"]
    assert runner.outcomes(tmp_path / "absent.xml") == []
