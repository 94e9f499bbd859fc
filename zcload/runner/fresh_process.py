"""Run a function of zcload in a fresh process, hand it an order, and show the progress that it sends until its outcome comes.

The process is a new interpreter, so nothing of this one is in it: no thread, no lock, no memory. It dies with the thread that started it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from zcload.errors import ConfigError, Interrupted, StudyError, ZcloadError, reason_of
from zcload.host.process_limits import process_refused
from zcload.lane.worker import describe_end, process_state
from zcload.linux import interrupt
from zcload.linux.patience import Patience
from zcload.linux.process import die_with_parent, ended_within
from zcload.model.progress import Progress, Viewer

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOK_S = 60.0  # between two looks at a process that says nothing: each takes some 40 us of CPU. A signal or its end wakes at once
_END_S = 10.0  # after its outcome the process ends within this
_SHOWN_EVERY_S = 0.5  # showing progress wakes the other process, though between windows
# The modules that this process would import, and no others: neither the current directory nor PYTHONPATH of the user's decides.
# Imports only make objects: a garbage collector that looks for dead ones among them takes a tenth of the time to start.
_BOOT = (
    "import gc, json, sys; gc.disable(); sys.path[:] = json.loads(sys.argv[1]); "
    "from zcload.runner.fresh_process import leave; from zcload.runner.{module} import main; main(*map(int, sys.argv[2:])); leave()"
)


def converse(name: str, module: str, order: object, view: Viewer, *, limit_s: float, end_s: float, inherited: Sequence[int] = ()) -> Any:
    """Start a process that calls `main` of zcload.runner.*module*, send it *order*, show its progress, and return its outcome.

    `main` gets the descriptor of its socket, the pid of this process, and the descriptors *inherited*. *name* stands for it in errors.
    A signal is passed on to it once; then it has *end_s* seconds. Raises StudyError if it ends early or is not done after *limit_s*.
    """
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise StudyError(f"{name}: its control socket cannot be made: {reason_of(error)}") from None
    with theirs:
        numbers = [str(n) for n in (theirs.fileno(), os.getpid(), *inherited)]
        paths = json.dumps([path or os.getcwd() for path in sys.path])
        command = [sys.executable, "-P", "-c", _BOOT.format(module=module), paths, *numbers]
        # Both signals wait until the process can take them in order: it inherits the mask.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            # Its own process group: a Ctrl-C at the terminal reaches this process alone, which passes it on once.
            process = subprocess.Popen(command, pass_fds=[theirs.fileno(), *inherited], stdin=subprocess.DEVNULL, process_group=0)
        except OSError as error:
            ours.close()
            raise StudyError(f"{name}: the process cannot be started: {process_refused(error)}") from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    connection = Connection(ours.detach())
    try:
        connection.send(order)
        return _listen(name, connection, process, view, limit_s, end_s)
    except (EOFError, ConnectionError):
        _end(process)  # which may be stopped, and then takes no signal but SIGKILL
        interrupt.check()
        raise StudyError(f"{name} (pid {process.pid}) {describe_end(process.returncode)}") from None
    finally:
        connection.close()
        if process.poll() is None:
            _end(process)


def _listen(name: str, connection: Connection, process: subprocess.Popen[bytes], view: Viewer, limit_s: float, end_s: float) -> Any:
    """Show each progress that the process sends until it sends something else, and return that; pass a signal on to it once.

    Raises StudyError if it has not ended after *limit_s*, in which this process was not stopped: it watches its own limits, unless
    somebody has stopped it alone.
    """
    passed_on, patience = False, Patience(limit_s, _LOOK_S)
    while True:
        if interrupt.requested is not None and not passed_on:
            process.send_signal(interrupt.requested)
            passed_on = True
        if passed_on:
            if not connection.poll(end_s):
                raise EOFError
        else:
            interrupt.wait(connection.fileno(), min(_LOOK_S, max(0.0, patience.look())))
            if not connection.poll(0):
                if patience.over():
                    state = process_state(process.pid)
                    os.kill(process.pid, signal.SIGKILL)
                    raise StudyError(f"{name} (pid {process.pid}): not done after {limit_s:.0f} s, its limit; process state {state}")
                continue
        message = connection.recv()
        if not isinstance(message, Progress):
            return message
        if not passed_on:
            view(message)
        connection.send(None)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has said its last; kill one that does not end."""
    if not ended_within(process.pid, _END_S):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()


# In the fresh process.


def conversation(control: int, starter: int) -> tuple[Connection, Any]:
    """Return the connection to the process *starter*, which this one dies with, and the order that it sends over the socket *control*.

    From here on signals arrive: the caller is within `interrupt.graceful`.
    """
    gc.enable()  # everything is imported
    die_with_parent(starter)
    interrupt.install()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    connection = Connection(control)
    return connection, connection.recv()


def viewer_of(connection: Connection) -> Viewer:
    """Return a viewer that has the process which started this one show a progress, and waits until it has."""
    phase, shown_s = "", 0.0

    def view(progress: Progress) -> None:
        nonlocal phase, shown_s
        now = time.monotonic()
        if progress.phase == phase and now - shown_s < _SHOWN_EVERY_S:
            return
        phase, shown_s = progress.phase, now
        connection.send(progress)
        connection.recv()

    return view


def sendable(error: ZcloadError | None) -> ZcloadError | None:
    """Return *error* as a kind that can be pickled: its text is what is needed."""
    return error if error is None or isinstance(error, (ConfigError, Interrupted)) else StudyError(str(error))


def leave() -> NoReturn:
    """End this process at once, with the code 0: all is sent, and an interpreter takes some 30 ms to free its objects one by one."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the descriptor was closed
        stream.flush()
    os._exit(0)
