"""Write the small files of a study into the document root, for servers to serve."""

from __future__ import annotations

import os
from pathlib import Path

from zcload.errors import ConfigError, Problem, reason_of
from zcload.lane.small_files.catalogue import Catalogue, lay_out
from zcload.linux import interrupt
from zcload.linux.memory import PAGE
from zcload.model.study import Point


def name_of(prefix: str, index: int) -> str:
    """Return what file number *index* of a catalogue is called in the root."""
    return f"{prefix}{index:05d}.dat"


def write_files(root: Path, prefix: str, catalogue: Catalogue, fd: int) -> None:
    """Write every file of *catalogue*, parts of the open file *fd*, into *root*; raises ConfigError, Interrupted."""
    try:
        for index, (offset, size) in enumerate(zip(catalogue.offsets, catalogue.sizes, strict=True)):
            interrupt.check()
            made = os.open(root / name_of(prefix, index), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                os.fchmod(made, 0o644)  # whatever the umask: a server may run as somebody else
                while size:
                    written = os.write(made, os.pread(fd, min(size, 1 << 20), offset))
                    offset, size = offset + written, size - written
            finally:
                os.close(made)
    except OSError as error:
        what = f"the small files cannot be written into {root}: {reason_of(error)}"
        raise ConfigError(
            Problem(what, key="workload.transfer_size", remedy="a smaller file_size: the files are as large together")
        ) from None


def room_for_files(point: Point) -> int:
    """Return how many bytes the small files of *point* take in memory, 0 for a stream."""
    if point.transfer == "stream":
        return 0
    return sum(-(-size // PAGE) * PAGE for size in lay_out(point.sizes, point.file_size).sizes)
