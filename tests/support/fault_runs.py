"""Inflict faults on runs that go on side by side, and hold what is left of each against the promises of docs/reliability.md."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
from support.faults import DEADLY, LATE, config_of
from support.paths import ROOT
from support.processes import MARK, marked, wait_until

from zcload.errors import ZcloadError
from zcload.report import renderer
from zcload.server import leftovers
from zcload.store.reader import Result

STOPPED_S = 10.0
GONE_S = 5.0
CODES = {0, 1, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM}
_STARTS_S = 60.0  # until a phase is reached, on a machine that many runs share
_LOOK_S = 0.004
# The command, with the last phases stretched so that a signal meets them: they take milliseconds.
BOOT = """
import sys, time
import zcload.runner.run as run, zcload.cli.run as command
def stretched(module, name, place):
    whole = getattr(module, name)
    def longer(*arguments, **more):
        open(place, "w").close()
        time.sleep(0.7)
        return whole(*arguments, **more)
    setattr(module, name, longer)
phase, place = sys.argv.pop(1), sys.argv.pop(1)
if phase == "evaluating":
    stretched(run, "_evaluate", place)
if phase == "writing":
    stretched(command, "write_page", place)
from zcload.main import main
main()
"""


class FaultyRun:
    """One run with one fault. Its folder has the config, the result, its own /dev/shm and its own directory for temporary files."""

    def __init__(self, fault, folder):
        self.fault, self.folder = fault, folder
        self.result, self.reached = folder / "r", folder / "reached"
        self.shm, self.tmp = _shared_memory(folder), folder / "tmp"
        self.problems = []
        self.asked = False  # to end, after it had survived the fault
        self.pids = []
        folder.mkdir(parents=True, exist_ok=True)
        self.tmp.mkdir()
        (folder / "study.toml").write_text(config_of(fault))

    def start(self):
        late = self.fault.phase in LATE
        command = (
            [sys.executable, "-P", "-c", BOOT, self.fault.phase, str(self.reached)] if late else [sys.executable, "-P", "-m", "zcload"]
        )
        command += ["run", "study.toml", "--out", "r", "--no-progress", "--no-wait"]
        command += ["--set", "stop.max_time=1s", "--set", "stop.target=50%"] if late else []
        command += [] if self.fault.phase == "writing" else ["--no-html"]
        if self.shm is not None:
            mount = f'mount --bind {self.shm} /dev/shm && exec "$0" "$@"'
            command = ["unshare", "--mount", "sh", "-c", mount, *command]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: str(self.folder), "TMPDIR": str(self.tmp)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, process_group=0, **pipes)

    # Where it is.

    def records(self, *kinds):
        """Return the records of *kinds* so far."""
        path = self.result / "windows.jsonl"
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        starts = tuple(f'{{"kind":"{kind}"'.encode() for kind in kinds)
        return [json.loads(line) for line in lines if line.startswith(starts) and line.endswith(b"\n")]

    def phase_reached(self, started):
        """Say whether the run is in the phase of its fault, well inside it."""
        match self.fault.phase:
            case "making":
                return any(role == "maker" for role, _ in self.processes())
            case "tracing":
                return any(role == "tracer" for role, _ in self.processes())
            case "calibrating":
                return bool(self.records("verified"))
            case "window":
                return len([r for r in self.records("window") if r["purpose"] == "measure"]) > 4
            case "between":
                return bool(self.records("generation"))
            case phase if phase in LATE:
                return self.reached.exists()
            case seconds:
                return time.monotonic() - started >= float(seconds.removesuffix("s"))

    def processes(self):
        """Return the processes of the run as (role, process), the run's own first."""
        found = []
        with suppress(psutil.Error):
            run = psutil.Process(self.pid)
            found.append(("run", run))
            for process in _below(run):
                with suppress(psutil.Error, OSError):
                    found.append((self._role(process), process))
        return found

    def _role(self, process):
        words = process.cmdline() or [""]
        line = " ".join(words)
        if words[:1] == ["strace"]:
            return "tracer"
        if "range_server" not in line and not os.path.basename(words[0]).startswith("python"):
            return "other"  # a program that the command, or the server, runs for a moment
        if "range_server" in line:
            return "server" if words[0] == "sh" else "child"
        if process.ppid() == self.pid and "zcload.runner.replicate" in line:
            return "replicate"
        if os.getsid(process.pid) == process.pid:
            return "supervisor" if _below(process) else "janitor"
        if self.fault.phase == "making":
            return "maker"
        links = []
        for fd in os.listdir(f"/proc/{process.pid}/fd"):
            with suppress(OSError):
                links.append(os.readlink(f"/proc/{process.pid}/fd/{fd}"))
        if any(link.startswith("net:[") for link in links):
            return "keeper"
        if "anon_inode:[eventfd]" in links:
            return "sender"
        # Beside its control socket: at least one connection.
        return "receiver" if len({link for link in links if link.startswith("socket:")}) > 1 else "other"

    def victims(self):
        """Return the processes that get the signal."""
        there = self.processes()
        if self.fault.role == "everything":
            return [process for _, process in there]
        return [process for role, process in there if role == self.fault.role]

    # What is done to it.

    def inflict(self, process):
        """Send the signal in the phase; return whether there was a process to send it to."""
        started = time.monotonic()
        while not self.phase_reached(started):
            if process.poll() is not None or time.monotonic() > started + _STARTS_S:
                return False
            time.sleep(_LOOK_S)
        time.sleep(random.Random(self.fault.seed).uniform(0.0, 0.05))
        if self.fault.role == "group":
            self.pids = [self.pid]
            os.killpg(self.pid, self.fault.signum)
        else:
            victims = []
            if not wait_until(lambda: victims.extend(self.victims()) or victims or process.poll() is not None, 5) or not victims:
                return False
            self.pids = [victim.pid for victim in victims] if self.fault.role == "everything" else [victims[0].pid]
            for pid in self.pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, self.fault.signum)
        if self.fault.signum == signal.SIGSTOP:
            time.sleep(STOPPED_S)
            for pid in self.pids if self.fault.role != "group" else ():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            if self.fault.role == "group":
                os.killpg(self.pid, signal.SIGCONT)
        return True

    def carry_out(self):
        """Start it, inflict the fault, wait for its end; return what is wrong with that and with what is left, as texts."""
        fault = self.fault
        process = self.start()
        self.pid = process.pid
        try:
            met = self.inflict(process)
            own = fault.role in ("run", "group", "everything")
            if not (own and fault.signum != signal.SIGSTOP):
                # A fault that ends the run or a lane is told soon; what goes on is ended as a user would.
                told = wait_until(lambda: process.poll() is not None or (fault.signum in DEADLY and self.told()), 15 if self.deadly else 1)
                self.expect(told or not self.deadly or not met, "15 s after it, it had not been told")
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    self.asked = True
            try:
                out, err = process.communicate(timeout=40)
            except subprocess.TimeoutExpired:
                self.problems.append("the run did not end in 40 s")
                process.kill()
                out, err = process.communicate()
            self.check_end(process.returncode, out, err, met)
        finally:
            process.kill()
            process.communicate()
        self.check_left(met)
        return [f"{fault}: {problem}" for problem in self.problems]

    @property
    def early(self):
        """Whether the signal may come before the command has begun: there is nothing to tell of yet, and it ends as any program."""
        return self.fault.phase[0].isdigit()

    @property
    def deadly(self):
        """Whether a process is killed that the run cannot do without: a lane, or the run, must say so.

        A keeper is needed, and missed, only when the next sockets are made.
        """
        return self.fault.signum in DEADLY and self.fault.role not in ("run", "janitor", "tracer", "keeper", "group", "everything")

    def told(self):
        """Say whether the result names the failure of a lane."""
        return bool(self.records("failed"))

    # What it must have left.

    def expect(self, holds, otherwise):
        if not holds:
            self.problems.append(otherwise)

    def check_end(self, code, out, err, met):
        fault = self.fault
        killed = met and fault.role in ("run", "group", "everything") and fault.signum in DEADLY
        codes = {-fault.signum} if killed else CODES | ({-fault.signum} if self.early else set())
        # Python gives the signal back its default action milliseconds before the process ends: shells see 130 all the same.
        codes |= {-signal.SIGINT} if self.asked else set()
        self.expect(code in codes, f"exit code {code}: {err[-300:]}")
        if met and fault.role in ("run", "group", "everything") and fault.signum in (signal.SIGINT, signal.SIGTERM) and code == 0:
            self.expect(fault.phase in LATE, "exit code 0 after a signal")
        # Before the command has caught the signals Python itself answers one, with a traceback of its own and of the first files.
        first = re.sub(r"/zcload/(__main__|__init__|main)\.py", "", out + err)
        self.expect("Traceback" not in first or (self.early and "/zcload/" not in first), f"traceback: {(out + err)[-600:]}")
        errors = [line for line in err.splitlines() if line.startswith("zcload: error:")]
        # Before there is a result a signal ends a command silently, as it ends any.
        silent = self.early or (code > 2 and not (self.result / "windows.jsonl").exists()) or (met and fault.phase == "writing")
        silent |= self.asked and code == 130 and "result: r" in err  # the signal came while the report was printed
        self.expect(code <= 0 or errors or silent, f"exit code {code} without an error line: {err[-300:]}")
        self.expect(len(errors) == len(set(errors)), f"an error is told twice: {errors}")
        if met and self.deadly and fault.role in ("sender", "receiver", "server", "replicate", "maker", "supervisor"):
            reasons = " ".join(record["reason"] for record in self.records("failed"))
            self.expect(any(f"(pid {pid})" in err + reasons for pid in self.pids), f"pid {self.pids} is not named: {err[-400:]} {reasons}")

    def check_left(self, met):
        self.expect(wait_until(lambda: not marked(self.folder), GONE_S), f"left: {[p.cmdline()[:4] for p in _living(self.folder)]}")
        for process in _living(self.folder):
            process.kill()
        if (self.result / "windows.jsonl").exists():
            try:
                renderer("table")([Result.load(self.result / "windows.jsonl")])
                Result.load(self.result)
            except ZcloadError as error:
                self.problems.append(f"the result cannot be read: {error}")
        drafts = [path.name for path in self.result.glob(".*")] if self.result.exists() else []
        self.expect(not drafts, f"drafts: {drafts}")
        places = [place for place in (self.shm, self.tmp) if place is not None]
        if self.fault.role == "everything" or not met:
            leftovers.clear(places)  # nothing was left that could have cleaned up: the next start does
        files = lambda: [path.name for place in places for path in place.iterdir()]  # noqa: E731 - a line, used twice
        self.expect(wait_until(lambda: not files(), GONE_S), f"left in /dev/shm or TMPDIR: {files()}")
        for place in places:
            shutil.rmtree(place, ignore_errors=True)


def _living(folder):
    return marked(folder)


def _below(process):
    """Return all processes below *process*; those that a supervisor adopted too. From /proc, which is quick."""
    found, parents = [], [process.pid]
    while parents:
        parent = parents.pop()
        try:
            pids = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
        except OSError:
            continue
        parents += pids
        for pid in pids:
            with suppress(psutil.Error):
                found.append(psutil.Process(pid))
    return found


def _shared_memory(folder):
    """Make a directory that is the run's own /dev/shm, where this user may mount one: None elsewhere."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return None
    place = Path("/dev/shm") / f"faults-{os.getpid()}-{folder.name}"
    place.mkdir(mode=0o1777)
    return place


def problems_of(faults, folder, side_by_side):
    """Carry out all *faults*, so many *side_by_side*; return what was wrong."""
    with ThreadPoolExecutor(side_by_side) as pool:
        found = pool.map(lambda fault: FaultyRun(fault, folder / str(fault)).carry_out(), faults)
        return [problem for each in found for problem in each]
