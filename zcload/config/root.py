"""The config as a whole: its sections, the two kinds of variants, their keys, and its JSON Schema (2020-12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Field, Tag

from zcload.config.cluster_section import ClusterSection
from zcload.config.crossover import CrossoverSection
from zcload.config.registries import mechanism_names, mechanism_options
from zcload.config.sections import Section, StopSection, StudySection, VariantSection, WorkloadSection, key
from zcload.config.server_section import ServerSection
from zcload.config.values import mechanism_schema

if TYPE_CHECKING:
    from zcload.mechanisms.base import OptionKind

# Pydantic names the kind in the path of an error: no key of a config looks like these.
MECHANISM_TAG, SERVER_TAG = "<mechanism>", "<server>"


def is_server(variant: object) -> bool:
    """Say whether *variant*, a table of a config, is one of a server."""
    return isinstance(variant, dict) and variant.get("kind") == "server"


def _kind(variant: object) -> str:
    return SERVER_TAG if is_server(variant) or isinstance(variant, ServerSection) else MECHANISM_TAG


class Config(Section):
    """A zcload study: variants x points, a baseline and a stopping rule."""

    study: StudySection = Field(description="What is compared with what.")
    workload: WorkloadSection = Field(
        default_factory=WorkloadSection,
        description="What is sent and how; any key may be a list, and the points are the product of the lists.",
    )
    stop: StopSection = Field(default_factory=StopSection, description="When a point has been measured enough.")
    crossover: CrossoverSection | None = key(None, "Where does a contender start to beat the baseline? Left out: an ordinary study.")
    cluster: ClusterSection | None = key(None, "The hosts of a study that runs on several. Left out: one machine.")
    variant: list[
        Annotated[
            Annotated[VariantSection, Tag(MECHANISM_TAG)] | Annotated[ServerSection, Tag(SERVER_TAG)],
            Discriminator(_kind),
        ]
    ] = key([], "Long form of contenders, beside or instead of study.variants.")

    def tree(self) -> dict[str, Any]:
        """Return the whole config as text that a config file accepts, every workload value in a list."""
        absent = (name for name in ("crossover", "cluster") if getattr(self, name) is None)
        dumped = self.model_dump(exclude={"variant", *absent})
        return dumped | {"variant": [variant.model_dump(exclude_unset=True) for variant in self.variant]}


KEYS: dict[tuple[str | int, ...], tuple[str, ...]] = {
    (): tuple(Config.model_fields),
    ("study",): tuple(StudySection.model_fields),
    ("workload",): tuple(WorkloadSection.model_fields),
    ("crossover",): tuple(CrossoverSection.model_fields),
    ("cluster",): tuple(ClusterSection.model_fields),
    ("stop",): tuple(StopSection.model_fields),
    ("variant",): tuple(VariantSection.model_fields),
}

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def describe() -> dict[str, Any]:
    """Return the schema: it takes every config that zcload takes; limits that need arithmetic or several keys are left to zcload."""
    schema = Config.model_json_schema()
    variant = schema["$defs"]["VariantSection"]
    del variant["additionalProperties"]
    variant["unevaluatedProperties"] = False  # a mechanism in a file has options that only zcload knows
    variant["properties"]["kind"]["enum"].remove("server")
    server = schema["$defs"]["ServerSection"]
    server["additionalProperties"] = False
    server["oneOf"] = [{"required": ["command"]}, {"required": ["attach", "port"]}]
    for name in ("attach", "sink", "over", "install"):
        del server["properties"][name]["default"]
    for name in ("chunk", "sink", "header"):
        del variant["properties"][name]["default"]  # unset is not a value that a config can have
    owners: dict[str, list[str]] = {}
    for mechanism in mechanism_names():
        for option, kind in mechanism_options(mechanism).items():
            owners.setdefault(option, []).append(mechanism)
            variant["properties"][option] = {**_described(kind), "description": f"Option of {' and '.join(owners[option])}."}
    variant["allOf"] = [
        {"if": {"required": [option]}, "then": {"properties": {"mechanism": mechanism_schema(mechanisms)}}}
        for option, mechanisms in owners.items()
    ]
    in_file = {"mechanism": mechanism_schema(())["anyOf"][1]}
    variant["allOf"].append({"if": {"properties": in_file}, "then": {"additionalProperties": True}})
    return {"$schema": DIALECT, "title": "zcload config", **{name: value for name, value in schema.items() if name != "title"}}


def _described(kind: OptionKind) -> dict[str, Any]:
    if isinstance(kind, tuple):
        return {"enum": list(kind)}
    return {"type": "integer", "minimum": kind[0], "maximum": kind[-1]} if isinstance(kind, range) else {"type": _TYPES[kind]}
