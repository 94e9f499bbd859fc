"""Read a windows.jsonl line by line. A crash or a kill -9 loses at most the line being written: a torn last line is taken as the end."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress, tee
from operator import not_
from pathlib import Path
from typing import Literal

from zcload.errors import ConfigError, Problem, reason_of
from zcload.linux import interrupt
from zcload.model.records.lines import Header, Line
from zcload.store.codec import decode_header, decode_line, refuse
from zcload.store.consistency import LinkCheck

_LINES_A_LOOK = 1000  # between two looks at the limit of the phase that reads: some 10 ms
_READ_BYTES = 1 << 18  # at once: lines come three times as fast as with the usual 8 KiB

# As the writer begins the lines of points with an odd and with an even number.
_OF_ODD_POINTS, _OF_EVEN_POINTS = (re.compile(rb'\{"kind":"[a-z]+","point":\d*[%b],' % last).match for last in (b"13579", b"02468"))


def read_records(path: Path) -> list[Line]:
    """Read a windows.jsonl; a torn last line is left out. Raises ConfigError if it is damaged or not one of ours."""
    return list(each_record(path))


def read_header(path: Path) -> Header:
    """Return the header of a windows.jsonl; raises ConfigError as `read_records` does."""
    for record in each_record(path):
        if record["kind"] == "header":
            return record
    raise _empty(path)


def each_record(path: Path, parity: Literal[0, 1] | None = None) -> Iterator[Line]:
    """Read a windows.jsonl record by record, as `read_records` does, without ever holding more than one.

    With *parity* the lines of points with odd numbers (0) or even ones (1) are left out unread, where their beginning tells whose they are.

    Raises TimeLimitExceeded where the phase that reads has a limit (`interrupt.limited`) and that is over.
    """
    points: int | None = None
    links = LinkCheck()
    try:
        for read, (number, data) in enumerate(_numbered(lines_of(path), parity), 1):
            if read % _LINES_A_LOOK == 0:
                interrupt.check_limit()
            try:
                record: Line | None
                if points is None:
                    record = header = decode_header(data, path)
                    points = len(header["points"])
                else:
                    record = decode_line(data, path, number, points)
            except ConfigError:
                if data.endswith(b"\n"):
                    raise
                break  # torn: the writer was killed in mid-line
            if record is not None:
                refuse(links.problems(record), path, number)
                yield record
    except OSError as error:
        raise ConfigError(Problem(reason_of(error), file=str(path))) from None
    if points is None:
        raise _empty(path)


def _numbered(lines: Iterator[bytes], parity: Literal[0, 1] | None) -> Iterator[tuple[int, bytes]]:
    """Return *lines*, each with its number in the file, without those of points of the other *parity*: no Python runs for these."""
    if parity is None:
        return enumerate(lines, 1)
    numbered, looked_at = tee(lines)
    return compress(enumerate(numbered, 1), map(not_, map(_OF_EVEN_POINTS if parity else _OF_ODD_POINTS, looked_at)))


def lines_of(path: Path) -> Iterator[bytes]:
    """Read the lines of a regular file: a pipe or a device would be waited for, or never end. Raises OSError, ConfigError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ConfigError(Problem("is not a regular file", file=str(path)))
    with path.open("rb", buffering=_READ_BYTES) as lines:
        yield from lines


def _empty(path: Path) -> ConfigError:
    return ConfigError(Problem("holds no result: not even its header was written", file=str(path)))


@dataclass(frozen=True, slots=True)
class StoredRecords:
    """The records of a windows.jsonl, read anew, one at a time, whenever they are iterated; raises what `read_records` does."""

    path: Path

    def __iter__(self) -> Iterator[Line]:
        return each_record(self.path)
