"""The JSON Schemas (2020-12) of summary.json and of a line of windows.jsonl, generated from the types of what is stored."""

from __future__ import annotations

from collections.abc import Mapping

from zcload.model.metrics import FIRST_METRICS, METRICS
from zcload.model.records import lines, summary
from zcload.store.codec import line_adapter, summary_adapter

DRAFT = "https://json-schema.org/draft/2020-12/schema"

# What a type does not say: which texts are metrics, and which metrics every result has.
_METRIC: dict[str, object] = {"enum": list(METRICS)}
_REFINED: dict[tuple[str, str], dict[str, object]] = {
    ("ComparisonRecord", "metric"): _METRIC,
    ("CrossoverRecord", "metric"): _METRIC,
    ("Summary", "headline"): _METRIC,
    ("Summary", "schema"): {"const": summary.SCHEMA},
    ("Header", "schema"): {"const": lines.SCHEMA},
    ("VariantRecord", "metrics"): {"required": list(FIRST_METRICS)},
}
# Names of Python types, keys that may be more in any case, and bounds that only guard arithmetic say nothing to a reader.
_LEFT_OUT = frozenset(("title", "maximum", "exclusiveMaximum", "propertyNames", "discriminator", "$defs"))


def summary_schema() -> dict[str, object]:
    """Return the schema of summary.json. Unknown keys are allowed everywhere: adding keys is free."""
    generated = summary_adapter().json_schema()
    return {"$schema": DRAFT, "title": "zcload summary", **_object(generated, generated.get("$defs", {}), "Summary")}


def line_schema() -> dict[str, object]:
    """Return the schema of a line of windows.jsonl: one of the kinds that this version writes."""
    generated = line_adapter().json_schema()
    kinds = [_plain(each, generated["$defs"]) for each in generated["oneOf"]]
    return {"$schema": DRAFT, "title": "a line of a zcload windows.jsonl", "oneOf": kinds}


def _object(schema: Mapping[str, object], types: Mapping[str, Mapping[str, object]], name: str) -> dict[str, object]:
    """Return the schema of the object type *name*, with the schemas of its parts put in."""
    found: dict[str, object] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            found[key] = {inner: _refined(_plain(part, types), (name, inner)) for inner, part in value.items()}
        elif key not in _LEFT_OUT and not (key == "additionalProperties" and value is True):
            found[key] = _plain(value, types)
    return found


def _refined(schema: object, place: tuple[str, str]) -> object:
    more = _REFINED.get(place)
    if more is None or not isinstance(schema, dict):
        return schema
    return {**({} if "enum" in more or "const" in more else schema), **more}


def _plain(schema: object, types: Mapping[str, Mapping[str, object]]) -> object:
    """Return *schema* with references put in, and with a type that may be null written as such."""
    if isinstance(schema, list):
        return [_plain(each, types) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _object(types[name], types, name)
    found = {
        key: _plain(value, types) for key, value in schema.items() if key not in _LEFT_OUT and not (key == "minimum" and _guards(value))
    }
    if found.get("additionalProperties") is True:
        del found["additionalProperties"]
    return _nullable(found)


def _guards(minimum: object) -> bool:
    return isinstance(minimum, int | float) and minimum < 0


def _nullable(schema: dict[str, object]) -> dict[str, object]:
    """Return {"anyOf": [X, null]} as X with a second type or a further value."""
    either = schema.get("anyOf")
    if not isinstance(either, list) or len(either) != 2 or either[1] != {"type": "null"} or not isinstance(either[0], dict):
        return schema
    first: dict[str, object] = either[0]
    if "enum" in first and isinstance(first["enum"], list):
        return {"enum": [*first["enum"], None]}
    if isinstance(first.get("type"), str):
        return {**first, "type": [first["type"], "null"]}
    return schema
