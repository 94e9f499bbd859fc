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


def answering(outcomes):
    """Return what stands for a run of one test: it tells each test's next outcome; and the list of the tests that were run."""
    started = []

    def passes(name):
        started.append(name)
        return outcomes[name].pop(0)

    return passes, started


def test_a_test_that_failed_is_run_again_until_it_fails_or_has_passed_twice(runner):
    """Of the tests that failed, those count as passed that pass alone twice; one that fails again is not run a third time."""
    passes, started = answering({A: [True, True], B: [False], C: [True, False]})
    assert runner.run_again([A, B, C, B], passes) == [A]
    assert started == [A, A, B, C, C]


def test_many_failures_are_not_run_again(runner):
    """More than three tests that failed are no accident: none is run again."""
    passes, started = answering({})
    assert runner.run_again([A, B, C, D], passes) == []
    assert started == []


@pytest.mark.parametrize(("test", "expected"), [("pass", True), ("assert 0", False), ("import pytest; pytest.skip('not now')", False)])
def test_a_second_attempt_must_pass(test, expected, runner, tmp_path, monkeypatch):
    """A test that is skipped when it is run again has not passed, nor has one that pytest no longer finds."""
    (tmp_path / "test_it.py").write_text(f"def test_it(): {test}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "run_pytest", lambda arguments: subprocess.call([sys.executable, "-m", "pytest", *arguments]))
    assert runner.passes_alone("test_it.py::test_it") is expected
    if expected:
        assert runner.passes_alone("test_it.py::test_gone") is False


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-x"], True),
        (["-vx", "-k", "lane"], True),
        (["--exitfirst"], True),
        (["--maxfail=1"], True),
        (["--maxfail", "2"], True),
        (["--sw"], True),
        (["-k", "x"], False),
        (["-q", "tests/unit/model"], False),
        ([], False),
    ],
)
def test_what_stops_at_a_failure_is_final(arguments, expected, runner, monkeypatch):
    """Where pytest stops at a failure, by an argument or by PYTEST_ADDOPTS, the tests after it have not run."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert runner.stops_at_a_failure(arguments) is expected
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(arguments))
    assert runner.stops_at_a_failure([]) is expected


@pytest.mark.parametrize(
    ("phases", "passed_again", "expected"),
    [
        ([(0, []), (0, []), (0, [])], [], 0),
        ([(0, []), (5, []), (5, [])], [], 0),  # a choice that leaves phases empty
        ([(5, []), (5, []), (5, [])], [], 5),
        ([(0, []), (1, [A]), (0, [])], [], 1),
        ([(0, []), (1, [A, A]), (0, [])], [A], 0),
        ([(1, [A]), (1, [B]), (0, [])], [A], 1),
        ([(1, [A]), (1, [B]), (0, [])], [A, B], 0),
        ([(0, []), (2, [A])], [A], 2),  # interrupted
        ([(0, []), (1, []), (0, [])], [], 1),  # pytest failed and no test did
        ([(1, [A]), (1, []), (0, [])], [A], 1),
        ([(4, [])], [], 4),
    ],
)
def test_the_exit_code_is_that_of_what_stayed_red(phases, passed_again, expected, runner):
    """A run is green only if every test passed at once, or failed once and then passed each time."""
    assert runner.exit_code(phases, passed_again) == expected


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
