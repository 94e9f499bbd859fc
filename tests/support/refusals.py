"""Generated refusals: one call of a run's own process fails with an error of the system, and what the run must look like after it."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from support.faults import KINDS, STUDY
from support.paths import ROOT
from support.processes import MARK, marked, wait_until

from zcload.errors import ZcloadError
from zcload.report import renderer
from zcload.store.reader import Result

# The functions through which a run asks the system for something, and what the system may answer.
CALLS = {
    "os.fork": ("EAGAIN", "ENOMEM"),
    "os.eventfd": ("EMFILE", "ENFILE", "ENOMEM"),
    "os.memfd_create": ("EMFILE", "ENFILE", "ENOMEM"),
    "os.pipe2": ("EMFILE", "ENFILE"),
    "os.open": ("EMFILE", "ENFILE"),
    "os.write": ("ENOSPC", "EIO", "EDQUOT"),
    "mmap.mmap": ("ENOMEM", "EAGAIN"),
    "socket.socket": ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"),
    "socket.socketpair": ("EMFILE", "ENFILE"),
    "socket.socket.bind": ("EADDRINUSE", "EADDRNOTAVAIL"),
    "socket.socket.sendall": ("ECONNRESET", "EPIPE"),
    "time.time": ("-86400", "+86400"),  # the clock of the day jumps: only dates come of it
}
NUMBERS = (1, 2, 3, 5, 8, 13, 21, 34)  # which of its calls fails
ENDS_WITHIN_S = 300  # on a busy machine
BOOT = """
import os, sys
name, number, answer = sys.argv.pop(1), int(sys.argv.pop(1)), sys.argv.pop(1)
import mmap, socket, time
*path, last = name.split(".")
holder = sys.modules[path[0]]
for part in path[1:]:
    holder = getattr(holder, part)
whole, calls = getattr(holder, last), 0
def refuse():
    global calls
    calls += 1
    if calls == number:
        import errno
        code = getattr(errno, answer)
        raise OSError(code, os.strerror(code))
if name == "time.time":
    def changed():
        global calls
        calls += 1
        return whole() + (float(answer) if calls >= number else 0.0)
elif isinstance(whole, type):
    class changed(whole):
        def __new__(cls, *arguments, **more):
            refuse()
            return whole.__new__(cls, *arguments, **more)
else:
    def changed(*arguments, **more):
        refuse()
        return whole(*arguments, **more)
from zcload.main import main
setattr(holder, last, changed)
main()
"""


@dataclass(frozen=True)
class Refusal:
    """Call *number* of *name* answers *answer*: an errno, or by how many seconds a clock jumps."""

    name: str
    number: int
    answer: str

    def __str__(self):
        return f"{self.name}-{self.number}-{self.answer}"


def all_refusals():
    """Return every refusal."""
    return [Refusal(name, number, answer) for name, answers in CALLS.items() for answer in answers for number in NUMBERS]


def sample(count):
    """Return *count* of them, the same ones each time."""
    return random.Random(count).sample(all_refusals(), count)


def problems_of(refusal, folder):
    """Carry *refusal* out in *folder*; return what is wrong, as texts."""
    folder.mkdir()
    kind = KINDS["in-process"]
    text = STUDY.format(variants=kind.variants, schedule=kind.schedule, size="1MiB", workload=kind.workload, replicates=1)
    (folder / "study.toml").write_text(text)
    command = [sys.executable, "-P", "-c", BOOT, refusal.name, str(refusal.number), refusal.answer, "run", "study.toml", "--out", "r"]
    command += ["--no-progress", "--no-wait", "--no-html", "--set", "stop.max_time=500ms", "--set", "stop.target=50%"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: str(folder)}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        return [f"{refusal}: no end in {ENDS_WITHIN_S} s"]
    found = []
    if "Traceback" in done.stdout + done.stderr:
        found.append(f"traceback: {done.stderr[-700:]}")
    errors = [line for line in done.stderr.splitlines() if line.startswith("zcload: error:")]
    if done.returncode not in (0, 1, 2) or (done.returncode and not errors):
        found.append(f"exit code {done.returncode}: {done.stderr[-300:]}")
    if errors and refusal.answer in errno.errorcode.values():
        cause = os.strerror(getattr(errno, refusal.answer)).lower()
        if not any(cause in line.lower() or "in use" in line or "memory" in line or "not an address" in line for line in errors):
            found.append(f"the cause is not told: {errors}")
    if not wait_until(lambda: not marked(folder), 60):
        found.append(f"left: {[process.cmdline()[:4] for process in marked(folder)]}")
    if (folder / "r" / "windows.jsonl").exists():
        try:
            renderer("table")([Result.load(folder / "r" / "windows.jsonl")])
        except ZcloadError as error:
            found.append(f"the result cannot be read: {error}")
    return [f"{refusal}: {each}" for each in found]


def all_problems(refusals, folder, side_by_side):
    """Carry out all *refusals*, so many *side_by_side*; return what was wrong."""
    with ThreadPoolExecutor(side_by_side) as pool:
        return [each for found in pool.map(lambda refusal: problems_of(refusal, folder / str(refusal)), refusals) for each in found]
