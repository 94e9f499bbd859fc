"""What users, scripts and stored results rely on stays: nothing in the snapshot of the last release is renamed, removed or changed."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from support.public_surface import SNAPSHOT, missing, public_surface

BEFORE = json.loads(SNAPSHOT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def surface():
    """Return the public surface as it is now."""
    return json.loads(json.dumps(public_surface()))


@pytest.mark.parametrize("part", BEFORE)
def test_nothing_public_is_renamed_or_removed(part, surface):
    """Every command, option, key, name, default and exit code of the snapshot is still there with the same value."""
    assert BEFORE[part]
    assert not list(missing(BEFORE[part], surface[part], part))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("commands", "zcload run", "--out"), None),
        (("commands", "zcload demo", "--rounds", "default"), 6),
        (("exit codes", "GateTripped", "exit code"), 4),
        (("config keys", "stop.target", "default"), "5%"),
        (("config keys", "study.schedule", "choices", '"together"'), None),
        (("summary.json keys", "points[].variants[].name"), None),
        (("python", "functions", "run", "seed"), None),
    ],
)
def test_a_change_of_the_surface_is_found(path, value):
    """Removing or changing any one entry is reported with the path of that entry."""
    changed = deepcopy(BEFORE)
    *parents, last = path
    inner = changed
    for name in parents:
        inner = inner[name]
    assert last in inner
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    (line,) = missing(BEFORE, changed)
    assert line.startswith(" > ".join(path))


def test_what_is_new_is_no_change():
    """A new command, option, key or metavar is not reported."""
    changed = deepcopy(BEFORE)
    changed["commands"]["zcload measure"] = {"--fast": {"default": False}}
    assert changed["commands"]["zcload run"]["--seed"]["metavar"] is None
    changed["commands"]["zcload run"]["--seed"]["metavar"] = "N"
    changed["metrics"]["sender_joules_per_gb"] = {"unit": "J/GB", "better": "lower"}
    assert not list(missing(BEFORE, changed))
