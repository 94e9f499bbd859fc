"""Measure in a fresh process for each replicate, one after another, while this process sleeps.

Two processes differ in ways in which the generations of one process do not: where their memory lies, how their dictionaries are laid out,
which pages their file has. Intervals over replicates cover these differences; those over generations do not.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection

from zcload.errors import StudyError, reason_of
from zcload.host.process_limits import process_refused
from zcload.lane.worker import describe_end, process_state
from zcload.linux import interrupt
from zcload.linux.patience import Patience
from zcload.model.progress import Progress, Viewer
from zcload.model.study import Study
from zcload.runner import limits
from zcload.runner.known_files import KnownFiles
from zcload.runner.measurer import Host
from zcload.runner.point_state import PointState
from zcload.runner.replicate import SIGNALS, Done, Task
from zcload.store.writer import Recorder

_SET_UP_SHARE = 0.5  # of what is measured: a replicate that takes longer to come up measures more rounds
_MOST_ROUNDS = 12
_LOOK_S = 60.0  # between two looks at a replicate that says nothing: they take 30 us a minute. A signal or its end wakes at once
_END_S = 10.0  # a replicate that was asked to end takes its lanes down within this
# The modules that this process would import, and no others: neither the current directory nor PYTHONPATH of the user's decides.
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from zcload.runner.replicate import main; main(*map(int, sys.argv[2:]))"


class FreshReplicates:
    """Measures each cluster in what `_run` sets up afresh: as many rounds in each as make its set-up a part of what is measured."""

    def __init__(self, study: Study, first: int) -> None:
        self._study, self._number = study, first
        self._set_up_s = self._round_s = 0.0  # of the last replicate: what it took beside its rounds, and one round

    def measure(self, states: Sequence[PointState]) -> None:
        rounds = self._rounds(states)
        before = {state.index: state.spent_s for state in states}
        fresh = {state.index for state in states if not state.prepared}
        took_s = self._run(states, rounds)
        measured_s = sum(state.spent_s - before[state.index] for state in states)
        self._round_s = measured_s / rounds
        if not fresh:  # what preparing takes is extra; what a replicate takes is part of the point's time
            self._set_up_s = max(0.0, took_s - measured_s)
            for state in states:
                state.set_up_s = self._set_up_s / len(states)
                state.spent_s += state.set_up_s

    def check(self, states: Sequence[PointState]) -> None:
        self._run(states, 0)

    def _rounds(self, states: Sequence[PointState]) -> int:
        """Return how many rounds the next replicate measures: so many that its set-up is a part of them, if enough replicates fit."""
        if not self._round_s or not self._set_up_s:
            return 1
        stop = self._study.stop
        wanted = math.ceil(self._set_up_s / (_SET_UP_SHARE * self._round_s))
        left_s = min(stop.max_time_s - state.spent_s for state in states) * len(states)
        missing = max(1, stop.replicates - min(state.clusters for state in states))
        fit = int((left_s / missing - self._set_up_s) / self._round_s)
        return max(1, min(wanted, fit, _MOST_ROUNDS))

    def _run(self, states: Sequence[PointState], rounds: int) -> float:
        """Measure *rounds* of *states*, or with 0 the check of their windows, and bring them up to date; return how long it took (seconds).

        Raises the error that ended it early, with the states as far as they came.
        """
        raise NotImplementedError


class Replicates(FreshReplicates):
    """Measures each cluster in a process of its own."""

    def __init__(self, study: Study, host: Host, seed: str, recorder: Recorder, view: Viewer, first: int = 0) -> None:
        super().__init__(study, first)
        self._host, self._seed, self._recorder, self._view = host, seed, recorder, view
        self._files = KnownFiles.of(study)

    def close(self) -> None:
        self._files.close()

    def _run(self, states: Sequence[PointState], rounds: int) -> float:
        """Have a fresh process do a task for *states* and bring them up to date."""
        number, self._number = self._number, self._number + 1
        task = Task(self._study, self._host, f"{self._seed}, replicate {number}", number, states, self._files, rounds)
        done = self._conversation(task)
        for state, now in zip(states, done.states, strict=True):
            state.update(now)
        self._files = done.files
        if done.error is not None:
            raise done.error
        return done.took_s

    def _conversation(self, task: Task) -> Done:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise StudyError(f"replicate {task.number}: its control socket cannot be made: {reason_of(error)}") from None
        # Its own process group: a Ctrl-C at the terminal reaches this process alone, which passes it on once.
        with theirs:
            descriptors = [theirs.fileno(), self._recorder.fileno(), *task.files.descriptors()]
            numbers = [str(n) for n in (theirs.fileno(), self._recorder.fileno(), os.getpid())]
            command = [sys.executable, "-P", "-c", _BOOT, json.dumps([path or os.getcwd() for path in sys.path]), *numbers]
            # Both signals wait until the replicate can take them in order: it inherits the mask.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            try:
                process = subprocess.Popen(command, pass_fds=descriptors, stdin=subprocess.DEVNULL, process_group=0)
            except OSError as error:
                ours.close()
                raise StudyError(f"replicate {task.number}: the process cannot be started: {process_refused(error)}") from None
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        connection = Connection(ours.detach())
        try:
            connection.send((task, str(self._recorder.directory)))
            return self._listen(connection, process, limits.replicate_s(self._study, task.states, task.rounds))
        except (EOFError, ConnectionError):
            process.wait()
            interrupt.check()
            raise StudyError(f"replicate {task.number} (pid {process.pid}) {describe_end(process.returncode)}") from None
        finally:
            connection.close()
            if process.poll() is None:
                self._end(process)

    def _listen(self, connection: Connection, process: subprocess.Popen[bytes], limit_s: float) -> Done:
        """Show each progress that the replicate sends until it sends what came of its task; pass a signal on to it once.

        Raises StudyError if it has not ended after *limit_s*, in which this process was not stopped: it watches its own limits, unless
        somebody has stopped it alone.
        """
        passed_on, patience = False, Patience(limit_s, _LOOK_S)
        while True:
            if interrupt.requested is not None and not passed_on:
                process.send_signal(interrupt.requested)
                passed_on = True
            if passed_on:
                if not connection.poll(_END_S):
                    raise EOFError
            else:
                interrupt.wait(connection.fileno(), min(_LOOK_S, max(0.0, patience.look())))
                if not connection.poll(0):
                    if patience.over():
                        state = process_state(process.pid)
                        os.kill(process.pid, signal.SIGKILL)
                        raise StudyError(f"replicate (pid {process.pid}): not done after {limit_s:.0f} s, its limit; process state {state}")
                    continue
            message = connection.recv()
            if isinstance(message, Done):
                return message
            assert isinstance(message, Progress)
            if not passed_on:
                self._view(message)
            connection.send(None)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a replicate that has said its last; kill one that does not end."""
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
