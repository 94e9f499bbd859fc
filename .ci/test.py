"""Run the tests: first those that can share the machine, side by side, then those marked `serial`, alone; sum both up in one line.

With --all first, those marked `slow` too; with --nightly first, those marked `nightly` only.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

PHASES = {
    "side by side": ("not serial", ["-n", "auto", "--dist", "worksteal"]),
    "one at a time": ("serial", ["-n", "0"]),
}
CHOICES = {"--all": "not nightly", "--nightly": "nightly"}
COMPLETE = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}
WORDS = {"failed": "failed", "passed": "passed", "skipped": "skipped", "xfailed": "xfailed", "error": "errors"}  # pytest's, in its order


def run_pytest(arguments: list[str]) -> int:
    """Run one pytest to its end, which signals bring about in its own way, and return its exit code."""
    child = subprocess.Popen([sys.executable, "-m", "pytest", *arguments])
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to pytest as well
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return code if code >= 0 else 128 - code  # as a shell tells of a signal


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


def main(arguments: list[str]) -> int:
    """Run both phases, each with *arguments* added, and return one exit code for the two."""
    which = next((chosen for option, chosen in CHOICES.items() if arguments[:1] == [option]), "not slow and not nightly")
    arguments = arguments[1:] if arguments[:1] and arguments[0] in CHOICES else arguments
    started = time.monotonic()
    totals: Counter[str] = Counter()
    codes = []
    with tempfile.TemporaryDirectory() as folder:
        for title, (marks, options) in PHASES.items():
            marks = f"{marks} and {which}"
            print(f"Tests that run {title}:", flush=True)
            record = Path(folder, f"{title}.xml")
            codes.append(run_pytest(["-m", marks, *options, f"--junitxml={record}", *arguments]))
            if record.exists():
                totals.update(outcome(case) for case in ElementTree.parse(record).iter("testcase"))
            if codes[-1] not in COMPLETE:
                break
    # A choice like ARGS="-k units" may leave one phase empty; both empty is a mistake.
    code = max((code for code in codes if code != pytest.ExitCode.NO_TESTS_COLLECTED), default=int(pytest.ExitCode.NO_TESTS_COLLECTED))
    parts = [f"{totals[word]} {several if totals[word] > 1 else word}" for word, several in WORDS.items() if totals[word]]
    parts = parts or ["no tests ran"]
    if codes[-1] not in COMPLETE:
        parts.append(f"ended early ({codes[-1]})")
    print(f" {', '.join(parts)} in {time.monotonic() - started:.2f}s ".center(80, "="), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
