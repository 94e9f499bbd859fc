"""An interrupted run goes on in its own directory: what is refused, what is kept, and that the whole is one result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.fake_results import Cost, Result, header, lane
from support.paths import CONFIGS, ROOT

from zcload import __version__
from zcload.analysis.crossover_search import Search
from zcload.analysis.summary import summarise
from zcload.config import load
from zcload.errors import ConfigError
from zcload.runner.resume import check_same, read_previous
from zcload.runner.run import run
from zcload.store.reader import WINDOWS, read_records
from zcload.store.writer import Recorder

CONFIG = """
[study]
name = "two"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "8MiB"
chunk = ["64KiB", "256KiB"]
[stop]
max_time = "5s"
target = "0.1%"
min_generations = 2
window = "20ms"
"""


def interrupted(directory, *, complete=None, generations=2):
    """Store what a run leaves that was interrupted, or with *complete* one that came to an end."""
    result = Result(header([lane("copy"), lane("sendfile")])).calibrated().verified("copy", "sendfile")
    for number in range(generations):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2)}, blocks=1)
    if complete is not None:
        result.records.append({"kind": "end", "complete": complete, "reason": "done" if complete else "interrupted by SIGINT"})
    first, *others = result.records
    recorder = Recorder(directory, first)
    for record in others:
        recorder.write(record)
    recorder.close()
    return directory


def refused(call, *arguments):
    """Return the words with which something is refused."""
    with pytest.raises(ConfigError) as error:
        call(*arguments)
    return str(error.value)


def test_a_complete_run_is_not_resumed(tmp_path):
    """A run that came to its end has nothing to resume, and the words say so."""
    assert "is complete: there is nothing to resume" in refused(read_previous, interrupted(tmp_path / "r", complete=True))


def test_a_directory_without_a_run_is_not_resumed(tmp_path):
    """What holds no windows.jsonl is no run."""
    assert f"holds no {WINDOWS}" in refused(Recorder.reopen, tmp_path)


def test_a_result_has_one_writer(tmp_path):
    """A result that a run writes cannot be reopened, and the error names the run; once that has ended, it can be."""
    directory = interrupted(tmp_path / "r")
    before = (directory / WINDOWS).read_bytes()
    code = "import sys; from pathlib import Path; from zcload.store.writer import Recorder; r = Recorder.reopen(Path(sys.argv[1]))\n"
    code += "print('open', flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(directory)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"open\n"
        words = refused(Recorder.reopen, directory)
        assert f"is being written by process {writer.pid}: a result has one writer at a time" in words
        with pytest.raises(ConfigError, match=f"process {writer.pid}"):
            run(load(CONFIGS / "smoke.toml"), directory, resume=True)
        writer.stdin.close()
    Recorder.reopen(directory).close()
    assert (directory / WINDOWS).read_bytes() == before


def test_a_lock_lives_as_long_as_a_process_that_inherited_it(tmp_path):
    """The processes that measure for a run hold its lock with it: one that is left alone still keeps others out."""
    directory = interrupted(tmp_path / "r")
    recorder = Recorder.reopen(directory)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    fds = [recorder.fileno()]
    with subprocess.Popen(command, pass_fds=fds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as heir:
        heir.stdout.readline()
        recorder.close()
        assert "a result has one writer at a time" in refused(Recorder.reopen, directory)
        heir.stdin.close()
    Recorder.reopen(directory).close()


def test_a_run_holds_the_lock_from_its_first_line_on(tmp_path):
    """A living run cannot be resumed: its lock is older than the name of its file."""
    first, *_ = Result(header([lane("copy"), lane("sendfile")])).records
    recorder = Recorder(tmp_path / "r", first)
    assert f"process {os.getpid()}" in refused(Recorder.reopen, tmp_path / "r")
    recorder.close()


@pytest.mark.parametrize(("complete", "ended"), [(None, "killed"), (False, "interrupted by SIGINT")])
def test_what_an_interrupted_run_left(tmp_path, complete, ended):
    """The records of its points, why it ended, and how often it had been taken up, are read back."""
    left = read_previous(interrupted(tmp_path / "r", complete=complete))
    assert (left.ended, left.sessions, left.header["name"]) == (ended, 1, "example")
    assert [record["kind"] for record in left.points[0]].count("window") == 8  # warm-ups among them


def test_another_host_is_refused():
    """Facts of the host that figures hang on must be those of the run's beginning; each that differs is named with both values."""
    left = read_previous_of({"kernel_release": "6.1.0", "cpus_allowed": [0, 1], "host_name": "a"})
    check_same(left, {"kernel_release": "6.1.0", "cpus_allowed": [0, 1], "host_name": "b"}, Path("r"))
    words = refused(check_same, left, {"kernel_release": "6.2.0", "cpus_allowed": [0, 1]}, Path("r"))
    assert "kernel_release was '6.1.0' and is '6.2.0'" in words
    assert "cpus_allowed" not in words


def read_previous_of(environment, version=__version__):
    from zcload.runner.resume import PreviousRun

    return PreviousRun({"zcload_version": version, "environment": environment}, {}, 1, "killed")


def test_another_zcload_is_refused():
    """A run that another version began is not gone on with."""
    assert "was begun with zcload 0.0.0" in refused(check_same, read_previous_of({}, "0.0.0"), {}, Path("r"))


def test_a_torn_tail_is_cut_off_before_going_on(tmp_path):
    """A line that a kill tore is removed before anything is appended, so that every line of the file is whole."""
    directory = interrupted(tmp_path / "r")
    before = (directory / WINDOWS).read_bytes()
    (directory / WINDOWS).write_bytes(before + b'{"kind":"windo')
    recorder = Recorder.reopen(directory)
    recorder.write({"kind": "resumed", "at": "now"})
    recorder.close()
    assert (directory / WINDOWS).read_bytes() == before + b'{"kind":"resumed","at":"now"}\n'


def test_a_summary_says_that_its_run_was_resumed(tmp_path):
    """A result of several sittings has their times and a caution."""
    records = read_records(interrupted(tmp_path / "r") / WINDOWS)
    summary = summarise([*records, {"kind": "resumed", "at": "2026-01-03T00:00:00Z"}])
    assert summary["resumed"] == ["2026-01-03T00:00:00Z"]
    assert [c["code"] for c in summary["cautions"]].count("resumed") == 1
    assert summarise(records)["resumed"] == []


def test_a_search_takes_up_what_was_measured():
    """Values that an interrupted search had measured are in it again, also those it had chosen itself."""
    search = Search([4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0], margin=0.03, precision=1.5, least=6)
    search.begin(6.0, [0.1, 0.2])
    assert search.logs[6.0] == [0.1, 0.2]


def start(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "zcload", "run", *arguments, "--no-progress", "--no-html"]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def generations(records):
    """Return the (point, generation) of each generation in *records*."""
    return [(record["point"], record["generation"]) for record in records if record["kind"] == "generation"]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on(tmp_path, signum):
    """After a signal or a kill -9 `run --resume` appends further generations, calibrates nothing anew, and completes the result."""
    (tmp_path / "two.toml").write_text(CONFIG)
    first = start(tmp_path, "two.toml", "--out", "r")
    path = tmp_path / "r" / WINDOWS
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (path.exists() and path.read_bytes().count(b'"kind":"generation"') >= 4):
            time.sleep(0.05)
        first.send_signal(signum)
        first.communicate(timeout=20)
    finally:
        first.kill()
        first.communicate()
    before = path.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    second = start(tmp_path, "--resume", "r")
    try:
        out, error = second.communicate(timeout=50)
    finally:
        second.kill()
        second.communicate()
    assert second.returncode == 0, error
    assert path.read_bytes().startswith(whole)
    records = read_records(path)
    earlier = [json.loads(line) for line in whole.splitlines()]
    measured = generations(records)
    assert len(set(measured)) == len(measured) > len(generations(earlier))
    assert {point for point, _ in measured} == {0, 1}
    assert len({record["window_s"] for record in records if record["kind"] == "calibrated"}) == 1
    assert [record["kind"] for record in records].count("resumed") == 1
    assert records[-1]["complete"] is True
    assert "resumed" in out
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["complete"] is True
    again = start(tmp_path, "--resume", "r")
    assert "is complete" in again.communicate(timeout=20)[1]
    assert again.returncode == 2
