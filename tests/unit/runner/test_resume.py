"""An interrupted run goes on in its own directory: what is refused, what is kept, and that the whole is one result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from support.fake_results import Cost, Result, header, lane
from support.paths import CONFIGS, ROOT

from zcload import __version__
from zcload.analysis.crossover_search import Search
from zcload.analysis.summary import summarise
from zcload.config import load
from zcload.errors import ConfigError
from zcload.model.study import Point, Stop, Study, Variant
from zcload.runner.point_state import PointState
from zcload.runner.resume import check_same, extend, read_previous, restore
from zcload.runner.run import run
from zcload.store.reader import WINDOWS, StoredRecords, read_records
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


def interrupted(directory, *, complete=None, generations=2, blocks=1):
    """Store what a run leaves that was interrupted, or with *complete* one that came to an end."""
    result = Result(header([lane("copy"), lane("sendfile")])).calibrated().verified("copy", "sendfile")
    for number in range(generations):
        result.generation(number, {"copy": Cost(0.4), "sendfile": Cost(0.2)}, blocks=blocks)
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


def study(max_time_s=60.0, crossover=None):
    """Return a study with a time limit, as the config of a result gives it."""
    variants = (Variant("copy", "read_send"), Variant("sendfile", "sendfile"))
    return Study("example", "copy", variants, (Point(),), Stop(max_time_s=max_time_s), crossover=crossover)


def test_a_complete_run_is_resumed_only_with_a_longer_limit(tmp_path):
    """Without a new limit, or with one that is no longer, a complete run is refused, and the error says what to type."""
    directory = interrupted(tmp_path / "r", complete=True)
    previous = read_previous(directory)
    first = previous.max_time_s
    assert first == previous.header["stop"]["max_time_s"]
    assert "is complete: there is nothing to resume" in refused(previous.limit_of, study(first), directory)
    assert f"zcload run --resume {directory} --max-time TIME" in refused(previous.limit_of, study(first), directory)
    assert "--max-time: " in refused(previous.limit_of, study(first / 2), directory)
    assert previous.limit_of(study(2 * first), directory) == 2 * first


def test_a_raised_limit_holds_for_later_sessions(tmp_path):
    """A run whose limit was raised is resumed under that limit, and a shorter one is refused."""
    directory = interrupted(tmp_path / "r", complete=True)
    first = read_previous(directory).max_time_s
    append(directory, {"kind": "resumed", "at": "now", "max_time_s": 2 * first}, {"kind": "extended", "point": 0, "max_time_s": 2 * first})
    previous = read_previous(directory)
    assert (previous.complete, previous.ended, previous.max_time_s) == (False, "killed", 2 * first)
    assert previous.limit_of(study(first), directory) == 2 * first
    assert "is not more than the limit so far" in refused(previous.limit_of, study(1.5 * first), directory)


@pytest.mark.parametrize(
    ("reason", "extended"),
    [
        ("target reached", True),
        ("time limit", True),
        ("the search's time is over", True),
        ("failed: gone", False),
        ("nothing to compare", False),
    ],
)
def test_which_points_are_measured_further(reason, extended):
    """Points that ended at their target or a time limit are measured further; what failed, or has nothing to compare, is not."""
    states = [state_of(reason), state_of(None)]
    events = extend(states, 120.0)
    assert events == ([{"kind": "extended", "point": 0, "max_time_s": 120.0}] if extended else [])
    assert [state.going for state in states] == [extended, True]
    if not extended:
        assert "no point can be measured further" in refused(extend, [state_of(reason)], 120.0)


def test_an_extended_point_is_measured_to_its_limit():
    """A point within its target stops there at first; once it is measured further only its time limit ends it."""
    state = state_of(None)
    state.logs["sendfile"] = [-0.5, -0.5, -0.5, -0.5]
    state.clusters, state.spent_s, state._widths = 4, 10.0, [0.0] * 4
    assert state.reason_to_stop() == "target reached"
    state.extended = True
    assert state.reason_to_stop() is None
    state.spent_s = 59.0
    assert state.reason_to_stop() == "target reached"  # at the limit, and narrow enough


def test_an_extension_is_in_the_summary(tmp_path):
    """The summary has the new limit, and a point whose extension was cut short has no reason of its end; the run is partial then."""
    directory = interrupted(tmp_path / "r")
    stopped = {"kind": "stopped", "point": 0, "reason": "time limit", "generations": 2}
    append(directory, stopped, {"kind": "end", "complete": True, "reason": "done"})
    summary = summarise(read_records(directory / WINDOWS))
    assert (summary["complete"], summary["points"][0]["stopped"]) == (True, "time limit")
    assert summary["max_time_s"] == read_previous(directory).max_time_s
    append(directory, {"kind": "resumed", "at": "now", "max_time_s": 999.0}, {"kind": "extended", "point": 0, "max_time_s": 999.0})
    summary = summarise(read_records(directory / WINDOWS))
    assert (summary["complete"], summary["points"][0]["stopped"], summary["max_time_s"]) == (False, None, 999.0)


def append(directory, *records):
    """Append *records* to a stored run."""
    recorder = Recorder.reopen(directory)
    for record in records:
        recorder.write(record)
    recorder.close()


def state_of(reason):
    """Return the state of a point that was stopped for *reason*; None: of one that is still to be measured."""
    state = PointState(study(), 0, "total_cpu_s_per_gb")
    state.stopped, state.generation = reason, 12
    return state


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
    """Why it ended and how often it had been taken up are read back."""
    left = read_previous(interrupted(tmp_path / "r", complete=complete))
    assert (left.ended, left.sessions, left.header["name"]) == (ended, 1, "example")


def test_a_resumed_point_is_where_it_ended(tmp_path):
    """Generations, blocks and ratios of an interrupted run are added up from its file, which is read once and not kept."""
    directory = interrupted(tmp_path / "r", generations=3)
    state = PointState(study(), 0, "total_cpu_s_per_gb")
    restore([state], StoredRecords(directory / WINDOWS))
    assert (state.generation, state.clusters, state.tolerance.blocks) == (3, 3, 3)
    assert [round(ratio.estimate, 3) for ratio in state.ratios().values()] == [0.667]  # (0.2 + 0.2) / (0.4 + 0.2)


@pytest.mark.slow
def test_resuming_keeps_no_records(tmp_path):
    """To resume a run takes under 1 KB for each window, its sums for the interval: a record as it is read takes several times that."""
    peaks = []
    for blocks in (200, 1600):
        directory = interrupted(tmp_path / str(blocks), generations=2, blocks=blocks)
        state = PointState(study(), 0, "total_cpu_s_per_gb")
        tracemalloc.start()
        read_previous(directory)
        restore([state], StoredRecords(directory / WINDOWS))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert state.tolerance.blocks == 2 * blocks
    windows = 2 * 2 * (1600 - 200)  # of two lanes in two generations
    assert (peaks[1] - peaks[0]) / windows < 1000, peaks


def test_another_host_is_refused():
    """Facts of the host that figures hang on must be those of the run's beginning; each that differs is named with both values."""
    left = read_previous_of({"kernel_release": "6.1.0", "cpus_allowed": [0, 1], "host_name": "a"})
    check_same(left, {"kernel_release": "6.1.0", "cpus_allowed": [0, 1], "host_name": "b"}, Path("r"))
    words = refused(check_same, left, {"kernel_release": "6.2.0", "cpus_allowed": [0, 1]}, Path("r"))
    assert "kernel_release was '6.1.0' and is '6.2.0'" in words
    assert "cpus_allowed" not in words


def read_previous_of(environment, version=__version__):
    from zcload.runner.resume import PreviousRun

    return PreviousRun({"zcload_version": version, "environment": environment}, 0, 1, "killed", 60.0, False)


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
    command = [sys.executable, "-m", "zcload", "run", "--no-wait", *arguments, "--no-progress", "--no-html"]
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
        while first.poll() is None and not (path.exists() and path.read_bytes().count(b'"kind":"generation"') >= 4):
            time.sleep(0.05)
        first.send_signal(signum)
        first.communicate(timeout=300)
    finally:
        first.kill()
        first.communicate()
    before = path.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    second = start(tmp_path, "--resume", "r", "--full")
    try:
        out, error = second.communicate(timeout=300)
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
    assert "is complete" in again.communicate(timeout=300)[1]
    assert again.returncode == 2


@pytest.mark.slow
@pytest.mark.serial
def test_a_finished_run_is_measured_further(tmp_path):
    """`run --resume DIR --max-time` appends generations to each point of a finished run, under the new limit, and completes it again."""
    (tmp_path / "two.toml").write_text(CONFIG.replace('"5s"', '"1s"'))
    run_to_end(start(tmp_path, "two.toml", "--replicates", "1", "--out", "r"))
    path = tmp_path / "r" / WINDOWS
    before = path.read_bytes()
    first = generations(read_records(path))
    run_to_end(start(tmp_path, "--resume", "r", "--max-time", "3s"))
    assert path.read_bytes().startswith(before)
    records = read_records(path)
    for point in (0, 1):
        assert sum(p == point for p, _ in generations(records)) > sum(p == point for p, _ in first)
    assert [(r["point"], r["max_time_s"]) for r in records if r["kind"] == "extended"] == [(0, 3.0), (1, 3.0)]
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert (summary["complete"], summary["max_time_s"], len(summary["resumed"])) == (True, 3.0, 1)


def run_to_end(process):
    """Wait for a run that ends well."""
    try:
        _, error = process.communicate(timeout=300)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, error
