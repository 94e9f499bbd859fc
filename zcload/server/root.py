"""The document root: a directory with the files of a study, removed at the end of the run, however it ends.

A janitor process removes it when the last process that needs it has ended: the coordinator, and the supervisors of servers.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.lane.small_files.catalogue import Catalogue, lay_out
from zcload.lane.worker import Worker, spawn
from zcload.linux import interrupt
from zcload.linux.locks import lock
from zcload.linux.memory import PAGE
from zcload.linux.pagecache import memory_file_system
from zcload.model.study import Point
from zcload.model.units import human_bytes
from zcload.server.session import Session

SHARED_MEMORY = "/dev/shm"  # where Linux systems mount a tmpfs: shm_overview(7)
_END_S = 10.0
_SESSION = ".session"
PREFIX = "zcload-"


def place_of_roots() -> str:
    """Return the directory in which roots are made: in memory where there is any that has names."""
    if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) and memory_file_system(SHARED_MEMORY):
        return SHARED_MEMORY
    return tempfile.gettempdir()


def check_room(wanted: int) -> None:
    """Raise ConfigError if files of *wanted* bytes in all do not fit where roots are made."""
    place = place_of_roots()
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize
    if wanted > free:
        what = f"{human_bytes(wanted)} of files that servers can open do not fit into {place}: {human_bytes(free)} are free"
        raise ConfigError(Problem(what, key="workload.file_size", remedy="a smaller file_size, or workload.dir on another file system"))


class DocumentRoot:
    """The directory *root*, for the files, and beside it one directory for each server."""

    def __init__(self) -> None:
        """Make it; raises ConfigError."""
        name = f"{PREFIX}{secrets.token_hex(8)}"
        self.base = Path(place_of_roots()) / name
        self.root = self.base / "root"
        self.group = self.base.name  # a name of the run's own, for control groups
        self._made = 0
        self.whole_only: set[str] = set()  # servers that were found to ignore ranges
        reader, self.life_line = os.pipe2(os.O_CLOEXEC)
        self._lock = -1
        try:
            self._lock = make_locked(self.base)
            # A server that root starts may give up its privileges and must find the file then; the name is not to be guessed.
            self.base.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self.root.mkdir()
            self.root.chmod(0o755)
            base = self.base
            self._janitor: Worker = spawn(
                "files", "janitor", 0, lambda control: _wait_and_remove(reader, base), [reader, self._lock], None, outlives=True
            )
        except (OSError, StudyError) as error:
            os.close(self.life_line)
            if self._lock >= 0:
                os.close(self._lock)
            shutil.rmtree(self.base, ignore_errors=True)
            if isinstance(error, StudyError):
                raise
            raise ConfigError(Problem(f"cannot make {self.root}: {reason_of(error)}", key="variant")) from None
        finally:
            os.close(reader)

    @property
    def life_lines(self) -> tuple[int, int]:
        """The descriptors that a process keeps open if it needs the directory and outlives the coordinator."""
        return self.life_line, self._lock

    def directory(self) -> Path:
        """Make a directory for one start of a server; its supervisor removes it."""
        self._made += 1
        made = self.base / f"server-{self._made}"
        made.mkdir(0o700)  # its files and what it says may hold secrets
        return made

    def cut(self, name: str, size: int) -> Path | None:
        """Return a file of the same *name* with the first *size* bytes, in another directory; None if there is no room for it."""
        made = self.base / f"first-{size}" / name
        if made.exists():
            return made
        room = os.statvfs(self.base)
        if size > room.f_bavail * room.f_frsize:
            return None
        try:
            made.parent.mkdir(exist_ok=True)
            made.parent.chmod(0o755)
            with open(self.root / name, "rb") as source, open(made, "wb") as target:
                while (at := target.tell()) < size:
                    target.seek(os.sendfile(target.fileno(), source.fileno(), at, size - at), os.SEEK_CUR)
            made.chmod(0o444)
        except OSError as error:
            raise StudyError(f"cannot make {made}: {reason_of(error)}") from None
        return made

    def publish(self, path: str) -> str:
        """Make the user's file at *path* reachable in the root; return its name there."""
        target = Path(path).absolute()
        link, number = self.root / target.name, 1
        while link.is_symlink() and link.readlink() != target:
            link, number = self.root / f"{number}-{target.name}", number + 1
        if not link.is_symlink():
            link.symlink_to(target)
        return link.name

    def close(self) -> None:
        """Remove it all; harmless when called twice."""
        if self.life_line < 0:
            return
        os.close(self.life_line)
        os.close(self._lock)
        self.life_line = self._lock = -1
        self._janitor.ends_within(_END_S)
        self._janitor.end()
        remove_root(self.base)  # had somebody killed the janitor


def _wait_and_remove(reader: int, base: Path) -> None:
    while os.read(reader, 64):
        pass
    remove_root(base)


def remove_root(base: Path) -> None:
    """End the servers that use the document root *base* and have no supervisor any more, and remove it."""
    for path in base.glob(f"*{_SESSION}"):
        if (session := Session.load(path)) is not None:
            session.end()
    shutil.rmtree(base, ignore_errors=True)


def session_of(directory: Path) -> Path:
    """Return the file that names the session of the server with this *directory*."""
    return directory.with_name(directory.name + _SESSION)


def make_locked(folder: Path) -> int:
    """Make *folder*, locked before it has its name; return the descriptor that holds the lock. Raises OSError.

    A folder without a lock is one that no living process owns.
    """
    draft = folder.with_name(f".{folder.name}")
    draft.mkdir(0o700)
    fd = -1
    try:
        fd = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        lock(fd)
        draft.rename(folder)
    except BaseException:
        if fd >= 0:
            os.close(fd)
        draft.rmdir()
        raise
    return fd


@dataclass(frozen=True, slots=True)
class ServedFile:
    """The file that servers serve: it is called *name* in *root* and *path* on the host, and has *size* bytes.

    *files* is what the names of the point's small files begin with, None for a stream. A server that ignores ranges gets a file of
    *enough* bytes instead, where that is not None and less; *cut* says that this is one.
    """

    root: DocumentRoot
    name: str
    path: str
    size: int
    files: str | None = None
    enough: int | None = None
    cut: bool = False

    def for_whole_answers(self) -> ServedFile:
        """Return the file that a server gets that ignores ranges: a cut one, where there may be one and room for it; raises StudyError."""
        if self.cut or self.files is not None or self.enough is None or self.enough >= self.size:
            return self
        path = self.root.cut(self.name, self.enough)
        return self if path is None else replace(self, path=str(path), size=self.enough, cut=True)


def publish(root: DocumentRoot, path: str, size: int, files: str | None = None, enough: int | None = None) -> ServedFile:
    """Make the file at *path* reachable for servers in *root*; the names of its small *files* there begin with that.

    A server that ignores ranges gets *enough* bytes of a file that zcload has made there. A file of the user's is served as it is.
    """
    made = Path(path).parent == root.root
    name = Path(path).name if made else root.publish(path)
    return ServedFile(root, name, str(root.root / name), size, files, enough if made else None)


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
