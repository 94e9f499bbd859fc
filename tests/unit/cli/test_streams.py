"""What is written to a terminal keeps zcload's own colours and nothing that moves the cursor."""

from __future__ import annotations

import os
import pty

import pytest

from zcload.cli.streams import SafeStream, _Descriptor, _stream

CASES = {
    "\x1b[32msaves\x1b[0m": "\x1b[32msaves\x1b[0m",
    "\x1b[1;38;5;12mbold\x1b[0m": "\x1b[1;38;5;12mbold\x1b[0m",
    "\x1b[8mhidden": "\\x1b[8mhidden",
    "\x1b[2J\x1b[H": "\\x1b[2J\\x1b[H",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "a\tb": "a\tb",
    "name-\udcff": "name-\\xff",
    "\u202egnp.exe": "\\u202egnp.exe",
}


@pytest.mark.parametrize("text", CASES)
def test_a_terminal_gets_colours_only(text):
    """On a terminal colours pass; every other control sequence, a byte that is no text and marks of direction are shown as escapes."""
    ours, theirs = pty.openpty()
    stream = _stream(theirs, None)
    assert isinstance(stream, SafeStream)
    stream.write(text + "\n")
    stream.flush()
    assert os.read(ours, 4096).decode().rstrip("\r\n") == CASES[text]
    os.close(ours)
    os.close(theirs)


def test_a_failed_write_is_remembered_and_never_raised():
    """The first error is kept; what comes after it is taken and not written."""
    fd = os.open("/dev/full", os.O_WRONLY)
    raw = _Descriptor(fd)
    assert (raw.write(b"lost"), raw.write(b"too")) == (4, 3)
    assert raw.error is not None
    os.close(fd)
