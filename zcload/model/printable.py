"""Make text from elsewhere safe to show: results of others, servers' answers, file names."""

from __future__ import annotations

import re
import shlex

# C0 without tab and line feed, DEL, C1, and the marks that turn the direction of text (https://trojansource.codes/).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What a surrogate stands for is a byte that is not UTF-8 (PEP 383).
_SURROGATE = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return *text* with every control character as a visible escape such as \x1b; tabs and line ends stay."""
    if text.isascii() and text.isprintable():
        return text
    return _SURROGATE.sub(_byte, _UNSAFE.sub(_escape, text))


def one_line(text: str) -> str:
    """Return *text* as `printable` does, with its white space, line ends too, as single spaces."""
    return printable(" ".join(text.split()))


def typed(word: object) -> str:
    """Return *word*, a path for example, as it is typed in a shell: in quotes where it has spaces or other signs that the shell reads."""
    return shlex.quote(str(word))


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _byte(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
