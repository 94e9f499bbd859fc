"""Find the line of every key and list element of a config text. Read only to report a problem.

For TOML by tree-sitter, because the parser of the standard library gives no lines; for YAML by ruamel.yaml's own nodes.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from zcload.config.finding import Path

if TYPE_CHECKING:
    from tree_sitter import Node

DEEPEST = 4  # variant, index, key, index: no key of a config lies deeper


def toml_lines(text: str) -> dict[Path, int]:
    """Map each path in *text*, which must be valid TOML, to its line, counted from 1; empty where the parser does not work."""
    try:
        import tree_sitter
        import tree_sitter_toml

        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
    # A grammar of another ABI is a ValueError. An error without its line is still better than no error.
    except (ImportError, ValueError):
        return {}
    lines: dict[Path, int] = {}
    tables: dict[Path, int] = {}  # how many [[headers]] of each array of tables have been seen
    for node in parser.parse(text.encode(errors="surrogatepass")).root_node.named_children:
        if node.type == "pair":
            _pair(node, (), lines)
        elif node.type in ("table", "table_array_element"):
            path = _header(node, tables)
            lines.setdefault(path, _line(node))
            lines.setdefault(path[:1], _line(node))
            for child in node.named_children[1:]:
                if child.type == "pair":
                    _pair(child, path, lines)
    return lines


def _header(node: Node, tables: dict[Path, int]) -> Path:
    """Return the path of a [table] or [[table]], through the newest element of every array of tables on its way."""
    path: Path = ()
    for key in _keys(node.named_children[0]):
        path += (key,)
        if path in tables:
            path += (tables[path] - 1,)
    if node.type == "table_array_element":
        if path and isinstance(path[-1], int):
            path = path[:-1]
        tables[path] = tables.get(path, 0) + 1
        path += (tables[path] - 1,)
    return path


def _pair(node: Node, path: Path, lines: dict[Path, int]) -> None:
    key, value, *_ = node.named_children
    for part in _keys(key):
        path += (part,)
        lines.setdefault(path, _line(node))
    _value(value, path, lines)


def _value(node: Node, path: Path, lines: dict[Path, int]) -> None:
    if len(path) >= DEEPEST:
        return
    if node.type == "inline_table":
        for child in node.named_children:
            if child.type == "pair":
                _pair(child, path, lines)
    elif node.type == "array":
        for index, child in enumerate(child for child in node.named_children if child.type != "comment"):
            lines[(*path, index)] = _line(child)
            _value(child, (*path, index), lines)


def _keys(node: Node) -> tuple[str, ...]:
    """Return the parts of a bare, quoted or dotted key; tomllib knows the escapes."""
    parts: tuple[str, ...] = ()
    tree = tomllib.loads(f"{(node.text or b'').decode(errors='surrogatepass')} = 0")
    while isinstance(tree, dict):
        key, tree = next(iter(tree.items()))
        parts += (key,)
    return parts


def _line(node: Node) -> int:
    return node.start_point[0] + 1


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
