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
from support import processes
from support.faults import DEADLY, KINDS, LATE, config_of
from support.fork_server import ForkServer
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
_TOLD_S = 15.0
_END_S = 40.0
_MOST_TRIES = 3
HOSTS_OF = {name: ("a", "b") if kind.on_hosts else () for name, kind in KINDS.items()}


class FaultyRun:
    """One run with one fault. Its folder has the config, the result, its own /dev/shm and its own directory for temporary files."""

    def __init__(self, fault, folder, server):
        self.fault, self.folder, self.server = fault, folder, server
        self.result, self.reached = folder / "r", folder / "reached"
        self.shm, self.tmp = _shared_memory(folder), folder / "tmp"
        self.problems = []
        self.asked = False  # to end, after it had survived the fault
        self.again = 0  # how often the signal met a process that was ending anyway, and was sent to another
        self.pids = []
        self.executed = None  # when the command was executed, in early phases
        self._read, self._lines = 0, []
        folder.mkdir(parents=True)
        self.tmp.mkdir()
        (folder / "study.toml").write_text(config_of(fault))

    def start(self):
        late = self.fault.phase in LATE
        arguments = ["run", "study.toml", "--out", "r", "--no-progress", "--no-wait"]
        arguments += ["--set", "stop.max_time=1s", "--set", "stop.target=50%"] if late else []
        arguments += [] if self.fault.phase == "writing" else ["--no-html"]
        environment = {"TMPDIR": str(self.tmp)}
        if not self.fault.early:
            return self.server.start(
                arguments,
                folder=self.folder,
                environment=environment,
                shared_memory=self.shm,
                stretch=self.fault.phase,
                hosts=HOSTS_OF[self.fault.kind],
            )
        command = [sys.executable, "-P", "-m", "zcload", *arguments]
        if self.shm is not None:
            mount = f'mount --bind {self.shm} /dev/shm && exec "$0" "$@"'
            command = ["unshare", "--mount", "sh", "-c", mount, *command]
        environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT), MARK: str(self.folder)}
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, process_group=0
            )

    # Where it is.

    def lines(self):
        """Return the whole lines of windows.jsonl so far; each is read once."""
        with suppress(FileNotFoundError), open(self.result / "windows.jsonl", "rb") as file:
            file.seek(self._read)
            *whole, _ = file.read().split(b"\n")
            self._read += sum(len(line) + 1 for line in whole)
            self._lines += whole
        return self._lines

    def records(self, *kinds):
        """Return the records of *kinds* so far."""
        starts = tuple(f'{{"kind":"{kind}"'.encode() for kind in kinds)
        return [json.loads(line) for line in self.lines() if line.startswith(starts)]

    def phase_reached(self):
        """Say whether the run is in the phase of its fault, well inside it."""
        match self.fault.phase:
            case "making":
                return self.reached.exists()
            case "tracing":
                return any(role == "tracer" for role, _ in self.processes())
            case "joining":
                return any(role == "agent" for role, _ in self.processes())
            case "calibrating":
                return any(line.startswith(b'{"kind":"verified"') for line in self.lines())
            case "window":
                return sum(line.startswith(b'{"kind":"window"') and b'"purpose":"measure"' in line for line in self.lines()) > 4
            case "between":
                return any(line.startswith(b'{"kind":"generation"') for line in self.lines())
            case phase if phase in LATE:
                return self.reached.exists()
            case seconds:
                with suppress(psutil.Error):  # what starts it, and would take the signal, is a shell first
                    if self.executed is None and psutil.Process(self.pid).cmdline()[:1] == [sys.executable]:
                        self.executed = time.monotonic()
                return self.executed is not None and time.monotonic() - self.executed >= float(seconds.removesuffix("s"))

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
        if os.getsid(process.pid) == process.pid:
            return "supervisor" if _below(process) else "janitor"
        if "_agent" in words and process.ppid() == self.pid:
            return "agent"
        if process.ppid() == self.pid and os.getpgid(process.pid) == process.pid:
            return "replicate"
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

    def wait_for_phase(self, process):
        """Wait until the run is in the phase, and a random moment more; return whether it came there."""
        if not wait_until(lambda: process.poll() is not None or self.phase_reached(), _STARTS_S) or process.poll() is not None:
            return False
        time.sleep(random.Random(self.fault.seed).uniform(0.0, 0.05))
        return True

    def inflict(self, process):
        """Send the signal; return whether there was a process to send it to."""
        if self.fault.role == "group":
            self.pids = [self.pid]
            os.killpg(self.pid, self.fault.signum)
        else:
            victims = []
            if not wait_until(lambda: victims.extend(self.victims()) or victims or process.poll() is not None, 5) or not victims:
                return False
            self.pids += [victim.pid for victim in victims] if self.fault.role == "everything" else [victims[0].pid]
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
            met = self.wait_for_phase(process) and self.inflict(process)
            if not (fault.own and fault.signum != signal.SIGSTOP):
                # A fault that ends the run or a lane is told soon; what goes on is ended as a user would.
                told = self.wait_until_told(process)
                while fault.deadly and met and not told and self.again < _MOST_TRIES and process.poll() is None:
                    self.again += 1
                    told = self.inflict(process) and self.wait_until_told(process)
                told |= process.poll() is not None  # it may have ended while somebody was looked for to send the signal to again
                self.expect(told or not fault.deadly or not met, f"{_TOLD_S:.0f} s after it, it had not been told")
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    self.asked = True
            if not wait_until(lambda: process.poll() is not None, _END_S):
                self.problems.append(f"the run did not end in {_END_S:.0f} s")
                process.kill()
            code = process.wait()
            out, err = ((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
            self.check_end(code, out, err, met)
        finally:
            process.kill()
            process.wait()
        self.check_left(met)
        return [f"{fault}: {problem}" for problem in self.problems]

    def wait_until_told(self, process):
        """Wait until a deadly fault is told, or the run has ended; others get a moment. Return whether that came."""
        fault, last = self.fault, self.again == _MOST_TRIES
        # A server whose child dies before it listens is told when its `ready` is over, after ten seconds.
        patience = 0.3 if not fault.deadly else _TOLD_S if last or fault.role == "child" else 3.0
        return wait_until(lambda: process.poll() is not None or (fault.deadly and self.told()), patience)

    def told(self):
        """Say whether the result names the failure of a lane, one of zcload's own among them."""
        return bool(self.reasons())

    def reasons(self):
        """Return what the result says of failures so far."""
        found = [record["reason"] for record in self.records("failed")]
        return found + [record["message"] for record in self.records("caution") if record["code"] == "own_cost_unknown"]

    # What it must have left.

    def expect(self, holds, otherwise):
        if not holds:
            self.problems.append(otherwise)

    def check_end(self, code, out, err, met):
        fault = self.fault
        killed = met and fault.own and fault.signum in DEADLY
        codes = {-fault.signum} if killed else CODES | ({-fault.signum} if fault.early else set())
        # Python gives the signal back its default action milliseconds before the process ends: shells see 130 all the same.
        codes |= {-signal.SIGINT} if self.asked else set()
        self.expect(code in codes, f"exit code {code}: {err[-300:]}")
        if met and fault.own and fault.signum in (signal.SIGINT, signal.SIGTERM) and code == 0:
            self.expect(fault.phase in LATE, "exit code 0 after a signal")
        # Before the command has caught the signals Python itself answers one, with a traceback of its own and of the first files.
        first = re.sub(r"/zcload/(__main__|__init__|main)\.py", "", out + err)
        self.expect("Traceback" not in first or (fault.early and "/zcload/" not in first), f"traceback: {(out + err)[-600:]}")
        errors = [line for line in err.splitlines() if line.startswith("zcload: error:")]
        # Before there is a result a signal ends a command silently, as it ends any.
        silent = fault.early or (code > 2 and not (self.result / "windows.jsonl").exists()) or (met and fault.phase == "writing")
        silent |= self.asked and code == 130 and "result: r" in err  # the signal came while the report was printed
        self.expect(code <= 0 or errors or silent, f"exit code {code} without an error line: {err[-300:]}")
        self.expect(len(errors) == len(set(errors)), f"an error is told twice: {errors}")
        if met and fault.deadly and fault.role != "child":
            reasons = " ".join(self.reasons())
            names = [r"host [ab]: the agent "] if fault.role == "agent" else [rf"\(pid {pid}\)" for pid in self.pids]
            self.expect(any(re.search(name, err + reasons) for name in names), f"{names} is not named: {err[-400:]} {reasons}")

    def check_left(self, met):
        places = [place for place in (self.shm, self.tmp) if place is not None]
        if self.fault.role == "everything" or not met:
            leftovers.clear(places)  # nothing was left that could have cleaned up: the next start ends servers and removes files
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
        if self.fault.role == "everything" or not met:
            leftovers.clear(places)
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
    place.mkdir(mode=0o1777, exist_ok=True)
    return place


def carry_out(fault, folder, server):
    """Carry out *fault*, again if this process itself was stopped meanwhile; return what was wrong, and how often it was sent again."""
    for number in range(_MOST_TRIES):
        began, run = time.monotonic(), FaultyRun(fault, folder / f"{fault}.{number}", server)
        problems = run.carry_out()
        if processes.stopped_at < began or not problems:
            break
    return problems, run.again


def problems_of(faults, folder, side_by_side):
    """Carry out all *faults*, so many *side_by_side*; return what was wrong."""
    with ForkServer() as server, ThreadPoolExecutor(side_by_side) as pool:
        done = list(pool.map(lambda fault: carry_out(fault, folder, server), faults))
    problems = [problem for found, _ in done for problem in found]
    again = sum(count for _, count in done)
    # A signal may meet a process in the milliseconds in which it ends anyway. That is rare, or faults are not told.
    if again > 2 + 0.05 * len(done):
        problems.append(f"{again} of {len(done)} faults had to be inflicted again before one was told")
    return problems
