"""Values of workload keys in a raw tree: one, or a list that is swept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zcload.config.finding import Path


def values_of(table: Mapping[str, Any], key: str, default: object) -> list[tuple[Path, Any]]:
    """Return the values of a workload key with their paths, the default if it is not there."""
    found = table.get(key, default)
    path: Path = ("workload", key)
    return [((*path, index), value) for index, value in enumerate(found)] if isinstance(found, list) else [(path, found)]


def holds(table: Mapping[str, Any], key: str, default: object, value: object) -> bool:
    """Say whether *value* is among them."""
    return any(found == value for _, found in values_of(table, key, default))
