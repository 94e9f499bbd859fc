"""`zcload compare` from outside: its options, exit codes, and what goes where."""

from __future__ import annotations

import json

import pytest
from support.command_line import invoke, zcload
from support.fake_runs import HEADLINE, complete, point, run

from zcload.store.writer import write_summary


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Return a folder with results, the working directory: four alike and one in which sendfile costs a half more."""
    for name, ratio in (("a", 0.5), ("b", 0.5), ("c", 0.51), ("d", 0.49), ("worse", 0.75)):
        (tmp_path / name).mkdir()
        write_summary(tmp_path / name, complete(run(point({("sendfile", HEADLINE): ratio})).summary))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a", "--new", "worse"], 0, ""),
        (["a", "--new", "worse", "--fail-if", f"{HEADLINE} > +5%"], 3, f"gate '{HEADLINE} > +5%' tripped by sendfile: +50 % (+39..+62)"),
        (["a", "--new", "b", "--fail-if", f"{HEADLINE} > +5%"], 0, ""),
        (
            ["a", "--new", "b", "--fail-if", f"{HEADLINE} > +5%", "--fail-if-unproven"],
            3,
            f"gate '{HEADLINE} > +5%' is not proven to hold by sendfile: 0.0 % (-7.6..+8.2) (the interval straddles the limit)",
        ),
        (["a", "--new", "b", "--run-spread", "0%", "--fail-if", f"{HEADLINE} > +5%", "--fail-if-unproven"], 0, ""),
        (["a", "b"], 2, "--new: missing: the results to judge (zcload compare a --new b)"),
        (["a", "--fail-if", f"{HEADLINE} > +5%"], 2, "--new: missing: the results to judge (zcload compare BASE... --new NEW...)"),
        (
            ["a", "--new", "b", "--fail-if-unproven"],
            2,
            "--fail-if-unproven: only works with --fail-if (--fail-if 'total_cpu_s_per_gb > +5%')",
        ),
        (["a", "--new", "b", "--format", "html"], 2, "--format: 'html' is not a format (use table, markdown, json)"),
        (
            ["a", "--new", "b", "--allow", "cpu_modle"],
            2,
            "--allow: 'cpu_modle' is not a setting or a fact of these results (did you mean 'cpu_model'?)",
        ),
        (["a", "--new", "b", "--allow", "cpu_model"], 0, ""),
        (["a", "--new", "nowhere"], 2, "nowhere: no such file or directory"),
        (["a", "--new", "b", "--margin", "3"], 2, "--margin: 3 has no unit: expected a percentage such as '3%' ('3%'?)"),
    ],
)
@pytest.mark.usefixtures("results")
def test_exit_codes(arguments, code, said, capsys):
    """A comparison exits with 0, a gate that trips with 3 after its report, and what cannot be asked with 2 and nothing on stdout."""
    done = invoke(capsys, "compare", *arguments)
    assert done.code == code, done.err
    assert bool(done.out) == (code != 2)
    assert (f"zcload: error: {said}\n" if said else "") == done.err


@pytest.mark.usefixtures("results")
def test_several_on_both_sides(capsys):
    """Everything after --new is new, up to the next option; options may stand anywhere."""
    for order in (
        ["a", "--new", "b", "c", "--format", "json"],
        ["--format", "json", "a", "--new=b", "c"],
        ["a", "--new", "b", "--new", "c", "--format=json"],
    ):
        tree = json.loads(invoke(capsys, "compare", *order).out)
        assert (tree["base"], tree["new"]) == (["a"], ["b", "c"])


def test_markdown_into_a_file(results):
    """--out writes the report there, and a gate that trips leaves it there."""
    done = zcload("compare", "a", "--new", "worse", "--format", "markdown", "--out", "c.md", "--fail-if", f"{HEADLINE} > +5%", cwd=results)
    assert (done.returncode, done.stdout) == (3, "")
    assert "TRIPPED" in (results / "c.md").read_text()


def test_a_directory_stands_for_the_results_in_it(results, capsys):
    """A directory that is no result itself stands for all results below it, and the sides are named by their paths."""
    (results / "before").mkdir()
    for name in "abc":
        (results / name).rename(results / "before" / name)
    found = json.loads(invoke(capsys, "compare", "before", "--new", "worse", "d", "--format", "json").out)
    assert (found["base"], found["new"]) == (["before/a", "before/b", "before/c"], ["worse", "d"])
