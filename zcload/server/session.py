"""End a server whose supervisor was killed: its control group, its session, and the processes that were last seen in its tree."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from zcload.host.process import ObservedProcess, read_proc
from zcload.linux.whole_file import write_whole
from zcload.server.cgroup import kill_group, remove_group

_KILL_S = 3.0  # for processes that have been killed to be gone
_LOOK_S = 0.02
_SESSION, _START = 3, 19  # fields of proc_pid_stat(5), numbered from the state on


@dataclass(frozen=True, slots=True)
class Session:
    """The session that a server's first process leads, known by its *pid* and when that started (ticks since boot), and its *group*."""

    pid: int
    started: int
    group: str | None

    @classmethod
    def of(cls, pid: int, group: Path | None) -> Session:
        """Return the session that process *pid* leads."""
        fields = _fields(pid)
        return cls(pid, int(fields[_START]) if fields else 0, str(group) if group else None)

    def store(self, path: Path) -> None:
        """Write it to *path*, for the process that may have to end it; raises OSError."""
        write_whole(path, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, path: Path) -> Session | None:
        """Return the session in the file *path*; None if that is damaged."""
        try:
            found = json.loads(path.read_bytes())
            return cls(int(found["pid"]), int(found["started"]), None if found["group"] is None else str(found["group"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def members(self) -> list[int]:
        """Return the pids of its processes.

        A pid is not given to another process while a session has its number (kernel/pid.c): if its leader is another process now,
        the session is another one too.
        """
        leader = _fields(self.pid)
        if leader and int(leader[_START]) != self.started:
            return []
        pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        return [pid for pid in pids if (fields := _fields(pid)) and int(fields[_SESSION]) == self.pid and fields[0] not in (b"Z", b"X")]

    def end(self, seen: Iterable[ObservedProcess] = ()) -> list[int]:
        """Kill all its processes, and those that were *seen*; return those that are still there after three seconds."""
        deadline = time.monotonic() + _KILL_S
        seen = list(seen)
        group = Path(self.group) if self.group else None
        while True:
            if group is not None:
                kill_group(group)
            left = {*self.members(), *(process.pid for process in seen if _lives(process))}
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            if not left or time.monotonic() > deadline:
                break
            time.sleep(_LOOK_S)
        if group is not None:
            remove_group(group)
        return sorted(left)


def _lives(process: ObservedProcess) -> bool:
    """Say whether *process* runs: what is read is never another one's with the same pid."""
    try:
        return process.state() not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def _fields(pid: int) -> list[bytes]:
    try:
        return read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return []
