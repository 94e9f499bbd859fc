"""What errors say: the system's reason in one form, wherever a message quotes it."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

import zcload
from zcload.errors import StudyError, os_error, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "f"), "no such file or directory"),
        (OSError(errno.EIO, "Input/output error"), "input/output error"),
        (OSError("timed out"), "timed out"),
        (ValueError("Embedded null byte"), "embedded null byte"),
        (StudyError("[SSL: WRONG_VERSION_NUMBER] wrong version"), "[SSL: WRONG_VERSION_NUMBER] wrong version"),
        (OSError(), ""),
    ],
)
def test_a_reason_stands_in_the_middle_of_a_message(error, reason):
    """The reason of an error is what the system says, with a small first letter and without number and path."""
    assert reason_of(error) == reason


def test_an_error_number_becomes_the_error_that_fits():
    """An error number gives the subclass of OSError that Python has for it, with the system's text and the path, if one is named."""
    refused = os_error(errno.EPERM, "f")
    assert isinstance(refused, PermissionError)
    assert (refused.errno, refused.filename, reason_of(refused)) == (errno.EPERM, "f", "operation not permitted")
    assert os_error(errno.ENOENT).filename is None


def test_nobody_words_the_reason_of_an_error_for_itself():
    """Only zcload/errors.py looks at what an OSError says: all messages quote it in the same form."""
    package = Path(zcload.__file__).parent
    own = [str(path) for path in package.rglob("*.py") if re.search(r"(?<!os)\.strerror\b", path.read_text(encoding="utf-8"))]
    assert own == []
