"""The supervisor of one server: start it, adopt and reap its descendants, end them all on request or with the coordinator.

It outlives the coordinator: a closed control connection is the order to stop. Every descendant that its own parent leaves behind becomes
the supervisor's child (PR_SET_CHILD_SUBREAPER, prctl(2)), however often it has forked and whatever session it is in; so the tree is empty
exactly when the supervisor has no child left.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from zcload.errors import os_error, reason_of
from zcload.lane.worker import send_message
from zcload.linux.process import adopt_orphans, die_with_parent
from zcload.server.cgroup import enter_group, hold_new_group, remove_group
from zcload.server.session import Session
from zcload.server.tree import descendants

OUTPUT = "output.log"  # what the server says on stdout and stderr, in its directory
REAPED_NS, ENDED = 0, 1  # the words shared with the coordinator: CPU time of what was reaped, and how many that were
STOP = b"stop"
_KILL_S = 10.0  # for processes that have been killed: one that is stuck in the kernel must not hold the run for ever
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a server: all placeholders are filled in. *directory* is its own and is removed at the end."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    session: Path  # where to note what to end if this process is killed
    stop_signal: int
    grace_s: float
    cpus: frozenset[int] | None
    group: str  # the name of its control group
    enter: Callable[[], None] | None = None  # moves the process to the server's network


def supervise(control: socket.socket, start: Start, words: memoryview) -> None:
    """Run the supervisor: send {"started", "cgroup"} or {"refused"}; {"ended"} when the server's first process has; {"stopped"} last."""
    adopt_orphans()
    wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    held = hold_new_group(start.group)  # its descriptor stays open, and so locked, until this process ends
    group = held[0] if held else None
    try:
        try:
            server = _launch(start, group)
        except OSError as error:
            send_message(control, refused=reason_of(error), errno=error.errno)
            return
        session = Session.of(server, group)
        send_message(control, started=server, since=session.started, cgroup=session.group)
        poller = select.poll()
        poller.register(control, select.POLLIN)
        poller.register(wake, select.POLLIN)
        over = False
        while not over:
            for fd, _ in poller.poll():
                if fd == wake:
                    _empty(wake)
                    _reap(words, control, server)
                else:
                    over = _ordered(control)
        send_message(control, stopped=True, **_end(start, server, words, control))
    finally:
        if group:
            remove_group(group)
        shutil.rmtree(start.directory, ignore_errors=True)
        start.session.unlink(missing_ok=True)


def _ordered(control: socket.socket) -> bool:
    """Return whether the server is to end: somebody says so, or nobody is left to say anything."""
    try:
        return control.recv(64) in (STOP, b"")
    except OSError:
        return True


def _launch(start: Start, group: Path | None) -> int:
    """Fork and execute the server in a session of its own; return its pid. Raises OSError as execve(2) does."""
    supervisor = os.getpid()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        os.close(reader)
        _become(start, group, supervisor, writer)
    os.close(writer)
    with open(reader, "rb") as refusal:
        code = refusal.read()
    if code:
        os.waitpid(pid, 0)
        raise os_error(int(code))
    return pid


def _become(start: Start, group: Path | None, supervisor: int, writer: int) -> NoReturn:
    """Be the server, or write the number of the error that is in the way."""
    try:
        signal.set_wakeup_fd(-1)
        # What Python and the supervisor ignore, a program expects to have its default action.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        die_with_parent(supervisor)
        os.setsid()
        Session.of(os.getpid(), group).store(start.session)  # before there is anything that it could leave behind
        if group is not None:
            enter_group(group)
        if start.enter is not None:
            start.enter()
            die_with_parent(supervisor)  # a change of credentials undoes it: prctl(2)
        if start.cpus:
            os.sched_setaffinity(0, start.cpus)
        os.chdir(start.directory)
        null = os.open(os.devnull, os.O_RDONLY)
        output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.execvpe(start.argv[0], start.argv, dict(start.environment))
    except OSError as error:
        os.write(writer, str(error.errno or errno.EIO).encode())
    finally:
        os._exit(127)


def _empty(wake: int) -> None:
    try:
        os.read(wake, 4096)
    except BlockingIOError:
        pass


def _reap(words: memoryview, control: socket.socket, server: int) -> bool:
    """Take in every child that has ended, with its CPU time; return whether there are others."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if not pid:
            return True
        # What it has waited for itself is in its usage: wait4(2).
        words[REAPED_NS] += round(1e9 * (usage.ru_utime + usage.ru_stime))
        words[ENDED] += 1
        if pid == server:
            send_message(control, ended=status)


def _end(start: Start, server: int, words: memoryview, control: socket.socket) -> dict[str, object]:
    """End the whole tree: signal, grace, SIGKILL; return how that went."""
    began = time.monotonic()
    asked: set[int] = set()
    alive = True
    while time.monotonic() < began + start.grace_s:
        # The first process ends the others, as a server does; what it leaves behind is asked too.
        there = set(descendants(os.getpid()))
        for pid in ({server} if server in there else there) - asked:
            asked.add(pid)
            _signal(pid, start.stop_signal)
        alive = _reap(words, control, server)
        if not alive:
            break
        time.sleep(_LOOK_S)
    killed: set[int] = set()
    while alive and time.monotonic() < began + start.grace_s + _KILL_S:
        there = set(descendants(os.getpid()))
        for pid in there:
            _signal(pid, signal.SIGKILL)
        killed |= there
        alive = _reap(words, control, server)
        if alive:
            time.sleep(_LOOK_S)
    return {"killed": len(killed), "left": sorted(descendants(os.getpid())) if alive else [], "seconds": time.monotonic() - began}


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
