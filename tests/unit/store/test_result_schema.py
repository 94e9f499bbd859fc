"""The generated schemas declare what the hand-written one declared, and every line and summary satisfies them."""

from __future__ import annotations

import json

import jsonschema
import pytest
from support.fake_results import example
from support.paths import DATA, FIRST_RELEASE

from zcload.store.result_schema import line_schema, summary_schema

BEFORE = json.loads((DATA / "summary-schema.json").read_text())


def not_null(schema):
    """Return *schema* without the alternative of null."""
    return next((each for each in schema["anyOf"] if each.get("type") != "null"), schema) if "anyOf" in schema else schema


def types(schema):
    found = schema.get("type", [])
    return set(found if isinstance(found, list) else [found]) - {"null"}


def lost(before, now, path="summary"):
    """Yield what *before* declared and *now* does not: keys, required keys, types, values."""
    before, now = not_null(before), not_null(now)
    if types(before) - types(now):
        yield f"{path}: type {types(before)}, is {types(now)}"
    if set(map(str, before.get("enum", ()))) - {"None"} - set(map(str, now.get("enum", ()))):
        yield f"{path}: values"
    if before.get("const") != now.get("const"):
        yield f"{path}: const"
    if set(before.get("required", ())) - set(now.get("required", ())):
        yield f"{path}: required {set(before['required']) - set(now.get('required', ()))}"
    for key, inner in before.get("properties", {}).items():
        if key in now.get("properties", {}):
            yield from lost(inner, now["properties"][key], f"{path}.{key}")
        else:
            yield f"{path}.{key}: is gone"
    for key in ("items", "additionalProperties"):
        if isinstance(before.get(key), dict):
            yield from lost(before[key], now.get(key, {}), f"{path}[]")


def test_all_that_was_declared_is_declared():
    """Every key, type, value and requirement of the schema before it was generated is still there."""
    assert not list(lost(BEFORE, summary_schema()))


@pytest.mark.parametrize("key", ["points", "name"])
def test_the_comparison_finds_what_is_lost(key):
    """The comparison with the schema before notices a key that is gone."""
    now = json.loads(json.dumps(summary_schema()))
    del now["properties"][key]
    assert list(lost(BEFORE, now)) == [f"summary.{key}: is gone"]


def test_lines_satisfy_their_schema():
    """The lines of the first release and those of today satisfy the schema of a line, which is a valid one."""
    schema = line_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    lines = [json.loads(line) for line in (FIRST_RELEASE / "windows.jsonl").read_text().splitlines()]
    seen = {}
    for line in [*lines, *json.loads(json.dumps(example()))]:
        seen.setdefault(line["kind"], line)
    for line in seen.values():
        check.validate(line)
    with pytest.raises(jsonschema.ValidationError):
        check.validate({key: value for key, value in seen["window"].items() if key != "senders"})
