"""Control groups with limits, in whichever version of cgroups has the controller on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNTS = Path("/sys/fs/cgroup")
FULL = 100_000  # the period of a CPU quota, us


def limits_of(controller: str, limit: float, version: int) -> dict[str, str]:
    """Return the files that hold *limit* in a group of *controller*, with their text: CPUs, processes or bytes.

    Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, cgroup-v1/pids.rst, scheduler/sched-bwc.rst.
    """
    match controller, version:
        case "cpu", 2:
            return {"cpu.max": f"{limit * FULL:.0f} {FULL}"}
        case "cpu", _:
            return {"cpu.cfs_period_us": str(FULL), "cpu.cfs_quota_us": f"{limit * FULL:.0f}"}
        case "memory", 2:
            return {"memory.max": f"{limit:.0f}"}
        case "memory", _:
            return {"memory.limit_in_bytes": f"{limit:.0f}"}
    return {f"{controller}.max": f"{limit:.0f}"}


@contextmanager
def limited_group(controller: str, limit: float) -> Iterator[Path]:
    """Make a group in which *controller* sets *limit*, and remove it afterwards; raises OSError where that is not allowed."""
    parent, version = _hierarchy(controller)
    path = parent / f"zcload-test-{os.getpid()}-{controller}"
    path.mkdir()
    try:
        for name, text in limits_of(controller, limit, version).items():
            (path / name).write_text(text)
        yield path
    finally:
        path.rmdir()


def _hierarchy(controller: str) -> tuple[Path, int]:
    """Return the top directory of the hierarchy with *controller*, and its version; a controller belongs to one at a time (cgroups(7))."""
    for top in (MOUNTS, MOUNTS / "unified"):
        there = top / "cgroup.controllers"
        if there.exists() and controller in there.read_text().split():
            (top / "cgroup.subtree_control").write_text(f"+{controller}")
            return top, 2
    return MOUNTS / controller, 1
