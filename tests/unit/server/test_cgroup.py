"""Control groups of servers: whose they are while other runs look for leftovers, and where there are none."""

from __future__ import annotations

import os
import re
import shutil
from types import SimpleNamespace

import pytest

from zcload.server import cgroup


@pytest.mark.parametrize("own", ["gone", None])
def test_a_group_that_is_not_there_has_none_left_over(monkeypatch, tmp_path, own):
    """Where this process's own group was removed, or there is no cgroup v2, nothing is left over, and nothing fails."""
    monkeypatch.setattr(cgroup, "own_group", lambda: tmp_path / own if own else None)
    assert list(cgroup.left_groups(re.compile("zcload.*"))) == []


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """Have groups made below a directory that is no cgroup; return the path of the group, and what happens at each pause."""
    group, at_pause = tmp_path / "g", []

    def make(name, host=None):
        group.mkdir()
        (group / "cgroup.procs").write_text("")
        return group

    monkeypatch.setattr(cgroup, "make_group", make)
    monkeypatch.setattr(cgroup, "time", SimpleNamespace(sleep=lambda seconds: at_pause.pop(0)() if at_pause else None))
    return group, at_pause


def test_a_new_group_is_had_though_another_run_looks_at_it(groups, monkeypatch):
    """A run that looks for leftovers holds the lock of a new group for a moment: the group is locked after that."""
    group, at_pause = groups
    make, looking = cgroup.make_group, []

    def made_and_looked_at(name, host=None):
        make(name)
        looking.append(cgroup._locked(group))
        return group

    monkeypatch.setattr(cgroup, "make_group", made_and_looked_at)
    at_pause += [lambda: None, lambda: os.close(looking[0])]
    found, fd = cgroup.hold_new_group("g")
    assert (found, at_pause) == (group, [])
    assert cgroup._locked(group) is None
    os.close(fd)


def test_a_new_group_that_another_run_has_removed_is_made_again(groups, monkeypatch):
    """A run that took the new group for a leftover has removed it: the supervisor makes it again, and locks that."""
    group, _ = groups
    make, made = cgroup.make_group, []

    def made_and_removed(name, host=None):
        made.append(make(name))
        if len(made) == 1:
            shutil.rmtree(group)
        return group

    monkeypatch.setattr(cgroup, "make_group", made_and_removed)
    found, fd = cgroup.hold_new_group("g")
    os.close(fd)
    assert (found, len(made)) == (group, 2)


def test_a_leftover_is_locked_while_it_is_removed(groups, monkeypatch, tmp_path):
    """Nobody can move into an empty group between the look at it and its removal."""
    group, _ = groups
    cgroup.make_group("g")
    monkeypatch.setattr(cgroup, "own_group", lambda: tmp_path)
    for path in cgroup.left_groups(re.compile("g")):
        assert path == group
        assert cgroup._locked(group) is None
    os.close(cgroup._locked(group))
