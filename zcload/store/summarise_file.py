"""Derive the summary of a windows.jsonl; that of a long one by two processes, each with every second point.

A fresh process, not a fork: whoever uses the Python API may have threads.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import subprocess
import sys
from pathlib import Path
from typing import Literal

from zcload.analysis.events import Events
from zcload.analysis.point_summary import PointAnalysis
from zcload.analysis.summary import OF_THE_RUN, analyse, conclude, sort, summarise
from zcload.errors import ConfigError
from zcload.linux import interrupt
from zcload.linux.collector import no_collection
from zcload.linux.process import die_with_parent
from zcload.model.records.lines import Header
from zcload.model.records.summary import Summary
from zcload.store.stored_lines import each_record, read_header

LONG_BYTES = 32 << 20  # some 60,000 windows, which take one process about 3 s; another takes 0.3 s to start
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from zcload.store.summarise_file import helper; helper(sys.argv[2], int(sys.argv[3]))"
)

Share = tuple[Header, Events, list[PointAnalysis]]


def summarise_file(path: Path, long_bytes: int = LONG_BYTES) -> Summary:
    """Return the summary of the windows.jsonl at *path*, of which more than *long_bytes* are divided.

    Raises ConfigError, and TimeLimitExceeded where the phase has a limit.
    """
    with no_collection():
        return _summarised(path, long_bytes)


def _summarised(path: Path, long_bytes: int) -> Summary:
    points = len(read_header(path)["points"])
    if points < 2 or path.stat().st_size < long_bytes or len(os.sched_getaffinity(0)) < 2:
        return summarise(each_record(path))
    command = [sys.executable, "-P", "-c", _BOOT, json.dumps([place or os.getcwd() for place in sys.path])]
    command += [str(path.absolute()), str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0) as other:
        assert other.stdout is not None
        try:
            header, run, even = _share(path, 0)
            odd = pickle.loads(_all_of(other.stdout.fileno()))
        except (EOFError, pickle.UnpicklingError):  # killed, or out of memory: what it knew has to be found here
            odd = _share(path, 1)
        except BaseException:
            other.kill()
            raise
    if isinstance(odd, ConfigError):
        raise odd
    return conclude(header, run, sorted([*even, *odd[2]], key=lambda point: point.index))


def _all_of(fd: int) -> bytes:
    """Read *fd* to its end; raises TimeLimitExceeded if the limit of the phase is over before."""
    parts = []
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while True:
        if not poller.poll(1000):
            interrupt.check_limit()
        elif part := os.read(fd, 1 << 20):
            parts.append(part)
        else:
            return b"".join(parts)


def _share(path: Path, first: Literal[0, 1]) -> Share:
    """Return the header, what was recorded of the run as a whole, and every second point from *first* on."""
    numbers = range(first, len(read_header(path)["points"]), 2)
    header, by_point = sort(each_record(path, first))
    return header, by_point[OF_THE_RUN].events, analyse(header, by_point, numbers)


def helper(path: str, starter: int) -> None:
    """Be the other process: write the odd points, or what is wrong with their lines, to stdout; die with *starter*."""
    die_with_parent(starter)
    found: Share | ConfigError
    with no_collection():
        try:
            found = _share(Path(path), 1)
        except ConfigError as error:
            found = error
    pickle.dump(found, sys.stdout.buffer)
