"""Summaries of long results, for which two processes share the points."""

from __future__ import annotations

import json
import signal

import pytest

from benchmarks.scale import make
from zcload.analysis.summary import summarise
from zcload.errors import ConfigError, TimeLimitExceeded
from zcload.linux import interrupt
from zcload.store import stored_lines
from zcload.store import summarise_file as module
from zcload.store.stored_lines import each_record
from zcload.store.summarise_file import summarise_file


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the path of a windows.jsonl of three points."""
    directory = tmp_path_factory.mktemp("long")
    make(directory, 600, points=3)
    return directory / "windows.jsonl"


def test_two_processes_find_what_one_does(made, monkeypatch):
    """The summary is the same to the last digit, whether the points are shared or not, and whether or not the other process lives."""
    shares, share = [], module._share
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(module, "_share", lambda path, first: shares.append(first) or share(path, first))
    alone = json.dumps(summarise(each_record(made)))
    assert len(json.loads(alone)["points"]) == 3
    assert json.dumps(summarise_file(made)) == alone
    assert shares == []
    assert json.dumps(summarise_file(made, long_bytes=0)) == alone
    assert shares == [0]  # the odd points are the other process's
    for boot in ("raise SystemExit(1)", "import pickle, sys; sys.stdout.buffer.write(pickle.dumps([0] * 1000)[:500])"):
        shares.clear()
        monkeypatch.setattr(module, "_BOOT", boot)
        assert json.dumps(summarise_file(made, long_bytes=0)) == alone
        assert shares == [0, 1]


def test_a_process_that_hangs_is_not_waited_for(made, monkeypatch):
    """Where the phase has a limit, it also ends the wait for the other process, which is killed."""
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(module, "_BOOT", "import time; time.sleep(600)")
    started, popen = [], module.subprocess.Popen
    monkeypatch.setattr(module.subprocess, "Popen", lambda *given, **more: started.append(popen(*given, **more)) or started[-1])
    summarise_file(made)  # what is imported late is there now
    with interrupt.limited(2.0, lambda: "evaluating"), pytest.raises(TimeLimitExceeded, match=r"^evaluating: not done after 2 s"):
        summarise_file(made, long_bytes=0)
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", [0, 1])
def test_a_damaged_line_is_named_whoever_reads_it(made, tmp_path, monkeypatch, point):
    """A line that is wrong is refused with its number, by whichever process has its point."""
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {0, 1})
    lines = made.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if line.startswith(f'{{"kind":"window","point":{point}'))
    lines[number] = lines[number].replace('"open_ns":', '"open":')
    damaged = tmp_path / "windows.jsonl"
    damaged.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=f"windows.jsonl:{number + 1}: open_ns: is missing"):
        summarise_file(damaged, long_bytes=0)


def test_a_point_that_the_header_does_not_have_is_refused(made, tmp_path, monkeypatch):
    """A line of a point beyond the last is an error, though neither process looks for it."""
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {0, 1})
    lines = made.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if line.startswith('{"kind":"window","point":1'))
    lines[number] = lines[number].replace('"point":1', '"point":7', 1)
    damaged = tmp_path / "windows.jsonl"
    damaged.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=f"windows.jsonl:{number + 1}: point"):
        summarise_file(damaged, long_bytes=0)


def test_lines_of_other_points_are_not_read(made):
    """Only the points asked for, and what belongs to no point, are decoded."""
    found = list(each_record(made, 1))
    assert {line["point"] for line in found if "point" in line} == {1}
    assert {line["kind"] for line in found if "point" not in line} == {
        line["kind"] for line in map(json.loads, made.read_text().splitlines()) if "point" not in line
    }


def test_a_limit_is_looked_at_whoever_has_the_lines(made, tmp_path, monkeypatch):
    """Both readers look at the limit of their phase, also where the lines with even numbers are all of one point."""
    lines = made.read_bytes().splitlines(keepends=True)
    of = [[line for line in lines if b'"point":%d,' % point in line[:40]] for point in (0, 1)]
    mixed = tmp_path / "windows.jsonl"
    mixed.write_bytes(lines[0] + b"".join(line for pair in zip(*of, strict=False) for line in pair))
    monkeypatch.setattr(stored_lines, "_LINES_A_LOOK", 2)
    for parity in (0, 1):
        looks = []
        monkeypatch.setattr(interrupt, "check_limit", lambda looks=looks: looks.append(True))
        count = sum(1 for _ in each_record(mixed, parity))
        assert count > 2
        assert len(looks) == count // 2
