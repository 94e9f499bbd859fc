"""A finding: what is wrong with one key of a config tree, before its file and line are known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zcload.model.units import shown

Path = tuple[str | int, ...]  # keys and list indexes (from 0), from the root of the tree


@dataclass(frozen=True, slots=True)
class Finding:
    """*what* is wrong at *path*, and the *remedy*."""

    path: Path
    what: str
    remedy: str | None = None


def near_miss(word: object, candidates: Iterable[str], inside: str = "") -> str | None:
    """Return "did you mean ...?" with the candidate closest to *word*, after the section *inside* ("workload."); None if none is close."""
    names = {candidate.lower(): candidate for candidate in candidates}
    # difflib is quadratic in the length; no candidate is this long.
    if not isinstance(word, str) or len(word) > 100:
        return None
    close = difflib.get_close_matches(word.lower().replace("-", "_"), names, n=1, cutoff=0.6)
    return f"did you mean {inside + names[close[0]]!r}?" if close else None


def dotted(path: Path, tree: Mapping[str, Any]) -> str:
    """Write *path* for people: "workload.chunk[2]", counted from 1, and "variant[NAME].key" where the variant has a name."""
    text = ""
    for depth, part in enumerate(path):
        if isinstance(part, str):
            text += ("." if text else "") + (part if re.fullmatch(r"[\w#+-]{1,64}", part) else shown(part))
        else:
            text += f"[{_variant_name(path[: depth + 1], tree) or part + 1}]"
    return text


def _variant_name(path: Path, tree: Mapping[str, Any]) -> str | None:
    if len(path) != 2 or path[0] != "variant":
        return None
    name = tree["variant"][path[1]].get("name") if isinstance(tree["variant"][path[1]], dict) else None
    return name if isinstance(name, str) and re.fullmatch(r"[\w.+-][\w .+-]{0,63}", name) and not name.isdigit() else None
