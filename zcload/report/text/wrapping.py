"""Break sentences into lines: at spaces only, and never between a figure and its unit, its per cent sign or its interval."""

from __future__ import annotations

import re
import textwrap

NO_BREAK = "\N{NO-BREAK SPACE}"
WIDTH = 80  # columns, where the output is no terminal

_UNITS = r"%(?: \([-+.\d]+\))?|s/GB|[KMGT]i?B|[KMGT]?bit/s|n?s|us|ms|min|cores?|CPUs?|points?|replicates?|generations?|windows?"
_FIGURE = re.compile(rf"[+-]?\d[\d.]*(?:\.\.[-\d.]+)? (?:{_UNITS})(?![\w/])")


def unbroken(text: str) -> str:
    """Return *text* with no-break spaces inside its figures, for a page or a comment, whose lines break where the reader's window ends."""
    return _FIGURE.sub(lambda found: found[0].replace(" ", NO_BREAK), text)


def wrapped(line: str, width: int, indent: str = "") -> list[str]:
    """Break a sentence, below *indent*, into lines of at most *width* columns; a longer word stays whole."""
    lines = textwrap.wrap(
        unbroken(line), width, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False
    )
    return [each.replace(NO_BREAK, " ") for each in lines] or [""]
