"""Control groups of servers: what is looked for where there is nothing to be found."""

from __future__ import annotations

import re

import pytest

from zcload.server import cgroup


@pytest.mark.parametrize("own", ["gone", None])
def test_a_group_that_is_not_there_has_none_left_over(monkeypatch, tmp_path, own):
    """Where this process's own group was removed, or there is no cgroup v2, nothing is left over, and nothing fails."""
    monkeypatch.setattr(cgroup, "own_group", lambda: tmp_path / own if own else None)
    assert cgroup.left_groups(re.compile("zcload.*")) == []
