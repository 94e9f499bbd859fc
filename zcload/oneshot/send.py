"""`zcload send`: send one file through one mechanism, then read it again for its SHA-256."""

from __future__ import annotations

import difflib
import hashlib
import math
import mmap
import os
import stat
from dataclasses import dataclass, replace
from typing import Any

from zcload.errors import ConfigError, MechanismUnavailableError, Problem, StudyError, reason_of
from zcload.lane.payload import MEMORY_RESERVE, available_memory
from zcload.lane.worker import spawn
from zcload.linux import interrupt
from zcload.linux.memory import page_aligned
from zcload.mechanisms import MECHANISMS, Mechanism, check_transfer, mechanism_called
from zcload.mechanisms.base import MAX_COUNT
from zcload.mechanisms.own_file import is_file_form
from zcload.model.progress import Viewer, nobody
from zcload.model.regular_file import check_size
from zcload.model.units import ValueRefused, human_bytes, shown
from zcload.oneshot.address import DEFAULT_ADDRESS, format_address, parse_address
from zcload.oneshot.progress_pace import Pace
from zcload.oneshot.sender_process import Job, TransferEnd, stream
from zcload.oneshot.verification import token_in

CHUNK = 256 << 10
CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 60.0
_ALWAYS_ROOM = 64 << 20  # what a sender needs is checked only above this


@dataclass(frozen=True, slots=True)
class Sent:
    """One file sent. *seconds* go from the connection to the peer's close, or, where *ended* says so, its last acknowledgement.

    *cpu_s* is the sending process's, from the connection to the same moment. *completions* is what the kernel said of its copies.
    *sha256* is the file's; *verified* says that the receiver got the same in a second pass, None that it made none. *receiver* is
    what it measured at its end: bytes, seconds, cpu_s.
    """

    path: str
    peer: str
    mechanism: str
    chunk: int
    bytes: int
    seconds: float
    cpu_s: float
    ended: TransferEnd
    sha256: str | None
    completions: dict[str, int]
    verified: bool | None = None
    receiver: dict[str, float] | None = None

    @property
    def receiver_cpu_s(self) -> float | None:
        """The receiver's CPU seconds, if it has said them."""
        return self.receiver.get("cpu_s") if self.receiver else None

    @property
    def goodput_bps(self) -> float | None:
        """Payload bits per second; None for an empty file."""
        return 8 * self.bytes / self.seconds if self.bytes and self.seconds else None


def send(
    path: str,
    where: str = DEFAULT_ADDRESS,
    *,
    via: str,
    chunk: int = CHUNK,
    digest: bool = True,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    timeout_s: float = TIMEOUT_S,
    view: Viewer = nobody,
) -> Sent:
    """Send the file *path* to *where* via the mechanism *via*, *chunk* bytes a call; it may be empty.

    *timeout_s* is how long the peer may take nothing. Raises ConfigError, MechanismUnavailableError, StudyError, Interrupted.
    """
    host, port = parse_address(where)
    if not port:
        raise ConfigError(Problem(f"{shown(where)}: nobody can be reached at port 0", remedy=f"such as '{DEFAULT_ADDRESS}'"))
    if not 1 <= chunk <= MAX_COUNT:
        raise ConfigError(Problem(f"a chunk of {chunk} bytes cannot be sent", remedy=f"choose 1..{MAX_COUNT} bytes"))
    mechanism = _mechanism(via)
    fd = open_file(path)
    try:
        before = os.fstat(fd)
        _check_memory(mechanism, before.st_size, chunk)
        job = Job(host, port, mechanism, fd, before.st_size, chunk, connect_timeout_s, timeout_s)
        pace = Pace(view)
        with interrupt.graceful():
            figures = _run(job, path, pace)
            facts = figures.pop("answer")
            there = _second_pass(job, path, facts, pace) if digest and facts else None
            sha256 = _digest(fd, path, before.st_size, pace) if digest else None
            if there is not None and there != sha256:
                raise StudyError(f"{path}: what arrived at {job.peer} is not the file: SHA-256 {there}, the file's is {sha256}")
        after = os.fstat(fd)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise StudyError(f"{path} was written to while it was sent: nobody can say what arrived")
    finally:
        os.close(fd)
    receiver = {key: float(facts[key]) for key in ("bytes", "seconds", "cpu_s") if key in facts} if facts else None
    return Sent(
        path,
        format_address(host, port),
        via,
        chunk,
        before.st_size,
        sha256=sha256,
        verified=None if there is None else True,
        receiver=receiver,
        **figures,
    )


def open_file(path: str) -> int:
    """Open the regular file *path* for reading and return its descriptor; raises ConfigError."""
    try:
        mode = os.stat(path).st_mode  # before it is opened: opening a FIFO would wait for its writer
        if stat.S_ISDIR(mode):
            raise ConfigError(Problem(f"{path} is a directory, not a file"))
        if not stat.S_ISREG(mode):
            raise ConfigError(Problem(f"{path} is not a regular file"))
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check_size(fd)
        except BaseException:
            os.close(fd)
            raise
        return fd
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ConfigError(Problem(f"{path}: {reason_of(error)}")) from None


SCRIPTS_OF_2015 = {
    "copyclient": "in these words: --via slurp_send",
    "zerocopyclient": "in these words: --via sendfile --chunk 64KiB",
}


def _mechanism(name: str) -> type[Mechanism]:
    if is_file_form(name):
        try:
            own = mechanism_called(name)
            check_transfer(own, {})
        except ValueRefused as refused:
            raise ConfigError(Problem(refused.what, key="--via", remedy=refused.remedy)) from None
        return own
    known = [key for key, mechanism in MECHANISMS.items() if mechanism.moves_payload and not mechanism.encrypts]
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        encrypts = name in MECHANISMS and MECHANISMS[name].encrypts
        what = "needs a receiver that decrypts" if encrypts else "moves nothing" if name in MECHANISMS else "is not a mechanism"
        remedy = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
        raise ConfigError(Problem(f"{shown(name)} {what}", remedy=SCRIPTS_OF_2015.get(name, remedy)))
    missing = MECHANISMS[name].probe()
    if missing is not None:
        raise MechanismUnavailableError(name, missing.reason, missing.remedy)
    return MECHANISMS[name]


def _check_memory(mechanism: type[Mechanism], size: int, chunk: int) -> None:
    need, room = mechanism.private_bytes(size, chunk), available_memory() - MEMORY_RESERVE
    if need > max(room, _ALWAYS_ROOM):
        what = f"{mechanism.name} needs {human_bytes(need)} of memory for this, and {human_bytes(max(room, 0))} can be used"
        raise ConfigError(Problem(what, remedy="choose another mechanism, or a smaller file or chunk"))


def _run(job: Job, path: str, pace: Pace) -> dict[str, Any]:
    """Have a process of its own do *job*; return its figures."""
    sent = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    worker = spawn(job.mechanism.name, "sender", 0, lambda control: stream(control, job, sent), [job.fd], None)
    try:
        told = worker.receive(math.inf, "sending", lambda: pace.report("sending", sent[0], job.size))
    finally:
        worker.end()
    if "failed" not in told:
        return told
    if told["usage"]:
        raise ConfigError(told["failed"])
    raise StudyError(f"{path}: {told['failed']}")


def _second_pass(job: Job, path: str, facts: dict[str, Any], pace: Pace) -> str | None:
    """Send the file again, untimed, if the receiver offers it, and return the SHA-256 of what arrived; raises StudyError."""
    if facts.get("bytes") != job.size:
        raise StudyError(f"{path}: {job.size} bytes were sent, and {job.peer} says that {facts.get('bytes')} arrived")
    token = token_in(facts)
    if token is None:
        return None
    second = _run(replace(job, prefix=token), path, pace)["answer"]
    return second.get("sha256") if second else None


def _digest(fd: int, path: str, size: int, pace: Pace) -> str:
    sha = hashlib.sha256()
    buffer = page_aligned(4 << 20)
    offset = 0
    while offset < size:
        interrupt.check()
        try:
            got = os.preadv(fd, (buffer[: min(len(buffer), size - offset)],), offset)
        except OSError as error:
            raise StudyError(f"{path} was sent, but cannot be read again for its digest: {reason_of(error)}") from None
        if not got:
            raise StudyError(f"{path} ended at byte {offset} when it was read again, and had {size} bytes when it was sent")
        sha.update(buffer[:got])
        offset += got
        pace.report("digesting the file", offset, size)
    return sha.hexdigest()
