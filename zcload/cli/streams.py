"""Make stdout and stderr safe to write to: closed, full, without a reader, non-blocking, or of a small character set.

A write never raises, so that no line of output ends a measurement or loses one that has finished. What could not be written to stdout
is told once, at the end. Text is made printable here, in the one place that all of it passes on its way to a terminal.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import select
import sys
from typing import Any

from zcload.model.printable import printable

_PLAIN = {"±": "+-", "µ": "u", "×": "x", "…": "...", "–": "-", "→": "->", "≤": "<=", "≥": ">="}
# Colours and weights, which zcload itself writes to a terminal. None of them moves the cursor or hides text.
_COLOURS = re.compile(r"(\x1b\[(?:(?:[0-4]|2[2-4]|3[0-79]|9[0-7]|38;5;\d{1,3})(?:;(?=\d)|(?=m)))*m)")


def install() -> None:
    """Replace sys.stdout and sys.stderr. A standard stream that is closed is opened on /dev/null, so no other file gets its number."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the least free number: this one
    codecs.register_error("zcload", _replace)
    sys.stdout = _stream(1, sys.stdout)
    sys.stderr = _stream(2, sys.stderr)


def finish(code: int) -> int:
    """Return the exit code of a command that wants to end with *code*: 1 instead of 0 where stdout could not be written to."""
    sys.stdout.flush()
    if not isinstance(sys.stdout, SafeStream):
        return code
    error = sys.stdout.error
    # A reader that has left (head, a pager) has seen what it wanted.
    if error is None or error.errno == errno.EPIPE:
        return code
    from zcload.errors import reason_of

    print(f"zcload: error: stdout: {reason_of(error)}: the output is not complete", file=sys.stderr)
    return code or 1


class SafeStream(io.TextIOWrapper):
    """A text stream that escapes control characters and never raises for what its file does."""

    _raw: _Descriptor

    def write(self, text: str) -> int:
        """Write *text*; colours stay where the stream is a terminal."""
        if self.isatty():
            super().write("".join(part if n % 2 else printable(part) for n, part in enumerate(_COLOURS.split(text))))
        else:
            super().write(printable(text))
        return len(text)

    def unfiltered(self) -> io.TextIOWrapper:
        """Return a stream to the same place for what moves the cursor: the live view."""
        return io.TextIOWrapper(io.BufferedWriter(_Descriptor(self.fileno())), self.encoding, errors="zcload", write_through=True)

    @property
    def error(self) -> OSError | None:
        """What the first write that failed said; what came after it was not written."""
        return self._raw.error


class _Descriptor(io.RawIOBase):
    """Write to a file descriptor until that fails; after that take everything and write nothing."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.error is None:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody else made it non-blocking: wait as a blocking one does
                poller = select.poll()
                poller.register(self._fd, select.POLLOUT)
                poller.poll()
            except OSError as error:
                self.error = error
        return size

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True


def _stream(fd: int, before: Any) -> SafeStream:
    raw = _Descriptor(fd)
    encoding = getattr(before, "encoding", None) or "utf-8"
    stream = SafeStream(io.BufferedWriter(raw), encoding, errors="zcload", line_buffering=fd == 2 or raw.isatty())
    stream._raw = raw
    return stream


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return what is written for characters that the stream's character set lacks."""
    assert isinstance(error, UnicodeEncodeError)
    bad = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in bad), error.end
