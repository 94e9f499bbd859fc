"""The config in JSON Schema 2020-12: the models' own description, plus what the registries know about mechanisms' options."""

from __future__ import annotations

from typing import Any

from zcload.config.registries import mechanism_names, mechanism_options
from zcload.config.root import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def describe() -> dict[str, Any]:
    """Return the schema: it takes every config that zcload takes; limits that need arithmetic or several keys are left to zcload."""
    schema = Config.model_json_schema()
    variant = schema["$defs"]["VariantSection"]
    variant["additionalProperties"] = False
    variant["properties"]["kind"]["enum"].remove("server")
    server = schema["$defs"]["ServerSection"]
    server["additionalProperties"] = False
    server["oneOf"] = [{"required": ["command"]}, {"required": ["attach", "port"]}]
    for key in ("attach", "sink", "over", "install"):
        del server["properties"][key]["default"]
    for key in ("chunk", "sink"):
        del variant["properties"][key]["default"]  # unset is not a value that a config can have
    owners: dict[str, list[str]] = {}
    for mechanism in mechanism_names():
        for option, kind in mechanism_options(mechanism).items():
            owners.setdefault(option, []).append(mechanism)
            variant["properties"][option] = {**_described(kind), "description": f"Option of {' and '.join(owners[option])}."}
    variant["allOf"] = [
        {"if": {"required": [option]}, "then": {"properties": {"mechanism": {"enum": mechanisms}}}} for option, mechanisms in owners.items()
    ]
    return {"$schema": DIALECT, "title": "zcload config", **{key: value for key, value in schema.items() if key != "title"}}


def _described(kind: type | range) -> dict[str, Any]:
    return {"type": "integer", "minimum": kind[0], "maximum": kind[-1]} if isinstance(kind, range) else {"type": _TYPES[kind]}
