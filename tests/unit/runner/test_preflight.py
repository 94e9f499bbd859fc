"""What is settled before anything is forked: the placement that `auto` means, and what a host of one CPU is told."""

from __future__ import annotations

import pytest

from zcload.config import from_tree
from zcload.host.topology import Core
from zcload.runner import preflight


def study(**workload):
    """Return a study with these workload values."""
    return from_tree({"study": {"name": "s", "baseline": "read_send", "variants": ["read_send", "sendfile"]}, "workload": workload}, None)


@pytest.mark.parametrize(
    ("cpus", "placement", "taken"),
    [
        (1, None, ["same"]),
        (2, None, ["spread"]),
        (1, ["auto", "same", "free"], ["same", "free"]),
        (2, ["auto", "same", "spread"], ["spread", "same"]),
    ],
)
def test_auto_is_settled_before_the_run(monkeypatch, cpus, placement, taken):
    """The default placement is one that this host can do; of two points that come to be alike one is measured."""
    monkeypatch.setattr(preflight, "read_cores", lambda: tuple(Core((cpu,), (cpu,)) for cpu in range(cpus)))
    found = preflight.resolve(study(**({} if placement is None else {"placement": placement})))
    assert [point.placement for point in found.points] == taken
    assert preflight.resolve(found) == found


def test_one_cpu_is_said():
    """A study whose senders and receivers share the only CPU has a note about it; one that shares a CPU of several has none."""
    on_one = preflight.cautions(study(placement="same"), {"cpus_allowed": [3]})
    on_two = preflight.cautions(study(placement="same"), {"cpus_allowed": [2, 3]})
    assert "one_cpu" in {found.code for found in on_one}
    assert "one_cpu" not in {found.code for found in on_two}
