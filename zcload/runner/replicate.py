"""The process of one replicate: fresh memory, a fresh file, fresh sockets. It does one task and sends back the outcome."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from zcload.errors import ZcloadError
from zcload.linux import interrupt
from zcload.linux.collector import quiet_collector
from zcload.linux.descriptors import room_for_files
from zcload.model.progress import Viewer
from zcload.model.study import Study
from zcload.runner.block import Emit
from zcload.runner.ending import ending
from zcload.runner.fresh_process import conversation, sendable, viewer_of
from zcload.runner.known_files import KnownFiles
from zcload.runner.measurer import Host, InProcess
from zcload.runner.needs import open_files
from zcload.runner.point_state import PointState
from zcload.store.writer import Recorder


@dataclass(frozen=True, slots=True)
class Task:
    """What a replicate is to do: *rounds* of one generation of each of the *states*; 0: the check of their windows."""

    study: Study
    host: Host
    seed: str
    number: int
    states: Sequence[PointState]
    files: KnownFiles
    rounds: int


@dataclass(slots=True)
class Done:
    """The outcome of a task: states and files as they are now, and the error that ended it early."""

    states: Sequence[PointState]
    files: KnownFiles
    error: ZcloadError | None


def perform(task: Task, emit: Emit, view: Viewer) -> Done:
    """Do *task* in this process. An error is in the outcome, with the states that were reached."""
    with ending() as end, ExitStack() as stack:
        measurer = InProcess(task.study, task.host, random.Random(task.seed), emit, view, replicate=task.number, files=task.files)
        stack.callback(measurer.close)
        if task.rounds:
            measurer.measure(task.states, task.rounds)
        else:
            measurer.check(task.states)
    return Done(task.states, task.files, end.error)


def main(control: int, starter: int, record: int, *files: int) -> None:
    """Run the process: read the task from the inherited socket *control*, append records to *record*, send the outcome.

    *starter* is the process that started this one; the task knows which *files* it has inherited.
    """
    with interrupt.graceful():
        connection, (task, directory) = conversation(control, starter)
        emit = Recorder.inherited(Path(directory), record).write
        affinity = os.sched_getaffinity(0)
        with quiet_collector(), room_for_files(open_files(task.study)):
            done = perform(task, emit, viewer_of(connection))
        os.sched_setaffinity(0, affinity)
        done.error = sendable(done.error)
        connection.send(done)
