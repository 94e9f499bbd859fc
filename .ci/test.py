"""Run the tests in three phases, run those that failed again, alone, and sum all up in one line.

First those that can share the machine run side by side, then those marked `serial`, a few at a time, then those marked `alone`.
With --all as the first argument those marked `slow` run too, with --nightly those marked `nightly` only.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

AT_A_TIME = len(os.sched_getaffinity(0)) + 1  # tests wait much of their time: for servers, for browsers, for windows to end
# What runs, the mark that only files with such tests name, and how.
PHASES = {
    "side by side": ("not serial and not alone", "", ["-n", str(AT_A_TIME), "--dist", "worksteal"]),
    f"{AT_A_TIME} at a time": ("serial and not alone", "serial", ["-n", str(AT_A_TIME), "--dist", "worksteal"]),
    "alone": ("alone", "alone", ["-n", "0"]),
}
CHOICES = {"--all": "not nightly", "--nightly": "nightly"}
COMPLETE = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}
WORDS = {"failed": "failed", "passed": "passed", "skipped": "skipped", "xfailed": "xfailed", "error": "errors"}  # pytest's, in its order
FAILED = ("failed", "error")
MOST_AGAIN = 3  # failed tests that are run again; more of them are no accident
TIMES_AGAIN = 2


def run_pytest(arguments: list[str]) -> int:
    """Run one pytest to its end, which signals bring about in its own way, and return its exit code."""
    child = subprocess.Popen([sys.executable, "-m", "pytest", *arguments])
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to pytest as well
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return code if code >= 0 else 128 - code  # as a shell tells of a signal


def files_with(mark: str, arguments: Sequence[str]) -> list[str]:
    """Return the files to collect tests with *mark* from, which takes a tenth of the time of all; none where *arguments* name some."""
    if any(Path(argument.partition("::")[0]).exists() for argument in arguments):
        return []
    return sorted(str(path) for path in Path("tests").rglob("test_*.py") if f"mark.{mark}" in path.read_text(encoding="utf-8"))


def outcome(case: ElementTree.Element) -> str:
    """Tell one test's outcome in pytest's words."""
    if case.find("error") is not None:
        return "error"
    if case.find("failure") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is None:
        return "passed"
    return "xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"


def outcomes(record: Path) -> list[tuple[str, str]]:
    """Return (node ID, outcome) of each test in a JUnit file that pytest wrote; its family is xunit1, which names files."""
    if not record.exists():
        return []
    return [(f"{case.get('file')}::{case.get('name')}", outcome(case)) for case in ElementTree.parse(record).iter("testcase")]


def stops_at_a_failure(arguments: Sequence[str]) -> bool:
    """Say whether pytest, given *arguments*, stops at a failure: then other tests have not run, and a second attempt shows nothing."""
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *arguments]
    return any(re.match(r"-[a-zA-Z]*x|--(exitfirst|maxfail|stepwise|sw\b)", word) for word in words)


def passes_alone(name: str) -> bool:
    """Run the test *name* alone; return whether it passed. One that is skipped now has not."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "again.xml")
        code = run_pytest(["-q", "-n", "0", f"--junitxml={record}", "-o", "junit_family=xunit1", name])
        return code == pytest.ExitCode.OK and {what for _, what in outcomes(record)} == {"passed"}


def run_again(failed: Iterable[str], passes: Callable[[str], bool]) -> list[str]:
    """Run the *failed* tests again unless there are more than MOST_AGAIN; return those that passed TIMES_AGAIN times without a failure."""
    names = list(dict.fromkeys(failed))  # a test may fail in its body and in its end
    if len(names) > MOST_AGAIN:
        return []
    return [name for name in names if all(passes(name) for _ in range(TIMES_AGAIN))]


def exit_code(phases: Sequence[tuple[int, Sequence[str]]], passed_again: Sequence[str]) -> int:
    """Return one exit code for *phases*, each its own code and its failed tests: 0 if all tests passed, at once or when run again."""
    codes = set[int]()
    for code, failed in phases:
        forgiven = code == pytest.ExitCode.TESTS_FAILED and failed and set(failed) <= set(passed_again)
        codes.add(int(pytest.ExitCode.OK) if forgiven else code)
    # A choice like ARGS="-k units" may leave phases empty; all empty is a mistake.
    return max(codes - {int(pytest.ExitCode.NO_TESTS_COLLECTED)}, default=int(pytest.ExitCode.NO_TESTS_COLLECTED))


def summary(results: Sequence[tuple[str, str]], passed_again: Sequence[str], ended_early: int | None, took_s: float) -> list[str]:
    """Return the last lines: each test that passed only when it was run again, then how many had which outcome."""
    count, times = len(passed_again), {1: "once", 2: "twice"}[TIMES_AGAIN]
    totals = Counter("passed" if name in passed_again and what in FAILED else what for name, what in results)
    parts = [f"{totals[word]} {several if totals[word] > 1 else word}" for word, several in WORDS.items() if totals[word]]
    parts = parts or ["no tests ran"]
    if count:
        parts.append(f"{count} of them only when run again")
    if ended_early is not None:
        parts.append(f"ended early ({ended_early})")
    lines = [f"failed once, then passed {times} alone: {name}" for name in passed_again]
    return [*lines, f" {', '.join(parts)} in {took_s:.2f}s ".center(80, "=")]


def main(arguments: list[str]) -> int:
    """Run all phases, each with *arguments* added, then again what failed; return one exit code for all."""
    which = next((chosen for option, chosen in CHOICES.items() if arguments[:1] == [option]), "not slow and not nightly")
    arguments = arguments[1:] if arguments[:1] and arguments[0] in CHOICES else arguments
    started = time.monotonic()
    results: list[tuple[str, str]] = []
    phases: list[tuple[int, list[str]]] = []
    with tempfile.TemporaryDirectory() as folder:
        for title, (marks, mark, options) in PHASES.items():
            print(f"Tests that run {title}:", flush=True)
            record = Path(folder, f"{title}.xml")
            options = [*options, f"--junitxml={record}", "-o", "junit_family=xunit1"]
            files = files_with(mark, arguments) if mark else []
            code = run_pytest(["-m", f"{marks} and {which}", *options, *arguments, *files])
            found = outcomes(record)
            results += found
            phases.append((code, [name for name, what in found if what in FAILED]))
            if code not in COMPLETE:
                break
    complete = code in COMPLETE
    final = not complete or "--rewrite-golden" in arguments or stops_at_a_failure(arguments)
    passed_again = [] if final else run_again([name for _, failed in phases for name in failed], passes_alone)
    lines = summary(results, passed_again, None if complete else code, time.monotonic() - started)
    print(*lines, sep="\n", flush=True)
    return exit_code(phases, passed_again)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
