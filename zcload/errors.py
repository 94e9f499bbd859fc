"""The errors that a user can cause or must act on. Any other exception is a bug and keeps its traceback.

ZcloadError                     the command line prints "zcload: error: ..." and no traceback
  ConfigError          exit 2   a wrong config, value or argument; may hold many problems at once
  MechanismUnavailableError  2  this host cannot run what was asked, and why
  StudyError           exit 1   a run, or one lane of it, failed
  GateTripped          exit 3   a comparison exceeded the limit it was given
  TimeLimitExceeded    exit 1   a phase of a run took longer than it may
  Interrupted    exit 130, 143  a signal asked the run to end
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where (*file*, *line*, *key*), *what* was found and expected, and the *remedy*."""

    what: str
    key: str | None = None
    file: str | None = None
    line: int | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        head = ": ".join(part for part in (place, self.key) if part)
        text = f"{head}: {self.what}" if head else self.what
        return f"{text} ({self.remedy})" if self.remedy else text


class ZcloadError(Exception):
    """Base of every error that is reported without a traceback."""

    exit_code = 1
    result: Any = None  # what a run had measured until it ended with this error: a zcload.store.reader.Result


class ConfigError(ZcloadError):
    """A wrong config, value or command-line argument: holds every problem found, not only the first."""

    exit_code = 2

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(p) if isinstance(p, str) else p for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[Problem, ...]]:
        return ConfigError, self.problems


class MechanismUnavailableError(ZcloadError):
    """A mechanism or sink that this host cannot run, with the reason and, where there is one, the remedy."""

    exit_code = 2

    def __init__(self, name: str, reason: str, remedy: str | None = None) -> None:
        self.name, self.reason, self.remedy = name, reason, remedy
        super().__init__(f"{name}: {reason}" + (f" ({remedy})" if remedy else ""))

    def __reduce__(self) -> tuple[type[MechanismUnavailableError], tuple[str, str, str | None]]:
        return MechanismUnavailableError, (self.name, self.reason, self.remedy)


class StudyError(ZcloadError):
    """A run, or one lane of it, failed: the message names role, variant, pid and cause where they are known.

    *consequence* says that it only tells of the end of something else: a connection that broke.
    """

    consequence = False


class GateTripped(ZcloadError):
    """A comparison went beyond the limit that the user set."""

    exit_code = 3


class Interrupted(ZcloadError):
    """The user or the system asked the run to end; exit code 130 for SIGINT, 143 for SIGTERM."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum  # the shells' convention

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int]]:
        return Interrupted, (self.exit_code - 128,)


class TimeLimitExceeded(ZcloadError):
    """A phase of a run took longer than it may, whatever held it up."""


def reason_of(error: Exception) -> str:
    """Return what the system says of *error*, with a small first letter, for the middle of a message: "no such file or directory"."""
    text = str(getattr(error, "strerror", None) or error)
    return text[:1].lower() + text[1:]


# What the system says of a path that cannot be used as it is; ENOENT is not among them: who asks for a file handles its absence.
_OF_PATHS = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EROFS, errno.ENOSPC, errno.EDQUOT})
_LONGEST_PATH = 120  # characters of a message


def path_error(error: Exception) -> ConfigError | None:
    """Return what the system says of the path that *error* names; None if it names none, or has another cause."""
    if not isinstance(error, OSError) or error.errno not in _OF_PATHS or not isinstance(error.filename, str | bytes):
        return None
    path = os.fsdecode(error.filename)
    return ConfigError(Problem(reason_of(error), file=path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}..."))


@contextmanager
def path_errors() -> Iterator[None]:
    """Raise ConfigError in the place of an OSError that is about a path."""
    try:
        yield
    except OSError as error:
        raise path_error(error) or error from None


def os_error(code: int, path: str | None = None) -> OSError:
    """Return the OSError of the error number *code*: Python makes it the subclass that fits, such as PermissionError."""
    return OSError(code, os.strerror(code)) if path is None else OSError(code, os.strerror(code), path)
