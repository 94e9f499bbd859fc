"""Write a config tree as TOML. `tomllib` reads it back unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def write_toml(tree: Mapping[str, Any]) -> str:
    """Return *tree*, which holds tables, lists, text, numbers and truth values, as TOML; a None is left out, for TOML has none."""
    return "\n".join(_table((), tree)).strip("\n") + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    """Return the lines of *table*: its values first, for those below a header would belong to that header's table."""
    lines, below = [], []
    for key, value in table.items():
        inner = (*path, key)
        if isinstance(value, Mapping):
            below += ["", f"[{_header(inner)}]", *_table(inner, value)]
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for item in value:
                below += ["", f"[[{_header(inner)}]]", *_table(inner, item)]
        elif value is not None:
            lines.append(f"{_key(key)} = {_value(value)}")
    return lines + below


def _header(path: tuple[str, ...]) -> str:
    return ".".join(map(_key, path))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key, re.ASCII) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _text(text: str) -> str:
    # A JSON string is a basic string of TOML, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
