"""Where results are evaluated, shown and compared, `Any` is counted: what is left has a reason, and there is never more of it."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import zcload

PACKAGE = Path(zcload.__file__).parent
ROOMS = ("analysis", "report", "compare")
# How many are left at most, by folder, and why.
LEFT = {
    "report/charts": (37, "specs of Vega-Lite are trees without a type, and its rows are handed to it as they are"),
    "report/html": (2, "facts of the environment and the config are shown whatever they are"),
    "report/tables": (31, "tables take parts of a summary that checks have found to be there"),
    "report/text": (21, "sentences take parts of a summary that checks have found to be there"),
    "report/formats": (7, "cells of other tools' formats are of any type"),
    "report/imported": (2, "what other tools wrote is read key by key"),
}


def folder_of(path: Path) -> str:
    room, *inner = path.relative_to(PACKAGE).parts[:-1]
    return "/".join([room, *inner[:1]])


def test_any_is_counted():
    """Nothing in analysis is of any type, and elsewhere there are no more such places than were left, each kind with its reason."""
    found = Counter()
    for room in ROOMS:
        for path in (PACKAGE / room).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found[folder_of(path)] += sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))
    assert found["analysis"] == 0
    assert {folder: count for folder, count in found.items() if count > LEFT.get(folder, (0, ""))[0]} == {}
