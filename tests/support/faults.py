"""Generated faults: a signal to one process of a run, found by its role, in one phase; and what a run must look like after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil
from support.paths import ROOT, SUPPORT
from support.processes import MARK, marked, wait_until

STUDY = """
[study]
name = "faults"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "{size}"
placement = "free"
[stop]
max_time = "60s"
target = "0.01%"
replicates = 2
window = "20ms"
"""
SERVER = """
[[variant]]
name = "served"
kind = "server"
command = ["sh", "-c", '"$0" "$@" & wait', "{{python}}", "{program}", "{{port}}", "{{root}}"]
grace = "300ms"
"""
# What is found of each role: how a process of it is told from the others by its parent and command.
ROLES = ("run", "replicate", "worker", "server", "child", "supervisor", "janitor", "maker")
PHASES = ("making", "measuring")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGSTOP)
STOPPED_S = 10.0


@dataclass(frozen=True)
class Fault:
    """*signum* to a process of *role* in *phase*."""

    role: str
    phase: str
    signum: signal.Signals

    def __str__(self):
        return f"{self.role}-{self.phase}-{self.signum.name}"


def all_faults():
    """Return every fault that there can be: makers make, servers and workers measure."""
    making = {"run", "replicate", "maker"}
    return [
        Fault(role, phase, signum)
        for phase in PHASES
        for role in ROLES
        for signum in SIGNALS
        if (role in making and role != "maker") or (role == "maker") == (phase == "making")
        if phase == "measuring" or role in making
    ]


def start(folder, phase):
    """Start a run in *folder* that stays in *phase* for long; every process of it carries a mark."""
    text = STUDY.format(size="4GB" if phase == "making" else "4MiB")
    if phase == "measuring":
        text += SERVER.format(program=SUPPORT / "range_server.py")
    (folder / "study.toml").write_text(text)
    command = [sys.executable, "-m", "zcload", "run", "study.toml", "--out", "r", "--no-progress", "--no-wait", "--no-html"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: str(folder)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def processes(folder, run_pid):
    """Return the processes of the run, each under its role."""
    found = {"run": psutil.Process(run_pid)}
    ours = marked(folder)
    for process in ours:
        try:
            line, parent = process.cmdline(), process.parent()
            if parent is None or process.pid == run_pid:
                continue
            role = _role(process, line, parent, run_pid)
        except psutil.Error:
            continue
        found.setdefault(role, process)
    return found


def _role(process, line, parent, run_pid):
    if "range_server" in " ".join(line):
        return "server" if line[0] == "sh" else "child"
    if parent.pid == run_pid:
        return "replicate"
    leads = os.getsid(process.pid) == process.pid
    if leads:
        return "supervisor" if process.children() else "janitor"
    return "worker"


def reached(folder, phase, run_pid):
    """Say whether the run is in *phase*, well inside it."""
    there = processes(folder, run_pid)
    if phase == "making":
        return "worker" in there
    path = folder / "r" / "windows.jsonl"
    return path.exists() and path.read_bytes().count(b'"kind":"window"') > 4 and {"child", "server", "supervisor", "janitor"} <= set(there)


def inflict(fault, folder, process):
    """Send the signal of *fault* to its process once the run is in its phase; end a stopped one's pause; return the pid that got it."""
    assert wait_until(lambda: process.poll() is not None or reached(folder, fault.phase, process.pid), 90)
    victim = processes(folder, process.pid)["worker" if fault.role == "maker" else fault.role]
    victim.send_signal(fault.signum)
    if fault.signum == signal.SIGSTOP:
        time.sleep(STOPPED_S)
        try:
            victim.send_signal(signal.SIGCONT)
        except psutil.NoSuchProcess:
            pass
    return victim.pid
