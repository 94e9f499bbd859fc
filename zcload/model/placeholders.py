"""Placeholders such as `{port}` in the texts of a server variant, filled in when the server is started.

A name that is not known is refused, never left as it stands. `{{port}}` stands for `{port}` itself; braces around anything but one
lower-case word, as programs and their configs are full of, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDERS: dict[str, str] = {
    "port": "the port to listen on",
    "address": "the address to listen on",
    "host": "the same where a port follows it, as in {host}:{port}: an IPv6 address in brackets",
    "root": "the directory that holds the file, and nothing else",
    "file": "the file's path",
    "name": "the file's name in root",
    "dir": "a directory of the server's own, where its `files` are; removed when it has ended",
    "user": "the user that zcload runs as",
    "group": "that user's group",
    "python": "the Python that zcload runs on",
    "certificate": "with tls: the file of the certificate, made for this start",
    "key": "with tls: the file of its private key",
}
ONLY_WITH_TLS = ("certificate", "key")
_WORD = re.compile(r"\{\{([a-z]+)\}\}|\{([a-z]+)\}")


def unknown(text: str) -> list[str]:
    """Return the names in braces that are no placeholders, in order."""
    return [match[2] for match in _WORD.finditer(text) if match[2] and match[2] not in PLACEHOLDERS]


def held(text: str) -> set[str]:
    """Return the placeholders that *text* holds."""
    return {match[2] for match in _WORD.finditer(text) if match[2] in PLACEHOLDERS}


def only_placeholders(text: str) -> bool:
    """Say whether *text* is made of placeholders, joined by ':' or '/' at most: it holds nothing that its writer alone knows."""
    parts = re.split("[:/]", text)
    return all(not part or ((match := _WORD.fullmatch(part)) is not None and match[2] in PLACEHOLDERS) for part in parts)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put *values* in for the placeholders of *text*; raises KeyError for a name that has none."""
    return _WORD.sub(lambda match: f"{{{match[1]}}}" if match[1] else values[match[2]], text)
