"""The line of every key and list element of a YAML text."""

from __future__ import annotations

from typing import Any

from zcload.config.finding import Path


def yaml_lines(text: str) -> dict[Path, int]:
    """Map each path in *text*, which must be valid YAML, to its line, counted from 1."""
    from ruamel.yaml import YAML

    lines: dict[Path, int] = {}
    _walk(YAML(typ="safe", pure=True).compose(text), (), lines, set())
    return lines


def _walk(node: Any, path: Path, lines: dict[Path, int], seen: set[int]) -> None:
    # Anchors make the tree a graph: each node has its lines once, so that neither a cycle nor a bomb of aliases takes time.
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.id == "mapping":
        for key, value in node.value:
            if key.id == "scalar":
                lines[(*path, key.value)] = key.start_mark.line + 1
                _walk(value, (*path, key.value), lines, seen)
    elif node.id == "sequence":
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _walk(value, (*path, index), lines, seen)
