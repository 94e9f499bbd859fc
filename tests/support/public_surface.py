"""The public surface of zcload as data: what users, scripts and stored results rely on.

`python tests/support/public_surface.py` writes it to tests/data/public-surface.json. A release runs that once; a change never does.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import zcload
from zcload import api, config, errors
from zcload.cli import history, output_files
from zcload.cli.app import app
from zcload.compare import render
from zcload.config.shipped import shipped_configs
from zcload.host.environment import describe
from zcload.mechanisms import MECHANISMS
from zcload.model.cautions import documented
from zcload.model.checks import CHECKS
from zcload.model.metrics import METRICS
from zcload.report import FORMATS, charts
from zcload.sinks import SINKS
from zcload.store.reader import Result
from zcload.store.result_schema import summary_schema

SNAPSHOT = Path(__file__).resolve().parents[1] / "data" / "public-surface.json"
MODULES = ("interrupt", "packed", "progress")  # of the package: the first release documents them


def public_surface() -> dict[str, Any]:
    """Return the public surface as it is now: a tree of mappings, whose leaves are names, defaults and exit codes."""
    group = typer.main.get_command(app)
    return {
        "commands": {"zcload": _parameters(group), **{f"zcload {name}": _parameters(c) for name, c in group.commands.items()}},
        "exit codes": _exit_codes(),
        "config keys": dict(_leaves(config.json_schema())),
        "summary.json keys": {path: {} for path, _ in _leaves(summary_schema())},
        "report formats": _names([*FORMATS, *output_files.PICTURES]),
        "compare formats": _names(render.FORMATS),
        "history formats": _names(history.FORMATS),
        "charts": _names(_chart_names()),
        "mechanisms": {name: _names(kind.options) for name, kind in MECHANISMS.items()},
        "sinks": _names(SINKS),
        "metrics": {name: {"unit": metric.unit, "better": metric.better} for name, metric in METRICS.items()},
        "cautions": _names(code for code, _ in documented()),
        "checks": _names(CHECKS),
        "environment facts": _names(describe(host_name=True)),
        "shipped configs": _names(shipped_configs()),
        "python": {
            "zcload": _names(zcload.__all__),
            "modules": _names(name for name in MODULES if hasattr(zcload, name)),
            "functions": {f.__name__: _arguments(f) for f in (api.load, api.run, api.study_of, Result.to_rows)},
            "Result": _names(sorted(name for name in {*dir(Result), *inspect.get_annotations(Result)} if not name.startswith("_"))),
        },
    }


def missing(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield what was there *before* and is gone or different *now*, one line each; what is new is left alone.

    New is also the first metavar of an option: it stands in the help alone, where the type stood before.
    """
    if not isinstance(before, dict):
        if before != now and (before is not None or not path.endswith(" > metavar")):
            yield f"{path}: was {before!r}, is {now!r}"
        return
    for name, inner in before.items():
        where = f"{path} > {name}" if path else name
        if isinstance(now, dict) and name in now:
            yield from missing(inner, now[name], where)
        else:
            yield f"{where}: is gone"


def _names(names: Any) -> dict[str, dict[str, Any]]:
    return {name: {} for name in names}


def _chart_names() -> list[str]:
    """Return the names of all charts: the texts that the first argument of a `Chart(...)` may be."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in Path(charts.__file__).parent.glob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Chart"]
    texts = [node.value for call in calls for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)]
    return sorted(text for text in texts if isinstance(text, str))


def _parameters(command: Any) -> dict[str, Any]:
    """Return the arguments of a command by name, and its options by every spelling."""
    found: dict[str, Any] = {}
    for parameter in command.params:
        facts = {
            "default": _plain(parameter.default),
            "metavar": parameter.metavar,
            "repeatable": parameter.multiple or parameter.nargs == -1,
        }
        if parameter.param_type_name == "argument":
            found[f"argument {parameter.name}"] = facts
        else:
            found |= {option: {**facts, "flag": parameter.is_flag} for option in parameter.opts}
    return found


def _arguments(function: Any) -> dict[str, Any]:
    signature = inspect.signature(function)
    return {
        name: {"kind": parameter.kind.name, "default": None if parameter.default is parameter.empty else _plain(parameter.default)}
        for name, parameter in signature.parameters.items()
        if name != "self"
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, type(None))) else getattr(value, "__name__", str(value))


def _exit_codes() -> dict[str, Any]:
    """Return every class of errors with its exit code and the public class it derives from."""
    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.ZcloadError)]
    codes = {c.__name__: {"exit code": c.exit_code, "base": c.__base__.__name__} for c in classes}
    return codes | {"SIGINT": {"exit code": errors.Interrupted(2).exit_code}, "SIGTERM": {"exit code": errors.Interrupted(15).exit_code}}


def _leaves(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every key that a JSON Schema describes, as a path, with its default and its fixed choices."""
    seen: dict[str, dict[str, Any]] = {}
    _walk(schema, schema, "", seen)
    return iter(sorted(seen.items()))


def _walk(node: Any, root: dict[str, Any], path: str, seen: dict[str, dict[str, Any]]) -> None:
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        _walk(root["$defs"][node["$ref"].rpartition("/")[2]], root, path, seen)
    facts = seen.setdefault(path, {}) if path else {}
    if "default" in node:
        facts["default"] = node["default"]
    choices = [*node.get("enum", ()), *([node["const"]] if "const" in node else ())]
    if choices and path:
        facts["choices"] = {**facts.get("choices", {}), **{json.dumps(choice): {} for choice in choices}}
    for name, inner in node.get("properties", {}).items():
        _walk(inner, root, f"{path}.{name}" if path else name, seen)
    _walk(node.get("items"), root, f"{path}[]", seen)
    _walk(node.get("additionalProperties"), root, f"{path}.*", seen)
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in node.get(word, ()):
            _walk(inner, root, path, seen)


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(public_surface(), indent=1) + "\n", encoding="utf-8")
