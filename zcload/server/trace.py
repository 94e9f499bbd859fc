"""Find which system calls of a server move the payload: strace, attached for one transfer before anything is measured.

A traced process is slowed several times over (ptrace(2) stops it twice a call), so `trace_transfer` returns only when every thread has been
seen without a tracer.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from zcload.errors import StudyError
from zcload.linux.locks import locked_folder
from zcload.linux.process import die_with_parent

_OUT = ("sendfile", "sendfile64", "splice", "write", "writev", "pwritev", "sendto", "sendmsg", "vmsplice")  # where bytes go into sockets
_IN = ("read", "readv", "pread64", "preadv", "preadv2", "splice")  # where they come out of files
_OTHER = ("mmap", "mmap2", "io_uring_enter")
_ATTACH_S = 5.0
_SETTLE_S = 2.0  # how long strace may take to write down the last calls of a transfer: the bytes arrive before their call returns
TRACES = "zcload-trace-"  # how the names of folders of traces begin
_LEAST_SHARE = 0.05  # of the payload: a call that moved less moved headers
_MOST = 0.5
# `sendfile(8<TCP:[...]>, 9</srv/file>, [0] => [65536], 65536) = 65536`, and the like of other calls
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+)")
_DESCRIPTOR = re.compile(r"(-?\d+)<((?:[^<>]|->|<[^<>]*>)*)>")
_YAMA = "/proc/sys/kernel/yama/ptrace_scope"  # Documentation/admin-guide/LSM/Yama.rst
_REMEDIES = {
    "1": "kernel.yama.ptrace_scope is 1, so only a parent may trace: run as root, or sysctl kernel.yama.ptrace_scope=0",
    "2": "kernel.yama.ptrace_scope is 2: run as root",
    "3": "kernel.yama.ptrace_scope is 3: nobody may trace until the next boot",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of system call, the payload *bytes* that it moved, and how often it was made."""

    name: str
    bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class Traced:
    """What moved *payload_bytes*. *moved*: the calls joined with " + ", in the order of the data; None with a *reason* if unknown."""

    moved: str | None
    calls: tuple[Call, ...]
    payload_bytes: int
    reason: str | None = None

    def record(self) -> dict[str, object]:
        """Return it for the result: plain values."""
        return {**asdict(self), "calls": [asdict(call) for call in self.calls]}


class _Refused(Exception):
    """Tracing is not to be had, and why."""


def trace_transfer(pids: Iterable[int], transfer: Callable[[], int]) -> Traced:
    """Trace the processes *pids*, and what they fork, while *transfer* moves some payload and returns its bytes.

    Where tracing is impossible there is no transfer, and the result has the reason and the remedy. Raises what
    *transfer* raises, with nothing traced any more.
    """
    strace = shutil.which("strace")
    if strace is None:
        return Traced(None, (), 0, "there is no strace: apt-get install strace")
    with tempfile.TemporaryDirectory(prefix=TRACES) as folder, locked_folder(Path(folder)):
        prefix = Path(folder) / "calls"
        calls = ",".join(f"?{name}" for name in dict.fromkeys((*_OUT, *_IN, *_OTHER)))
        command = [strace, "-f", "-ff", "-yy", "-s", "0", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(prefix)]
        targets = list(pids)
        for pid in targets:
            command += ["-p", str(pid)]
        said = Path(folder) / "said"
        coordinator = os.getpid()
        with said.open("wb") as errors:
            tracer = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                process_group=0,  # a Ctrl-C of the user is the coordinator's to handle
                preexec_fn=lambda: die_with_parent(coordinator),  # the coordinator has one thread, so this is safe
            )
        try:
            _wait_until_attached(tracer, targets, said)
            payload = transfer()
            deadline = time.monotonic() + _SETTLE_S
            while not _accounted(judge(_lines(folder), payload)) and time.monotonic() < deadline:
                time.sleep(0.01)
        except _Refused as refused:
            return Traced(None, (), 0, str(refused))
        finally:
            _detach(tracer, targets)
        return judge(_lines(folder), payload)


def _lines(folder: str) -> list[str]:
    """Return what strace has written in *folder* so far, thread by thread."""
    return [line for path in sorted(Path(folder).glob("calls.*")) for line in path.read_text(errors="replace").splitlines()]


def _accounted(traced: Traced) -> bool:
    """Return whether the calls moved the whole payload into sockets, or a ring did, whose bytes strace does not see."""
    sent = sum(call.bytes for call in traced.calls if call.name.partition(" ")[0] in _OUT)
    return traced.moved == "io_uring_enter" or sent >= traced.payload_bytes


def judge(lines: Iterable[str], payload: int) -> Traced:
    """Derive from strace's *lines* (made with -yy) which calls moved *payload* bytes from files into TCP sockets."""
    into: dict[str, list[int]] = {}  # bytes and number of calls, by call
    outof: dict[str, list[int]] = {}
    mapped = rings = 0
    for line in lines:
        found = _CALL.match(line)
        if found is None:
            continue
        name, arguments, result = found[1], found[2], int(found[3], 0)
        if name == "io_uring_enter":
            rings += 1
            continue
        fds = [what for _, what in _DESCRIPTOR.findall(arguments)]
        if name.startswith("mmap"):
            mapped += bool(fds) and _is_file(fds[0])
            continue
        if result <= 0 or not fds:
            continue
        target = fds[0] if name != "splice" else fds[-1]
        source = fds[-1] if name.startswith("sendfile") else fds[0]
        label = f"{name} with MSG_ZEROCOPY" if "MSG_ZEROCOPY" in arguments else name
        if name in _OUT and _is_tcp(target):
            _count(into, label, result)
        elif name in _IN and _is_file(source):
            _count(outof, label, result)
    sent = {name: tally for name, tally in into.items() if tally[0] >= _LEAST_SHARE * payload}
    read = {name: tally for name, tally in outof.items() if tally[0] >= _LEAST_SHARE * payload}
    calls = tuple(Call(name, *tally) for name, tally in {**read, **sent}.items())
    if not payload or sum(tally[0] for tally in sent.values()) < _MOST * payload:
        if payload and rings:
            return Traced("io_uring_enter", (*calls, Call("io_uring_enter", 0, rings)), payload)
        return Traced(None, calls, payload, "the calls that strace saw do not account for the payload")
    direct = all(name.startswith("sendfile") for name in sent)
    names = list(sent) if direct else [*read, *(name for name in sent if name not in read)]
    if not direct and not read and mapped:
        names.insert(0, "mmap")
    return Traced(" + ".join(names), calls, payload)


def _count(tallies: dict[str, list[int]], name: str, moved: int) -> None:
    tally = tallies.setdefault(name, [0, 0])
    tally[0] += moved
    tally[1] += 1


def _is_tcp(what: str) -> bool:
    """Say whether a descriptor is a TCP socket; strace calls it a plain socket where it cannot ask (another network namespace)."""
    return what.startswith(("TCP", "socket:["))


def _is_file(what: str) -> bool:
    return (what.startswith("/") and not what.startswith(("/dev/", "/proc/", "/sys/"))) or what.startswith("/dev/shm/")


def _threads(pids: Iterable[int]) -> list[str]:
    """Return the status files of all threads of *pids* that still run."""
    found = []
    for pid in pids:
        try:
            found += [f"/proc/{pid}/task/{thread}/status" for thread in os.listdir(f"/proc/{pid}/task")]
        except OSError:
            pass  # it has ended
    return found


def tracers(pids: Iterable[int]) -> set[int]:
    """Return the pids of the tracers of all threads of *pids*; 0 stands for no tracer."""
    found: set[int] = set()
    for path in _threads(pids):
        try:
            with open(path) as status:
                found.update(int(line.split()[1]) for line in status if line.startswith("TracerPid:"))
        except OSError:
            pass  # it has ended
    return found


def _wait_until_attached(tracer: subprocess.Popen[bytes], pids: list[int], said: Path) -> None:
    """Wait until every thread of *pids* is traced; raises _Refused with the reason."""
    deadline = time.monotonic() + _ATTACH_S
    while tracers(pids) != {tracer.pid}:
        ended = tracer.poll() is not None
        words = next((line for line in said.read_text(errors="replace").splitlines() if "attach" in line and "ptrace" in line), None)
        if ended or words is not None:
            words = words or said.read_text(errors="replace").strip() or f"it exited with status {tracer.returncode}"
            words = words.splitlines()[0].partition(": ")[2] or words
            raise _Refused(f"strace may not trace the server: {words[:200]} ({_remedy()})")
        if time.monotonic() > deadline:
            raise _Refused(f"strace did not attach within {_ATTACH_S:.0f} s ({_remedy()})")
        time.sleep(0.005)


def _remedy() -> str:
    try:
        scope = Path(_YAMA).read_text().strip()
    except OSError:
        scope = "0"
    return _REMEDIES.get(scope, "run as the server's user or as root; a container may need --cap-add SYS_PTRACE")


def _detach(tracer: subprocess.Popen[bytes], pids: list[int]) -> None:
    """End strace and wait until nothing of *pids* is traced. A killed strace detaches too: the kernel does it."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        if tracer.poll() is None:
            tracer.send_signal(end)
            try:
                tracer.wait(_ATTACH_S)
            except subprocess.TimeoutExpired:
                continue
    deadline = time.monotonic() + _ATTACH_S
    while tracer.pid in tracers(pids):
        if time.monotonic() > deadline:
            raise StudyError(f"the server is still traced by strace (pid {tracer.pid}) {_ATTACH_S:.0f} s after that was ended: kill it")
        time.sleep(0.002)
