"""Write a result directory: windows.jsonl as it is measured, then summary.json."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.store.reader import SUMMARY, WINDOWS, read_records


class Recorder:
    """Write records as they come and keep them for the analysis. One write(2) a record, made while no window is open."""

    def __init__(self, directory: Path, header: dict[str, Any]) -> None:
        """Create *directory* and in it a windows.jsonl that begins with *header*; raises ConfigError.

        The file is there with its header or not at all: no moment to be killed in leaves one that holds nothing.
        """
        self.directory = directory
        self.records: list[dict[str, Any]] = []
        partial = directory / f".{WINDOWS}.{os.getpid()}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
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
        """Go on with the windows.jsonl in *directory*: a torn last line is cut off first; raises ConfigError."""
        recorder = cls.__new__(cls)
        recorder.directory, path = directory, directory / WINDOWS
        recorder.records = read_records(path)
        try:
            recorder._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            whole = path.read_bytes().rfind(b"\n") + 1
            os.ftruncate(recorder._fd, whole)
        except OSError as error:
            raise ConfigError(Problem(f"cannot write to {path}: {reason_of(error)}", key="--resume")) from None
        return recorder

    @classmethod
    def inherited(cls, directory: Path, fd: int) -> Recorder:
        """Append to the windows.jsonl in *directory* that the process which started this one has open as *fd*."""
        recorder = cls.__new__(cls)
        recorder.directory, recorder.records, recorder._fd = directory, [], fd
        return recorder

    def fileno(self) -> int:
        """Return the descriptor of the file, for a process that is to append to it too."""
        return self._fd

    def write(self, record: dict[str, Any]) -> None:
        """Append *record*; raises StudyError if it cannot be stored, on a full disk for instance."""
        self.records.append(record)
        line = json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError as error:
            path = self.directory / WINDOWS
            raise StudyError(f"cannot write to {path}: {reason_of(error)} (what is there is readable)") from None

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
        raise ConfigError(Problem(f"{path.parent} holds a result already", key="--out", remedy="choose another directory")) from None


def write_summary(directory: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json whole or not at all; raises StudyError."""
    partial = directory / f".{SUMMARY}.{os.getpid()}"
    try:
        partial.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(directory / SUMMARY)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StudyError(f"cannot write {directory / SUMMARY}: {reason_of(error)}") from None
