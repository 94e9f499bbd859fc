"""Names of files that are allowed and that programs get wrong: every place that a name goes through is tested with all of them."""

from __future__ import annotations

PRINTABLE = (
    "my file.bin",
    "größe.bin",
    "100%.bin",
    "a#b.bin",
    "a?b=c.bin",
    "%41.bin",
    "[x]&+;'\"\\.bin",
    "<b>&amp;.bin",
    "{port}.bin",
    "-n",
    "~",
    "=1+1",
)
CONTROL = ("line\nend", "\x1b[2J", "tab\there")  # what would break a line, a table or a terminal
FILE_NAMES = (*PRINTABLE, *CONTROL)
NOT_UTF8 = b"not-\xff-utf-8"
