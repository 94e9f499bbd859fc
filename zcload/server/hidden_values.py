"""Hide the values of a server's environment in its output, because error messages are stored and shown."""

from __future__ import annotations

import os
from collections.abc import Mapping

from zcload.model.placeholders import only_placeholders
from zcload.model.study import Server

_LEAST = 4  # characters: shorter texts, such as "1" or "yes", stand for themselves in any output


def values_to_hide(server: Server, filled: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *server* that may hold secrets: those with a text, as it is *filled* in, and those passed on."""
    own = {name: text for name, text in filled.items() if not only_placeholders(server.environment.get(name, ""))}
    return own | {name: os.environ[name] for name in server.passed_on if name in os.environ}


def without_values(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with the name of the variable in place of each of the *values*, the longest first."""
    for name, value in sorted(values.items(), key=lambda each: -len(each[1])):
        if len(value) >= _LEAST:
            text = text.replace(value, f"${name}")
    return text
