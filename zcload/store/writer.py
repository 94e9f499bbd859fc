"""Write a result directory: windows.jsonl as it is measured, then summary.json."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from zcload.errors import ConfigError, Problem, StudyError, os_error, reason_of
from zcload.linux.locks import holder, lock
from zcload.linux.whole_file import write_whole
from zcload.store.encoding import SUMMARY, WINDOWS, encode_line, encode_summary

_PIECE = 1 << 16  # bytes read at once, from the end, to find the last line end


class Recorder:
    """Write records as they come, and keep none: who needs them reads the file. One write(2) a record, made while no window is open.

    The file is locked as long as a process of the run has it open: nobody else can append to it meanwhile.
    """

    def __init__(self, directory: Path, header: Mapping[str, object]) -> None:
        """Create *directory* and in it a windows.jsonl that begins with *header*; raises ConfigError.

        The file is there with its header or not at all: no moment to be killed in leaves one that holds nothing.
        """
        self.directory = directory
        partial = directory / f".{WINDOWS}.{secrets.token_hex(8)}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                lock(self._fd)  # before the file has a name that others could open
                self.write(header)
                _publish(partial, directory / WINDOWS)
            except BaseException:
                self.close()
                raise
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(Problem(f"cannot write to {directory}: {reason_of(error)}", key="--out")) from None

    @classmethod
    def reopen(cls, directory: Path) -> Recorder:
        """Go on with the windows.jsonl in *directory*: a torn last line is cut off first.

        Raises ConfigError if there is none, or if another process writes to it.
        """
        recorder = cls.__new__(cls)
        recorder.directory, path = directory, directory / WINDOWS
        try:
            recorder._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            what, remedy = f"holds no {WINDOWS}: there is no run to resume", "give the directory of a result: zcload history lists them"
            raise ConfigError(Problem(what, file=str(directory), key="--resume", remedy=remedy)) from None
        except OSError as error:
            raise ConfigError(Problem(f"cannot write to {path}: {reason_of(error)}", key="--resume")) from None
        try:
            if not lock(recorder._fd):
                raise ConfigError(_written_by_another(directory, holder(recorder._fd)))
            os.ftruncate(recorder._fd, _whole_lines(recorder._fd))
        except BaseException as error:
            recorder.close()
            if isinstance(error, OSError):
                raise ConfigError(Problem(f"cannot write to {path}: {reason_of(error)}", key="--resume")) from None
            raise
        return recorder

    @classmethod
    def inherited(cls, directory: Path, fd: int) -> Recorder:
        """Append to the windows.jsonl in *directory* that the process which started this one has open as *fd*."""
        recorder = cls.__new__(cls)
        recorder.directory, recorder._fd = directory, fd
        return recorder

    def fileno(self) -> int:
        """Return the descriptor of the file, for a process that is to append to it too."""
        return self._fd

    def write(self, record: Mapping[str, object]) -> None:
        """Append *record*; raises StudyError if it cannot be stored, on a full disk for instance: the file ends as before."""
        line = encode_line(record)
        try:
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError as error:
            path = self.directory / WINDOWS
            with suppress(OSError):  # a device, or a disk that is gone
                os.ftruncate(self._fd, _whole_lines(self._fd))
            kept = " (what is there is readable)" if path.exists() else ""  # without its header it has no name yet
            raise StudyError(f"cannot write to {path}: {reason_of(error)}{kept}") from None

    def discard(self) -> None:
        """Take back the file, and the directory if it is empty then."""
        self.close()
        (self.directory / WINDOWS).unlink(missing_ok=True)
        try:
            self.directory.rmdir()
        except OSError:
            pass  # it holds somebody's files: it was there before

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def check_free(directory: Path) -> None:
    """Raise ConfigError, before any time is spent, if *directory* holds a result or cannot be made; a Recorder finds the rest."""
    if (directory / WINDOWS).exists():
        raise ConfigError(_taken(directory))
    there = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    code = 0 if there.is_dir() else errno.ENOTDIR
    if not code and not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        code = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
    if code:
        raise ConfigError(Problem(f"cannot write to {directory}: {reason_of(os_error(code))}", key="--out"))


def _taken(directory: Path) -> Problem:
    return Problem(f"{directory} holds a result already", key="--out", remedy="choose another directory")


def _written_by_another(directory: Path, pid: int | None) -> Problem:
    who = f"process {pid}" if pid is not None else "a process that cannot be seen from here"
    what = f"is being written by {who}: a result has one writer at a time"
    return Problem(what, file=str(directory), key="--resume", remedy="wait for that run to end, or end it first")


def _whole_lines(fd: int) -> int:
    """Return how many bytes of a file the lines take that end with a line end; raises OSError."""
    end = os.fstat(fd).st_size
    while end:
        start = max(0, end - _PIECE)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _publish(partial: Path, path: Path) -> None:
    """Give the file at *partial* the name *path*; raises ConfigError if there is a result of that name."""
    try:
        try:
            os.link(partial, path)  # of two that want the name at the same time one gets it
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError from None
            partial.rename(path)
    except FileExistsError:
        raise ConfigError(_taken(path.parent)) from None


def write_summary(directory: Path, summary: Mapping[str, object]) -> None:
    """Write summary.json whole or not at all; raises StudyError."""
    try:
        write_whole(directory / SUMMARY, encode_summary(summary))
    except OSError as error:
        raise StudyError(f"cannot write {directory / SUMMARY}: {reason_of(error)}") from None
