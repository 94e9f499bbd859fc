"""Ctrl-C, SIGTERM and kill -9 at any moment: quick, with the right code, a readable partial result, and nothing left behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command_line import invoke
from support.paths import CONFIGS
from support.processes import MARK, marked, wait_until

PROMPT_CPU_S = 2.0  # CPU time of the run from the signal to its end: other load does not make it longer
PROMPT_S = 20.0  # room for a busy machine; a run that goes on takes a minute


def start(tmp_path, *more, page=False):
    """Start a run that would take a minute, with its *page* or without; every process of it carries a mark in its environment."""
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent), MARK: str(tmp_path)}
    command = [sys.executable, "-m", "zcload", "run", "--no-wait", str(CONFIGS / "smoke.toml"), "--out", "r"]
    command += ["--max-time", "60s", "--set", "stop.target=0.01%", *([] if page else ["--no-html"]), *more]
    return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def measured_blocks(tmp_path):
    """Return how many blocks that count the run has stored so far."""
    path = tmp_path / "r" / "windows.jsonl"
    return len(re.findall(r'"kind":"block".*"purpose":"measure"', path.read_text())) if path.exists() else 0


def windows(tmp_path):
    """Return how many windows the run has stored so far."""
    path = tmp_path / "r" / "windows.jsonl"
    return path.read_text().count('"kind":"window"') if path.exists() else 0


def handles(pid, signum):
    """Return whether a process has a handler for a signal and does not ignore it (proc(5), SigCgt)."""
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (signum - 1) & 1)


def cpu_s(tmp_path):
    """Return the CPU time of the processes of a run so far, with that of their children that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in marked(tmp_path))


def ended_children_s():
    """Return the CPU time of the children of this process that have ended, with their own."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("after", ["0.1s", "0.3s", "0.8s", "header", "windows"])
def test_a_signal_ends_a_run_in_every_phase(after, signum, code, tmp_path, capsys):
    """The first SIGINT or SIGTERM ends a run in 2 s of CPU time with 130 or 143; what was measured is readable, nothing else is left."""
    process = start(tmp_path, page=after == "windows")  # drawing it has begun by then, in a process of its own
    try:
        if after.endswith("s") and after[0].isdigit():
            assert wait_until(lambda: handles(process.pid, signal.SIGTERM), 60)  # Python itself handles only SIGINT
            time.sleep(float(after[:-1]))
        elif after == "header":
            assert wait_until(lambda: (tmp_path / "r" / "windows.jsonl").exists(), 60)
        else:
            assert wait_until(lambda: measured_blocks(tmp_path) > 0, 60)
        used_s, before_s = cpu_s(tmp_path), ended_children_s()
        process.send_signal(signum)
        out, err = process.communicate(timeout=PROMPT_S)
        assert ended_children_s() - before_s - used_s < PROMPT_CPU_S
        assert process.returncode == code, err
        assert "Traceback" not in err
        assert wait_until(lambda: not marked(tmp_path), PROMPT_S)
        if after == "windows":
            assert err.splitlines()[-1] == f"zcload: error: interrupted by {signal.Signals(signum).name}"
            assert "partial" in out
            assert "partial" in (tmp_path / "r" / "report.html").read_text()
        if (tmp_path / "r").exists():
            report = invoke(capsys, "report", tmp_path / "r")
            assert report.code == 0, report.err
            assert "partial" in report.out
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("after", ["making", "windows"])
def test_kill_9_of_the_coordinator_leaves_nothing(after, tmp_path):
    """When the coordinator is killed with -9, every worker is gone at once, and with them memory files and sockets."""
    process = start(tmp_path, *(["--set", "workload.file_size=4GB"] if after == "making" else []))
    try:
        if after == "making":
            assert wait_until(lambda: len(marked(tmp_path)) > 1, 60)
        else:
            assert wait_until(lambda: windows(tmp_path) > 10, 60)
            assert len(marked(tmp_path)) > 1
        process.kill()
        process.communicate()
        # A memory file and a socket live exactly as long as a process holds them: no process, none of those.
        assert wait_until(lambda: not marked(tmp_path), PROMPT_S)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.serial
def test_a_second_signal_exits_at_once(tmp_path):
    """A second signal ends a run with its own exit code, without a report or a summary; both come while the process is stopped."""
    process = start(tmp_path)
    try:
        assert wait_until(lambda: windows(tmp_path) > 10, 60)
        # Two signals of one number may be delivered as one; of these two Linux delivers both, and Python handles SIGINT first.
        for signum in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            process.send_signal(signum)
        out, _ = process.communicate(timeout=300)
        assert (process.returncode, out) == (143, "")
        assert not (tmp_path / "r" / "summary.json").exists()
        assert wait_until(lambda: not marked(tmp_path), PROMPT_S)
    finally:
        process.kill()
        process.communicate()


FEW = (0, 1, 2, 5, 20, 100)  # of the imports in which a signal comes; nightly all of the first hundred
# A signal in the import of the module with this number, counted from where the command's own code begins.
EARLY = """
import _signal, os, sys

left, signum = map(int, sys.argv[1:])

class Finder:
    def find_spec(self, name, path=None, target=None):
        global left
        if name not in ("zcload", "zcload.main"):
            if not left:
                os.kill(os.getpid(), signum)
            left -= 1

for name in ("re", "signal", "enum", "functools"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Finder())
from zcload.main import main
sys.argv[1:] = ["mechanisms"]
main()
"""


@pytest.mark.parametrize("number", [*FEW, *(pytest.param(number, marks=pytest.mark.nightly) for number in range(100) if number not in FEW)])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_among_the_first_imports_ends_quietly(number, signum, tmp_path):
    """From the first import on a signal ends the command with the shells' code, and nothing is printed."""
    done = subprocess.run(
        [sys.executable, "-c", EARLY, str(number), str(int(signum))], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signum, "", "")
