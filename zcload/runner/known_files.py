"""The files that a run sends, shared by the processes that measure it: made or digested once, then copied or opened again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from zcload.lane.payload import DigestProgress, Source, copy_memory, empty_memory, fill_memory, known_source, open_memory, open_source
from zcload.model.study import Point, Study

# A larger file stays the same for all replicates: a copy would take longer than what is measured meanwhile, and twice the memory.
# Its pages lie all over the memory: where each lies averages out, as it does not in a small file.
COPIED_BYTES = 512 << 20

Identity = tuple[str | None, int, str | None, str]


def identity(point: Point) -> Identity:
    """Return a key that is the same for points that send the same file."""
    return point.file_identity


@dataclass(slots=True)
class KnownFile:
    """A file that was opened before: its SHA-256, the stamp that `Source.check` compares, its path; *memory* is a file in memory."""

    memory: int | None = None
    digest: str | None = None
    stamp: tuple[int, int] | None = None
    path: str | None = None


@dataclass(slots=True)
class KnownFiles:
    """The files of a run by identity. Descriptors of files in memory keep their number in the processes that inherit them."""

    files: dict[Identity, KnownFile] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study) -> KnownFiles:
        """Return the files of *study* as they are before anything is made: those in memory are empty."""
        # A server finds its file by name in a directory that every replicate makes for itself.
        made = {identity(p) for p in study.points if p.file is None and p.dir is None} if not study.serves else set()
        return cls({each: KnownFile(memory=empty_memory()) for each in made})

    def descriptors(self) -> list[int]:
        """Return the descriptors that a process needs to inherit."""
        return [file.memory for file in self.files.values() if file.memory is not None]

    def open(self, point: Point, progress: DigestProgress, folder: Path | None) -> Source:
        """Open the file of *point*: made, digested, copied or just opened, as is needed. Raises what `open_source` does."""
        known = self.files.setdefault(identity(point), KnownFile())
        if known.memory is not None and known.digest is None:
            source = fill_memory(os.dup(known.memory), point.file_size, point.file_pages, progress)
        elif known.memory is not None and known.digest is not None and point.file_size <= COPIED_BYTES:
            source = copy_memory(known.memory, point.file_size, known.digest, point.file_pages)
        elif known.memory is not None and known.digest is not None:
            source = open_memory(os.dup(known.memory), known.digest)
        elif known.path is not None and known.digest is not None and _stamp(known.path) == known.stamp:
            return known_source(os.open(known.path, os.O_RDONLY | os.O_CLOEXEC), known.digest, known.path)
        else:
            source = open_source(point, progress, folder)
        known.digest, known.stamp = source.digest, source.stamp
        known.path = source.path if point.file is not None or point.dir is not None else None
        return source

    def close(self) -> None:
        """Close the files in memory."""
        close_all(self.descriptors())
        self.files.clear()


def close_all(descriptors: Iterable[int]) -> None:
    """Close *descriptors*."""
    for fd in descriptors:
        os.close(fd)


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_size, info.st_mtime_ns
