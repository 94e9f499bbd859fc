"""The limit behind a refused fork is called by its name."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from zcload.host.process_limits import process_refused
from zcload.host.topology import Host

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
V1 = "31 23 0:27 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids"
GROUPS = {
    "v2": ("0::/a/b", V2, "sys/fs/cgroup/a"),
    "v1": ("8:pids:/a/b", V1, "sys/fs/cgroup/pids/a"),
}


def refused(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("version", GROUPS)
def test_a_full_control_group_is_named(version, tmp_path):
    """A group, or one above it, that has as many processes as it may is named with both numbers, in both versions of cgroups."""
    group, mount, directory = GROUPS[version]
    for path, text in {
        "proc/self/cgroup": group,
        "proc/self/mountinfo": mount,
        f"{directory}/pids.max": "20",
        f"{directory}/pids.current": "20",
        f"{directory}/b/pids.max": "max",
        f"{directory}/b/pids.current": "20",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")
    found = process_refused(refused(errno.EAGAIN), Host(tmp_path))
    says = "resource temporarily unavailable (its control group may have 20 processes and has 20: raise"
    assert found == f"{says} /{directory}/pids.max)"
    (tmp_path / directory / "pids.current").write_text("19\n")
    assert "pids.max" not in process_refused(refused(errno.EAGAIN), Host(tmp_path))


@pytest.mark.parametrize(
    ("limit", "number", "names"),
    [
        ("RLIMIT_NPROC", errno.EAGAIN, "this user may have 77777: raise `ulimit -u`"),
        ("RLIMIT_AS", errno.ENOMEM, "the address space of a process is limited to 64 TiB: raise `ulimit -v`"),
    ],
)
def test_a_limit_of_the_user_is_named(limit, number, names, tmp_path, monkeypatch):
    """Outside such a group the limits of the user and of the process are named with their values."""
    values = {"RLIMIT_NPROC": 77777, "RLIMIT_AS": 64 << 40}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (values[limit],) * 2 if which == getattr(resource, limit) else (-1, -1))
    assert names in process_refused(refused(number), Host(tmp_path))
