"""A worker process: forked by the coordinator, killed with it, and sent messages only while no window is open."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from zcload.errors import StudyError, ZcloadError, reason_of
from zcload.host.process_limits import process_refused
from zcload.linux import interrupt
from zcload.linux.patience import Patience
from zcload.linux.process import die_with_parent, ended_within


class WorkerError(StudyError):
    """A worker failed. *consequence* says that it only noticed the end of another worker: its connection broke."""

    def __init__(self, message: str, consequence: bool = False) -> None:
        super().__init__(message)
        self.consequence = consequence


Body = Callable[[socket.socket], None]
_LOOK_S = 0.05  # between looks at a worker that says nothing


@dataclass(slots=True)
class Worker:
    """The coordinator's end of one worker. *lane* and *role* name it in messages."""

    lane: str
    role: str
    index: int
    pid: int
    control: socket.socket
    status: int | None = None  # the wait status, once it has ended
    error: WorkerError | None = None  # what it said of its failure, if it did
    inbox: deque[dict[str, Any]] = field(default_factory=deque)  # what it said that nobody has asked for yet

    def __str__(self) -> str:
        return f"lane {self.lane}, {self.role} {self.index} (pid {self.pid})"

    def alive(self) -> bool:
        """Return whether the process still runs; reaps it if it does not."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is None

    def ends_within(self, seconds: float) -> bool:
        """Wait until the process has ended, for *seconds* at most; return whether it has, and reap it then."""
        return not self.alive() or (ended_within(self.pid, seconds) and not self.alive())

    @property
    def signalled(self) -> bool:
        """Whether a signal has ended the process."""
        return self.status is not None and os.WIFSIGNALED(self.status)

    def _collect(self) -> None:
        """Take in all that the worker has said: messages to be told later, in order, and its failure if it told of one."""
        while True:
            try:
                packet = self.control.recv(1 << 20, socket.MSG_DONTWAIT)
            except OSError:
                return
            if not packet:
                return
            try:
                message = json.loads(packet)
            except ValueError:
                message = None
            if not isinstance(message, dict):
                self.error = self.error or WorkerError(f"{self}: said {packet[:40]!r}, which is no message")
            elif "error" in message:
                self.error = self.error or WorkerError(f"{self}: {message['error']}", consequence=bool(message.get("consequence")))
            else:
                self.inbox.append(message)

    def poll(self) -> dict[str, Any] | None:
        """Return the next message that has arrived, None if there is none; raises WorkerError if the worker reported an error."""
        self._collect()
        if self.inbox:
            return self.inbox.popleft()
        if self.error is not None:
            raise self.error
        return None

    def failure(self) -> WorkerError | None:
        """Return what went wrong with the worker, if it reported an error or has ended; None while it is well."""
        self._collect()
        if self.error is not None or self.alive():
            return self.error
        self._collect()  # its last words may have come between the look and the end
        # One that left in peace saw its connection end: whoever ended it is to be named.
        return self.error or WorkerError(
            f"{self}: {describe_end(os.waitstatus_to_exitcode(self.status or 0))}", consequence=not self.status
        )

    def receive(self, timeout_s: float, what: str, meanwhile: Callable[[], None] | None = None) -> dict[str, Any]:
        """Wait for a message, calling *meanwhile* at every poll.

        Raises WorkerError if the worker fails, ends, or sends nothing for *timeout_s*, Interrupted on a signal.
        """
        patience = Patience(timeout_s)
        while True:
            message = self.poll()
            if message is not None:
                return message
            interrupt.check()
            if not self.alive():
                message = self.poll()  # its last words may have come between the look and the end
                if message is not None:
                    return message
                raise self.failure() or WorkerError(f"{self}: ended without a word")
            if patience.over():
                raise WorkerError(f"{self}: no answer for {timeout_s:.0f} s ({what}); process state {process_state(self.pid)}")
            if meanwhile:
                meanwhile()
            interrupt.wait(self.control.fileno(), _LOOK_S)

    def end(self) -> None:
        """Kill the process if it still runs, and reap it."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)
        self.control.close()


def describe_end(code: int) -> str:
    """Return how a process ended whose exit code is *code*; a negative code is that of a signal."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exited with status {code} in the middle of the run"


def process_state(pid: int) -> str:
    """Return the one-letter state of a process and, where the kernel tells, the function it waits in: for messages."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            state = stat.read().rpartition(b")")[2].split()[0].decode()
        with open(f"/proc/{pid}/wchan", "rb") as wchan:
            return f"{state} in {wchan.read().decode() or '?'}"
    except OSError:
        return "unknown"


def spawn(lane: str, role: str, index: int, body: Body, keep: Iterable[int], cpus: frozenset[int] | None, outlives: bool = False) -> Worker:
    """Fork a worker that runs *body(control)* on *cpus* with no descriptor open but standard ones and *keep*.

    It dies with the coordinator, unless it *outlives* it to clean up: then it must end when *control* is closed.
    """
    coordinator = os.getpid()
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError as error:
        raise StudyError(f"lane {lane}, {role} {index}: its control socket cannot be made: {reason_of(error)}") from None
    try:
        pid = os.fork()
    except OSError as error:
        ours.close()
        theirs.close()
        raise StudyError(f"lane {lane}, {role} {index}: the process cannot be started: {process_refused(error)}") from None
    if not pid:
        _run(body, theirs, None if outlives else coordinator, {*keep, theirs.fileno()}, cpus)
    theirs.close()
    return Worker(lane, role, index, pid, ours)


def _run(body: Body, control: socket.socket, coordinator: int | None, keep: set[int], cpus: frozenset[int] | None) -> NoReturn:
    """Be the worker: whatever happens, leave by _exit, so that nothing of the coordinator's is unwound a second time."""
    code = 1
    try:
        interrupt.forget_in_child()
        if coordinator is None:
            os.setsid()  # what ends the coordinator's session must not end this one
        else:
            die_with_parent(coordinator)
        gc.disable()  # a collection in a window would be the collector's time, not the mechanism's
        _close_others(keep)
        if cpus:
            os.sched_setaffinity(0, cpus)
        body(control)
        code = 0
    except ZcloadError as error:
        send_message(control, error=str(error), consequence=isinstance(error, StudyError) and error.consequence)
    except OSError as error:
        send_message(control, error=f"{type(error).__name__}: {reason_of(error)}", consequence=isinstance(error, ConnectionError))
    except MemoryError:
        send_message(control, error=f"not enough memory{_place()}")
    except BaseException as error:
        send_message(control, error=f"{type(error).__name__}: {error}{_place()}")
    finally:
        os._exit(code)


def _place() -> str:
    """Name the innermost frame of the current exception: an unexpected error in a worker must be findable without a traceback."""
    trace = sys.exc_info()[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""


def _close_others(keep: set[int]) -> None:
    """Close every descriptor but the standard ones and *keep*: another lane's socket held here would hide its end of stream."""
    low = 3
    for fd in sorted(fd for fd in keep if fd >= 3):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def send_message(control: socket.socket, **message: Any) -> None:
    """Send a message from the worker to the coordinator; do not fail if the coordinator has ended."""
    try:
        control.send(json.dumps(message).encode())
    except OSError:
        pass
