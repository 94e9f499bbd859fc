"""What killed runs of this user have left, and no living run owns: document roots, servers that use them, traces, control groups."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zcload.linux.locks import lock
from zcload.server.cgroup import left_groups
from zcload.server.root import PREFIX, SHARED_MEMORY, remove_root
from zcload.server.trace import TRACES

_ROOT = re.compile(rf"\.?{PREFIX}[0-9a-f]{{16}}")
_TRACE = re.compile(rf"{re.escape(TRACES)}\w{{8}}")
_GROUP = re.compile(rf"{PREFIX}[0-9a-f]{{16}}-server-\d+")
_YOUNG_S = 60.0  # a folder is without its lock for the moment in which it is made


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something at *path* that no living run owns; *what* it is."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path} ({self.what})"


def places() -> list[Path]:
    """Return the directories in which zcload makes folders of its own."""
    return list(dict.fromkeys((Path(SHARED_MEMORY), Path(tempfile.gettempdir()))))


def leftovers(where: Iterable[Path] | None = None) -> list[Leftover]:
    """Return what killed runs of this user have left in the directories *where* (default: those that zcload uses)."""
    found = []
    for path, fd in _unowned(places() if where is None else where):
        os.close(fd)
        found.append(Leftover(path, "trace of a server" if _TRACE.fullmatch(path.name) else "files of a run with servers"))
    return [*found, *(Leftover(path, "control group") for path in left_groups(_GROUP))]


def clear(where: Iterable[Path] | None = None) -> list[Leftover]:
    """Remove what `leftovers` finds, and end the servers that use it; return what was removed."""
    removed = []
    for path, fd in _unowned(places() if where is None else where):
        try:  # with the lock held: nobody else removes it at the same time
            if _TRACE.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
                removed.append(Leftover(path, "trace of a server"))
            else:
                remove_root(path)
                removed.append(Leftover(path, "files of a run with servers"))
        finally:
            os.close(fd)
    for path in left_groups(_GROUP):
        try:
            path.rmdir()
        except OSError:
            continue
        removed.append(Leftover(path, "control group"))
    return removed


def _unowned(where: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """Yield each folder of this user's in *where* that no living run owns, with a descriptor that locks it."""
    for place in where:
        try:
            names = os.listdir(place)
        except OSError:
            continue
        for name in names:
            if not (_ROOT.fullmatch(name) or _TRACE.fullmatch(name)):
                continue
            path = place / name
            try:
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                continue
            info = os.fstat(fd)
            draft = name.startswith(".") or _TRACE.fullmatch(name)
            young = draft and time.time() - info.st_mtime < _YOUNG_S
            if info.st_uid == os.geteuid() and stat.S_ISDIR(info.st_mode) and not young and lock(fd):
                yield path, fd
            else:
                os.close(fd)
