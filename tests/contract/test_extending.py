"""The diffs of docs/extending.md: applied to a copy of the repository, each adds what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from support.paths import DOCS, ROOT

PAGE = (DOCS / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
COPIED = (
    "zcload",
    "docs",
    "configs",
    "tests",
    "benchmarks",
    "examples",
    ".ci",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
)
MOST_PLACES = 3


def diffs(section):
    """Return the files that a section changes: (path, whether it is new, its hunks as lists of lines)."""
    (text,) = re.findall(r"^```diff\n(.*?)^```", SECTIONS[section], re.MULTILINE | re.DOTALL)
    found = []
    for part in re.split(r"^--- ", text, flags=re.MULTILINE)[1:]:
        old, new, *lines = part.splitlines()
        hunks = [hunk.strip("\n").split("\n") for hunk in re.split(r"^@@\n", "\n".join(lines) + "\n", flags=re.MULTILINE)[1:]]
        found.append((new.removeprefix("+++ b/"), old == "/dev/null", hunks))
    return found


def changed(root, path, is_new, hunks):
    """Return the text of a file below *root* with the hunks applied; every hunk's context must be there exactly once."""
    assert (root / path).exists() is not is_new, path
    text = "" if is_new else (root / path).read_text(encoding="utf-8")
    for hunk in hunks:
        before = "".join(line[1:] + "\n" for line in hunk if line[:1] in (" ", "-"))
        after = "".join(line[1:] + "\n" for line in hunk if line[:1] in (" ", "+"))
        assert is_new or text.count(before) == 1, f"{path}: these lines are not there once:\n{before}"
        text = after if is_new else text.replace(before, after)
    return text


RENEW = """
import sys
sys.path.insert(0, "tests")
from support.generated_docs import PARTS, made_from_code
from support.paths import ROOT
for name in PARTS:
    (ROOT / name).write_text(made_from_code(name), encoding="utf-8")
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a function that runs Python in a copy of the repository to which all diffs were applied, and returns what it printed."""
    root = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, root / name)
    for section in SECTIONS:
        for path, is_new, hunks in diffs(section):
            (root / path).write_text(changed(root, path, is_new, hunks), encoding="utf-8")

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    run("-c", RENEW)
    return run


def passed_in(copy, *arguments):
    """Run tests of the copy and return how many passed; none may fail."""
    printed = copy("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    return int(re.findall(r"(\d+) passed", printed)[0])


@pytest.mark.parametrize("section", SECTIONS)
def test_adding_takes_few_places(section):
    """What each section shows applies to this repository, and changes at most three files, one of which may be new."""
    files = diffs(section)
    assert 1 < len(files) <= MOST_PLACES
    assert sum(is_new for _, is_new, _ in files) <= 1
    for path, is_new, hunks in files:
        assert changed(ROOT, path, is_new, hunks)


@pytest.mark.slow
def test_an_added_mechanism_meets_the_contract(copy):
    """The mechanism is in the registry and passes the contract tests of all mechanisms, its docs included."""
    assert passed_in(copy, "tests/contract/test_mechanisms_and_sinks.py", "-k", "pread_send-recv") > 5
    assert passed_in(copy, "tests/contract/test_copies.py", "-k", "pread_send") >= 2
    assert "pread_send" in copy("-m", "zcload", "mechanisms")


@pytest.mark.slow
def test_an_added_sink_meets_the_contract(copy):
    """The sink is in the registry and takes what mechanisms send, byte for byte."""
    assert passed_in(copy, "tests/contract/test_mechanisms_and_sinks.py", "-k", "sendfile-fresh_recv and not ktls") > 5
    assert passed_in(copy, "tests/contract/test_copies.py", "-k", "fresh_recv") == 1


@pytest.mark.slow
def test_an_added_format_renders(copy):
    """The format prints its lines, and `--help` names it once the stored help is written anew."""
    assert copy("-m", "zcload", "report", "tests/data/first-release", "--format", "verdicts").split("\t")[2:] == ["sendfile", "saves\n"]
    copy("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/cli/test_app.py", "-k", "every_stored_help", "--rewrite-golden")
    assert "verdicts" in copy("-m", "zcload", "report", "--help")


DERIVE = """
from zcload.analysis.summary import summarise
from zcload.store.reader import read_records
summary = summarise(read_records(__import__("pathlib").Path("tests/data/first-release/windows.jsonl")))
"""


@pytest.mark.slow
def test_an_added_metric_and_caution_are_derived_from_old_records(copy):
    """The result of the first release, evaluated again, has the metric of every variant and the caution of the one that it is about."""
    printed = copy(
        "-c",
        DERIVE + "print([v['metrics']['receiver_bits_per_syscall']['estimate'] for v in summary['points'][0]['variants']])\n"
        "print(*[c['message'] for c in summary['cautions'] if c['code'] == 'receiver_waits'], sep='; ')",
    )
    figures, message = printed.splitlines()
    assert [float(figure) for figure in figures.strip("[]").split(", ")] == pytest.approx([8e9 / 6375, 8e9 / 3825], rel=0.01)
    assert message == "read_send: the receiver slept 4508 times per GB"


@pytest.mark.slow
def test_an_added_chart_is_drawn(copy):
    """The chart is among those of a result, with a bar for each variant."""
    printed = copy(
        "-c",
        DERIVE + "from zcload.report.charts.registry import all_charts\nfrom zcload.report.charts.view import view_of\n"
        "chart = next(c for c in all_charts(view_of(summary, None)) if c.name == 'goodput')\n"
        "print([value['name'] for value in chart.panels[0].spec['layer'][0]['data']['values']])",
    )
    assert printed.strip() == "['read_send', 'sendfile']"


@pytest.mark.slow
def test_the_repository_accepts_what_was_added(copy):
    """With the added parts the tests of the repository, of the public surface and of the cautions still pass."""
    chosen = "docs_have or docs_made or glossary or nothing_public or receiver_waits"
    paths = ("tests/contract/test_repository.py", "tests/contract/test_public_surface.py", "tests/unit/model/test_cautions.py")
    assert passed_in(copy, *paths, "-k", chosen) > 30
