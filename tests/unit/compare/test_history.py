"""The history of a directory: what is found, what is not readable, how a figure went, and an index that is never in the way."""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import stat
from contextlib import closing

import pytest
from support.command_line import zcload
from support.evil_names import FILE_NAMES, NOT_UTF8
from support.fake_results import example
from support.fake_runs import HEADLINE, complete, point, run
from support.paths import FIRST_RELEASE

from zcload.compare import history_index as index_module
from zcload.compare.history_index import Index, place_of, result_files
from zcload.compare.history_trend import drawn, series, version
from zcload.errors import ConfigError
from zcload.store.writer import Recorder, write_summary

FIRST = FIRST_RELEASE
GOODPUT = "goodput_bps"


def stored(root, folder, ratio=0.5, *, started="2026-11-01T00:00:00Z", kernel="6.1.0", level=1e10, setting=None, **keys):
    """Store a result of one point under *root*/*folder*."""
    made = point({("sendfile", HEADLINE): ratio}, {("sendfile", GOODPUT): level}, **(setting or {}))
    (root / folder).mkdir(parents=True)
    write_summary(root / folder, complete(run(made, environment={"kernel_release": kernel}, started=started, **keys).summary))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Return a directory for results; the index goes to a cache beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def entries(tree, **more):
    index = Index(tree, **more)
    found = index.entries()
    index.close()
    return found


def figures(tree, metric=HEADLINE, *, relative=True, **more):
    index = Index(tree)
    found = list(index.figures(metric, relative=relative, **more))
    index.close()
    return found


# What is found.


def test_results_of_a_tree(tree):
    """All results below a directory are listed, the oldest first, whole and partial, with a summary and without one."""
    stored(tree, "b/deep", started="2026-11-02T00:00:00Z", complete=False)
    stored(tree, "a", started="2026-11-03T00:00:00Z", kernel="6.2")
    first, *others = example()
    recorder = Recorder(tree / "windows-only", first)
    for record in others:
        recorder.write(record)
    recorder.close()
    found = entries(tree)
    assert [(e.path, e.study, e.complete) for e in found] == [
        ("windows-only/windows.jsonl", "example", True),
        ("b/deep/summary.json", "study", False),
        ("a/summary.json", "study", True),
    ]
    assert (found[2].kernel, found[2].points, found[2].error) == ("6.2", 1, None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON: "),
        ('{"lines": 90}', "is not a zcload summary"),
        ('{"schema": "zcload.summary/2"}', 'has the schema "zcload.summary/2"'),
        ('{"schema": "zcload.summary/1"}', "name: is missing"),
        ('{"schema": "zcload.summary/1", "environment": [], "name": 1}', "name: found 1, expected a valid string"),
        ("\x00\xff", "is not JSON: "),
    ],
)
def test_foreign_and_broken_files(tree, content, reason):
    """A file that only has our name, or is damaged, is listed last with the reason, and the others are there."""
    stored(tree, "good")
    (tree / "bad").mkdir()
    (tree / "bad" / "summary.json").write_text(content)
    good, bad = entries(tree)
    assert (good.error, bad.path) == (None, "bad/summary.json")
    assert bad.error.startswith(reason)
    assert str(tree) not in bad.error


def hostile(folder, kind):
    """Put something hostile of the name summary.json into *folder*."""
    path = folder / "summary.json"
    whole = json.loads((FIRST / "summary.json").read_text())
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "deep":
        path.write_text("[" * 200_000)
    elif kind == "huge number":
        path.write_text(json.dumps(whole | {"seed": 10**400}))
    elif kind == "NaN":
        path.write_text(json.dumps(whole | {"margin_percent": float("nan")}))
    elif kind == "surrogate":
        path.write_text(json.dumps(whole | {"name": "\ud800"}))
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("kind", ["pipe", "device", "deep", "huge number", "NaN", "surrogate", "loop", "bytes"])
def test_one_hostile_file_does_not_end_the_list(tree, kind):
    """A summary.json that is a pipe, a device or damaged in any way is listed by what is wrong with it, the others as ever."""
    stored(tree, "good")
    (tree / "bad").mkdir()
    hostile(tree / "bad", kind)
    for _ in range(2):  # read, then from the index
        good, *bad = entries(tree)
        assert (good.path, good.error) == ("good/summary.json", None)
        assert [entry.path for entry in bad if entry.error] == ["bad/summary.json"] or kind == "surrogate"
        assert len(bad) == 1
        assert "\n" not in (bad[0].error or "")


def test_names_of_any_bytes(tree):
    """Results in directories of any name are listed, with the name made printable, in the table and as JSON."""
    names = [NOT_UTF8, *map(os.fsencode, FILE_NAMES)]
    for name in names:
        stored(tree, os.fsdecode(name))
    assert [entry.error for entry in entries(tree)] == [None] * len(names)
    for more in ([], ["--format", "json"]):
        shown = zcload("history", tree, *more, cwd=tree)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "\x1b" not in shown.stdout


def test_without_a_home(tree, monkeypatch):
    """Where there is no home directory the index lives in memory."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(index_module.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
    stored(tree, "good")
    assert [entry.path for entry in entries(tree)] == ["good/summary.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; remedy: run the tests as an ordinary user")
def test_files_that_may_not_be_read(tree):
    """A result that may not be read is listed with the reason."""
    stored(tree, "secret")
    (tree / "secret" / "summary.json").chmod(0)
    assert entries(tree)[0].error == "permission denied"


def test_links_are_not_followed(tree):
    """A link back into the tree is no second result and no endless one."""
    stored(tree, "a")
    (tree / "loop").symlink_to(tree)
    assert len(list(result_files(tree))) == 1


def test_no_directory(tree):
    """A directory that is not there, or is a file, is an error."""
    with pytest.raises(ConfigError, match="no such directory"):
        Index(tree / "nothing")
    (tree / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a directory"):
        Index(tree / "file")


# The index.


def reads(monkeypatch):
    """Count the summaries that are read."""
    count = []
    load = index_module.Result.load.__func__
    monkeypatch.setattr(index_module.Result, "load", classmethod(lambda cls, path: count.append(str(path)) or load(cls, path)))
    return count


def test_what_has_not_changed_is_not_read_again(tree, monkeypatch):
    """A result is read once; again when it changes, or is asked for; one that is gone is forgotten."""
    stored(tree, "a")
    stored(tree, "b")
    count = reads(monkeypatch)
    assert len(entries(tree)) == 2
    assert len(count) == 2
    assert len(entries(tree)) == 2
    assert len(count) == 2
    summary = json.loads((tree / "a" / "summary.json").read_text())
    write_summary(tree / "a", summary | {"name": "changed"})
    assert {e.study for e in entries(tree)} == {"changed", "study"}
    assert count[2:] == [str(tree / "a" / "summary.json")]
    (tree / "a" / "summary.json").unlink()
    assert [e.path for e in entries(tree)] == ["b/summary.json"]
    assert {f.entry.path for f in figures(tree)} == {"b/summary.json"}
    entries(tree, rebuild=True)
    assert len(count) == 4


def test_nothing_is_written_into_the_tree(tree):
    """The tree is as it was, and may be read-only; each has an index of its own in the cache."""
    stored(tree, "a")
    before = sorted(str(path) for path in tree.rglob("*"))
    for path in (tree / "a", tree):
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert len(entries(tree)) == 1
    finally:
        for path in (tree, tree / "a"):
            path.chmod(0o755)
    assert sorted(str(path) for path in tree.rglob("*")) == before
    assert place_of(tree).exists()
    assert place_of(tree) != place_of(tree / "a")


def test_no_statement_reads_all_figures_to_change_or_find_a_few(tree):
    """Statements on points and figures go by an index: one that reads whole tables for each result grows with its square."""
    stored(tree, "a")
    index = Index(tree)
    statements: list[str] = []
    index._database.set_trace_callback(statements.append)
    (tree / "a" / "summary.json").write_text((tree / "a" / "summary.json").read_text() + "\n")
    index._update()
    assert list(index.figures(HEADLINE, relative=True))
    index._database.set_trace_callback(None)
    told = [each for each in statements if each.startswith(("DELETE", "SELECT")) and ("figures" in each or "points WHERE" in each)]
    assert len(told) >= 3
    for statement in told:
        plan = [str(row[-1]) for row in index._database.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if step.startswith("SCAN")], statement
    index.close()


@pytest.mark.parametrize("damage", ["garbage", "version", "tables", "unwritable"])
def test_an_index_that_cannot_be_used(tree, tmp_path, monkeypatch, damage):
    """An index that is damaged, of another version, or has no place to lie is made anew or kept in memory: the answer is the same."""
    stored(tree, "a")
    entries(tree)
    path = place_of(tree)
    if damage == "garbage":
        path.write_bytes(b"not a database" * 100)
    elif damage == "unwritable":
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99" if damage == "version" else "DROP TABLE figures")
        database.close()
    assert [e.path for e in entries(tree)] == ["a/summary.json"]
    assert len(figures(tree)) == 1


def test_damage_among_the_figures_is_mended_for_good(tree):
    """An index whose figures are damaged gives the right ones, and is made anew, so that the next command need not."""
    stored(tree, "a")
    whole = figures(tree)
    path = place_of(tree)
    with closing(sqlite3.connect(path)) as database:
        ((page,),) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'figures'")
        ((size,),) = database.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    assert figures(tree) == whole
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]


# Trends.


def test_a_series_by_date(tree):
    """A series has a step for each result, in the order they were begun, relative to the baseline or as it is."""
    for day, ratio in ((3, 0.7), (1, 0.5), (2, 0.6)):
        stored(tree, str(day), ratio, started=f"2026-11-0{day}T10:20:30Z", level=ratio * 1e10)
    (one,) = series(figures(tree), "date")
    assert [(step.label, step.estimate) for step in one.steps] == [(f"2026-11-0{d} 10:20", r) for d, r in ((1, 0.5), (2, 0.6), (3, 0.7))]
    assert (one.unit, one.title) == ("ratio", "study / sendfile: both ends' CPU, relative to copy")
    (level,) = series(figures(tree, GOODPUT, relative=False), "date")
    assert (level.unit, level.steps[0].estimate) == ("Gbit/s", 0.5e10)


def test_a_series_by_kernel(tree):
    """All results of a kernel are one step, from the least to the most, and kernels stand in the order of their versions."""
    for name, kernel, ratio in (("a", "6.10.1", 0.5), ("b", "6.9.2", 0.4), ("c", "6.10.1", 0.72), ("d", "6.10.0-rc1", 0.6)):
        stored(tree, name, ratio, kernel=kernel)
    (one,) = series(figures(tree), "kernel")
    assert [(step.label, step.results) for step in one.steps] == [("6.9.2", 1), ("6.10.0-rc1", 1), ("6.10.1", 2)]
    last = one.steps[-1]
    assert (last.estimate, last.low, last.high) == (pytest.approx(0.6), 0.5, 0.72)


def test_versions():
    """Releases sort as versions do, whatever is attached to them."""
    names = ["5.15.0-91-generic", "6.1.0", "6.9.3", "6.10.0", "6.18.44-fc-v595", "unknown"]
    assert sorted(random.Random(1).sample(names, len(names)), key=version) == names


def test_another_setting_is_another_series(tree):
    """Points that are called the same and are not have a series each, and the title says what sets them apart."""
    stored(tree, "a")
    stored(tree, "b", setting={"chunk_bytes": 4096})
    stored(tree, "c", setting={"dir": "/somewhere/else"})
    stored(tree, "d", setting={"arrivals": "closed"})
    titles = {one.title: len(one.steps) for one in series(figures(tree), "date")}
    assert titles == {
        "study / chunk_bytes=65536 / sendfile: both ends' CPU, relative to copy": 3,
        "study / chunk_bytes=4096 / sendfile: both ends' CPU, relative to copy": 1,
    }


def test_filters(tree):
    """Study, variant and a part of the point's name pick what is shown."""
    stored(tree, "a", setting={"name": "chunk=64KiB, senders=2"})
    stored(tree, "b", name="other")
    assert {f.entry.study for f in figures(tree, study="other")} == {"other"}
    assert {f.point for f in figures(tree, point="senders=2")} == {"chunk=64KiB, senders=2"}
    assert figures(tree, variant="splice") == []


def test_the_chart(tree):
    """Every step is a line with its figure and its interval on the scale that all share."""
    stored(tree, "a", (0.5, 0.4, 0.6), started="2026-11-01T00:00:00Z")
    stored(tree, "b", (0.8, 0.7, 0.9), started="2026-11-02T00:00:00Z", kernel="6.18")
    (one,) = series(figures(tree), "date")
    assert drawn(one, 63) == [
        "study / sendfile: both ends' CPU, relative to copy",
        "  2026-11-01 00:00  6.1.0  0.500 (0.400..0.600)  |--o--       |",
        "  2026-11-02 00:00  6.18   0.800 (0.700..0.900)  |       --o--|",
        "                                                  0.400  0.900",
    ]


@pytest.mark.parametrize("columns", [48, 63, 70, 80, 200])
def test_the_chart_fits_a_terminal(tree, columns):
    """No line is wider than the terminal: the scale is shorter in a narrow one, and in a very narrow one the figures stand alone."""
    stored(tree, "a", (0.5, 0.4, 0.6), started="2026-11-01T00:00:00Z")
    stored(tree, "b", (0.8, 0.7, 0.9), started="2026-11-02T00:00:00Z", kernel="6.18")
    (one,) = series(figures(tree), "date")
    lines = drawn(one, columns)
    assert max(map(len, lines)) <= columns
    steps = [line for line in lines if line.startswith("  2026")]
    assert len(steps) == 2
    assert all(re.search(r"\|[ -]*o[ -]*\|$" if columns >= 63 else r"\(\S+\)$", line) for line in steps)


def test_a_kernel_that_all_steps_share_is_told_once(tree):
    """Steps of one kernel have it in the title, so that their chart has the room."""
    for day, name in enumerate("ab", 1):
        stored(tree, name, started=f"2026-11-0{day}T00:00:00Z", kernel="6.1.0-18-cloud-amd64")
    title, *lines = drawn(series(figures(tree), "date")[0])
    assert title.endswith(", kernel 6.1.0-18-cloud-amd64")
    assert not [line for line in lines if "cloud" in line]


def test_the_chart_of_a_single_value(tree):
    """A series without any width is drawn all the same."""
    stored(tree, "a", (0.5, 0.5, 0.5))
    (one,) = series(figures(tree), "date")
    assert any(re.search(r"\| ?( *)o\1\|$", line) for line in drawn(one))


# The command.


def test_the_command(tree, tmp_path):
    """`history` lists and draws, as text and as JSON, the first release's result too; wrong words are errors with a hint."""
    stored(tree, "a", 0.5)
    (tree / "first").symlink_to(FIRST)
    (tree / "old").mkdir()
    (tree / "old" / "windows.jsonl").write_bytes((FIRST / "windows.jsonl").read_bytes())
    (tree / "bad").mkdir()
    (tree / "bad" / "summary.json").write_text("{}")
    listed = zcload("history", tree, cwd=tmp_path)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "6.18.44" in listed.stdout
    assert "Not readable\n  bad/summary.json: is not a zcload summary\n" in listed.stdout
    data = json.loads(zcload("history", tree, "--metric", HEADLINE, "--relative", "--format", "json", cwd=tmp_path).stdout)
    assert {one["study"] for one in data["series"]} == {"smoke", "study"}
    assert [bad["path"] for bad in data["unreadable"]] == ["bad/summary.json"]
    drawing = zcload("history", tree, "--metric", HEADLINE, "--relative", "--study", "study", cwd=tmp_path).stdout
    assert drawing.startswith("study / sendfile: both ends' CPU, relative to copy, kernel 6.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such directory (zcload history DIR, where results are stored)"),
        ([".", "--metric", "total_cpu"], "--metric: 'total_cpu' is not a metric (did you mean 'total_cpu_s_per_gb'?)"),
        ([".", "--by", "moon"], "--by: 'moon' is not an order (use date, kernel)"),
        ([".", "--format", "csv"], "--format: 'csv' is not a format (use table, json)"),
        ([".", "--relative"], "--relative, --point and --variant only work with --metric (--metric total_cpu_s_per_gb)"),
        (["empty"], "empty: contains no result"),
        (
            [".", "--metric", HEADLINE, "--variant", "none"],
            f".: contains no result with {HEADLINE} for these filters (`zcload history` lists the results)",
        ),
    ],
)
def test_wrong_words(tree, arguments, said):
    """What cannot be shown is one line on stderr and exit code 2."""
    stored(tree, "a")
    (tree / "empty").mkdir()
    done = zcload("history", *arguments, cwd=tree)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"zcload: error: {said}\n")
