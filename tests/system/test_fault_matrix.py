"""A generated matrix of faults: every kind of process, phase and signal. Each ends in a documented way, and nothing is left."""

from __future__ import annotations

import os
import signal

import pytest
from support.command_line import zcload
from support.faults import Fault, all_faults, inflict, start
from support.processes import marked, wait_until

from zcload.store.reader import read_records

GONE_S = 5.0
CODES = {0, 1, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM}
SAMPLE = [
    Fault("run", "measuring", signal.SIGKILL),
    Fault("replicate", "measuring", signal.SIGKILL),
    Fault("worker", "measuring", signal.SIGSEGV),
    Fault("server", "measuring", signal.SIGKILL),
    Fault("supervisor", "measuring", signal.SIGKILL),
    Fault("janitor", "measuring", signal.SIGKILL),
    Fault("maker", "making", signal.SIGKILL),
]


def check(fault, folder):
    """Inflict *fault* on a run and hold what is left of it against the promises."""
    process = start(folder, fault.phase)
    try:
        pid = inflict(fault, folder, process)
        # What the run survives goes on for a minute: a signal ends it then, as a user would.
        if fault.role in ("run", "replicate", "maker") and fault.signum != signal.SIGSTOP:
            out, err = process.communicate(timeout=60)
        else:
            deadly = fault.signum in (signal.SIGKILL, signal.SIGSEGV) and fault.role != "janitor"
            ended = wait_until(lambda: process.poll() is not None or _recorded(folder, pid), 30 if deadly else 2)
            # The end of a child, or of a supervisor, may be told as that of the server that waited for it.
            assert ended or fault.role in ("child", "supervisor") or not deadly
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        killed = fault.role == "run" and fault.signum in (signal.SIGKILL, signal.SIGSEGV)
        assert process.returncode == -fault.signum if killed else process.returncode in CODES, err
        assert "Traceback" not in out + err
        if process.returncode > 0:
            assert [line for line in err.splitlines() if line.startswith("zcload: error:")], err
        if fault.role in ("worker", "server", "maker") and fault.signum in (signal.SIGKILL, signal.SIGSEGV):
            assert f"(pid {pid})" in err or _recorded(folder, pid), err
    finally:
        process.kill()
        process.communicate()
    assert wait_until(lambda: not marked(folder), GONE_S), marked(folder)
    windows = folder / "r" / "windows.jsonl"
    if windows.exists():
        assert read_records(windows)[0]["kind"] == "header"
        report = zcload("report", "r", cwd=folder)
        assert report.returncode == 0, report.stderr
    assert [name for name in os.listdir(folder / "r") if name.startswith(".")] == [] if windows.exists() else True
    assert "files of a run" not in zcload("clean", "--dry-run", cwd=folder).stdout


def _recorded(folder, pid):
    """Say whether the result names process *pid* as the cause of a failure."""
    path = folder / "r" / "windows.jsonl"
    return path.exists() and any(f"(pid {pid})" in record.get("reason", "") for record in read_records(path) if record["kind"] == "failed")


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("fault", SAMPLE, ids=str)
def test_faults_that_matter_most(fault, tmp_path):
    """A process of each kind that is killed ends as documented: exit code, an error line, a readable result, and nothing left in 5 s."""
    check(fault, tmp_path)


@pytest.mark.nightly
@pytest.mark.serial
@pytest.mark.parametrize("fault", all_faults(), ids=str)
def test_every_fault(fault, tmp_path):
    """Every kind of process, phase and signal, SIGSTOP for ten seconds among them, keeps the same promises."""
    check(fault, tmp_path)
