"""The resolved config: defaults from the models, refused values left out, and no check across keys that breaks on either."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support.paths import ROOT

from zcload import config
from zcload.config.crossover import CrossoverSection
from zcload.config.resolved import REFUSED, ConfigTable, Resolved
from zcload.config.sections import StopSection, StudySection, VariantSection, WorkloadSection
from zcload.config.server_section import ServerSection
from zcload.errors import ConfigError
from zcload.model.study import Study

SECTIONS = (StudySection, WorkloadSection, StopSection, CrossoverSection, VariantSection, ServerSection)
# Results have keys of the same names, and their own ideas of what a missing one means.
READ_RESULTS = {"analysis", "compare", "report", "store"}
STUDY = {"name": "s", "baseline": "read_send", "variants": ["read_send", "sendfile"]}
BASES = {
    "files": {
        "study": STUDY,
        "workload": {"transfer": ["stream", "per-file"], "arrivals": "poisson", "transfer_rate": "50/s", "cache": "cold"},
        "variant": [{"name": "v", "mechanism": "mmap_send", "keep_mapping": True, "chunk": "4KiB"}],
    },
    "rate": {
        "study": STUDY,
        "workload": {"rate": ["1Mbit/s", "1Gbit/s"], "network": "veth", "mtu": 9000},
        "crossover": {"sweep": "chunk", "contender": "sendfile", "low": "4KiB", "high": "1MiB"},
    },
    "servers": {
        "study": {**STUDY, "baseline": "a"},
        "workload": {"transfer": "per-file", "socket_buffer": "1MiB", "file": "/f", "rate": "1Gbit/s"},
        "variant": [
            {"name": "a", "kind": "server", "command": ["x", "{certificate}", "{key}"], "tls": True, "port": 80, "over": "sendfile"},
            {"name": "b", "kind": "server", "attach": 1, "port": 80, "path": "/{name}", "request_size": "whole"},
        ],
    },
}
WRONG = [None, True, -1, 1.5, "", "auto", [], [["x"]], [{"x": ["y"]}], ["x", ["y"]], {}, {"x": [1]}, float("nan"), [[]]]


def places(tree: object, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of everything in *tree*, and of every key that its sections could have."""
    if path:
        yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from places(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from places(value, (*path, index))


def all_places(base: dict) -> list[tuple]:
    sections = {("study",): StudySection, ("workload",): WorkloadSection, ("stop",): StopSection, ("crossover",): CrossoverSection}
    sections |= {("variant", index): ServerSection if v.get("kind") else VariantSection for index, v in enumerate(base.get("variant", []))}
    possible = [(*path, key) for path, model in sections.items() for key in model.model_fields]
    return list(dict.fromkeys([*places(base), *possible]))


def with_value(base: dict, path: tuple, value: object) -> dict:
    tree = copy.deepcopy(base)
    place = tree
    for part in path[:-1]:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    place[path[-1]] = value
    return tree


def outcome(tree: dict) -> Study | ConfigError:
    try:
        return config.from_tree(tree)
    except ConfigError as error:
        return error


@pytest.mark.parametrize("name", BASES)
def test_any_type_at_any_key_is_a_study_or_a_config_error(name):
    """Lists, tables and numbers where a text is expected, at every key of every section, never give a traceback."""
    base = BASES[name]
    for path in all_places(base):
        for value in WRONG:
            assert isinstance(outcome(with_value(base, path, value)), Study | ConfigError)


@pytest.mark.parametrize("name", BASES)
def test_checks_across_keys_outlive_a_wrong_type_elsewhere(name):
    """A value of the wrong type takes away the findings that need its key, and none of a config that has nothing to do with it."""
    with pytest.raises(ConfigError) as plain:
        config.from_tree(BASES[name])
    with pytest.raises(ConfigError) as error:
        config.from_tree(with_value(BASES[name], ("stop", "target"), [["x"]]))
    assert len(plain.value.problems) > 1
    assert set(plain.value.problems) < set(error.value.problems)


def test_a_key_that_is_not_written_has_the_models_default():
    """The default comes parsed from the section's model, at the key's own path, and counts as unchanged."""
    workload = Resolved({"study": STUDY}).workload
    (chunk,) = workload.values("chunk")
    assert (chunk.path, chunk.value, chunk.written) == (("workload", "chunk"), 256 << 10, "256KiB")
    assert "chunk" not in workload
    assert all(workload.changed(key) == () for key in WorkloadSection.model_fields)
    assert Resolved({"study": STUDY}).stop.value("min_generations") == StopSection().min_generations


def test_refused_values_are_left_out_and_known_to_be():
    """A list keeps what its kind accepts, and a key with a refused value is never said not to hold something."""
    workload = Resolved({"workload": {"network": ["loopbck", "veth", ["veth"]], "senders": "four"}}).workload
    assert [(found.path, found.value) for found in workload.values("network")] == [(("workload", "network", 1), "veth")]
    assert not workload.is_known("network")
    assert not workload.never_holds("network", "loopback")
    assert workload.never_holds("cache", "cold")
    assert workload.value("senders") is REFUSED


@pytest.mark.parametrize("written", [None, 3, [], "x"])
def test_a_section_that_is_no_table_has_no_values(written):
    """Where a section itself is refused all of its keys are, defaults included."""
    table = ConfigTable(WorkloadSection, written, ("workload",))
    assert table.value("chunk") is REFUSED
    assert not table.is_known("chunk")
    assert not table.never_holds("transfer", "per-file")


def defaults() -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            if not field.is_required():
                found.setdefault(name, []).append(field.default)
    return found


def literal(node: ast.AST) -> list[object]:
    """Return the value of *node* in a list, an empty one where it is no literal."""
    try:
        return [ast.literal_eval(node)]
    except ValueError:
        return []


def copies(source: str) -> list[tuple[int, str]]:
    """Return line and key of each place in *source* where a key of the config stands before a literal that equals its default."""
    known, pairs = defaults(), []
    for node in ast.walk(ast.parse(source)):
        asks_for_a_value = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.endswith("holds")
        if isinstance(node, ast.Dict):
            pairs += [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key is not None]
        elif isinstance(node, ast.Call) and not asks_for_a_value:
            pairs += pairwise(node.args)
        elif isinstance(node, ast.Tuple | ast.List):
            pairs += pairwise(node.elts)
    return [
        (first.lineno, key)
        for first, second in pairs
        for key in literal(first)
        for value in literal(second)
        if isinstance(key, str) and any(type(value) is type(default) and value == default for default in known.get(key, []))
    ]


def test_a_copied_default_is_found():
    """The scan below sees a default beside its key in a call, in a pair and in a table, and not a question about a value."""
    assert [key for _, key in copies('t.get("chunk", "256KiB"); ("offloads", True); {"port": 0}')] == ["chunk", "offloads", "port"]
    assert copies('workload.holds("transfer", "stream"); t.get("chunk", "64KiB")') == []


def test_defaults_stand_in_the_section_models_alone():
    """No module beside the section models has a default of a config key written next to that key."""
    package = ROOT / "zcload"
    sources = [path for path in sorted(package.rglob("*.py")) if path.relative_to(package).parts[0] not in READ_RESULTS]
    assert len(sources) > 100
    found = {str(Path(path).relative_to(package)): copies(path.read_text()) for path in sources}
    assert {path: places for path, places in found.items() if places} == {}
