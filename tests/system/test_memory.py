"""A sender's private memory: it does not grow with the file, except where a mechanism says that it does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zcload.host.machine import Machine
from zcload.lane.placement import Placement
from zcload.lane.set_up import set_up
from zcload.mechanisms import MECHANISMS
from zcload.model.study import Point, Variant
from zcload.runner.window import measure

EVERYWHERE = frozenset(os.sched_getaffinity(0))
SMALL, LARGE = 4 << 20, 64 << 20


def private_bytes(mechanism, size):
    """Return the anonymous memory of a sender at rest after it has sent a file of *size* bytes at least in part."""
    fd = os.memfd_create("zcload-test")
    os.truncate(fd, size)
    machine = Machine()
    lane = set_up(
        Variant(mechanism, mechanism).at(Point(file_size=size)),
        Point(file_size=size),
        fd=fd,
        size=size,
        placement=Placement((EVERYWHERE,), (EVERYWHERE,), EVERYWHERE),
        congestion=None,
        verify=False,
    )
    try:
        lane.ready()
        measure(lane, 0.05, machine)
        # Not the USS: that counts the pages of a file mapping too, if nobody else has mapped them.
        rollup = Path(f"/proc/{lane.workers.senders[0].pid}/smaps_rollup").read_text()
        return 1024 * int(rollup.partition("Anonymous:")[2].split()[0])
    finally:
        lane.tear_down()
        machine.close()
        os.close(fd)


@pytest.mark.parametrize("name", [name for name, cls in MECHANISMS.items() if cls.private_bytes(LARGE, 1) < LARGE])
def test_private_memory_does_not_grow_with_the_file(name):
    """A file sixteen times as large takes no more private memory of the sender than a buffer or two."""
    if (why := MECHANISMS[name].probe()) is not None:
        pytest.skip(f"{why.reason}; remedy: {why.remedy}")
    assert private_bytes(name, LARGE) - private_bytes(name, SMALL) < 4 << 20


def test_two_mechanisms_need_the_file_as_private_memory():
    """The mechanisms whose private memory grows with the file say so, which is what is checked before a lane starts."""
    needing = [name for name, cls in MECHANISMS.items() if cls.private_bytes(LARGE, 4096) >= LARGE]
    assert needing == ["slurp_send", "uring_send_zc_mapped"]
