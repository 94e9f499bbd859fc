"""Check a config tree: first key by key with the models, then across keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from zcload.config.checks import find_across
from zcload.config.finding import Finding, Path, near_miss
from zcload.config.resolved import Resolved
from zcload.config.root import KEYS, MECHANISM_TAG, SERVER_TAG, Config
from zcload.model.units import ValueRefused, shown


def check(tree: Mapping[str, Any]) -> tuple[Config | None, list[Finding]]:
    """Return the config in *tree* and everything that is wrong with it; the config is None where the models refused it."""
    config = None
    findings: list[Finding] = []
    try:
        config = Config.model_validate(tree)
    except ValidationError as refused:
        findings += [_explain(error, tree) for error in refused.errors(include_url=False)]
    known = {finding.path for finding in findings}
    return config, findings + [finding for finding in find_across(Resolved(tree)) if finding.path not in known]


def _explain(error: ErrorDetails, tree: Mapping[str, Any]) -> Finding:
    """Say an error of pydantic's in the words of zcload."""
    kind, found = error["type"], error["input"]
    path = tuple(part for part in error["loc"] if part not in (MECHANISM_TAG, SERVER_TAG))
    if kind == "invalid_key":
        return Finding((*path[:-1], str(path[-1])), "the key is not text: expected a name such as 'workload'")
    # The models see a single workload value as a list of one, the user does not.
    single = bool(path) and isinstance(path[-1], int) and not isinstance(_at(tree, path[:-1]), list)
    if single:
        path = path[:-1]
    refused = error.get("ctx", {}).get("error")
    if isinstance(refused, ValueRefused):
        return Finding(path, refused.what, (_several(found) if single else None) or refused.remedy)
    if kind == "missing":
        return Finding(path, "missing section" if path == ("study",) else "missing key", _example(path))
    if kind == "extra_forbidden":
        return unknown_key(path, KEYS.get(path[:-1], ()))
    if kind == "list_type":
        return Finding(path, f"{shown(found)} is not a list", "start each with [[variant]]" if path == ("variant",) else _as_list(found))
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return Finding(path, f"{shown(found)} is not a table: expected keys and values")
    return Finding(path, error["msg"])


def _at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


_EXAMPLES: dict[Path, str] = {
    ("study",): "add [study] with the keys name and baseline",
    ("study", "name"): "as in name = 'heavy'",
    ("cluster", "scheduler"): "as in scheduler = 'tls://10.0.0.1:8786', or --cluster ADDRESS",
    ("study", "baseline"): "the name of the variant that the others are compared with",
}


def _example(path: Path) -> str | None:
    return _EXAMPLES.get(path) or {"name": "as in name = 'sendfile-64k'", "mechanism": "as in mechanism = 'sendfile'"}.get(str(path[-1]))


def _several(found: object) -> str | None:
    """Return how to write the values of a sweep that *found* lists with commas alone; None if it lists none."""
    values = [value.strip() for value in found.split(",")] if isinstance(found, str) else []
    listed = ",".join(f'"{value}"' for value in values)
    return f"several values: [{listed}]" if 1 < len(values) < 10 and all(re.fullmatch(r"[\w./-]+", value) for value in values) else None


def _as_list(found: object) -> str | None:
    return f"write [{shown(found)}]" if isinstance(found, str) else None


def unknown_key(path: Path, siblings: Iterable[str]) -> Finding:
    """Return the finding for an unknown key: with the sibling or the section that was probably meant, else with all *siblings*."""
    key = path[-1]
    homes = [".".join([*map(str, section), str(key)]) for section, keys in KEYS.items() if key in keys and section != ("variant",)]
    inside = "".join(f"{part}." for part in path[:-1])
    remedy = near_miss(key, siblings, inside) if not homes else f"did you mean {homes[0]!r}?"
    if remedy:
        return Finding(path, "unknown key", remedy)
    return Finding(path, f"unknown key: expected one of {', '.join(siblings)}")
