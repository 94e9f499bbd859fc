"""Lanes of small servers of the tests' own, set up as a study sets them up, and ended with the block."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

from zcload.lane.network import Network
from zcload.lane.placement import Placement
from zcload.lane.small_files.transfer_plan import catalogue_of, expected_digests
from zcload.model.study import Point, Server, Variant
from zcload.server.root import DocumentRoot, ServedFile, write_files
from zcload.server.server_lane import set_up_server

RANGES = ("{python}", str(Path(__file__).parent / "range_server.py"), "{port}", "{root}")
WHOLE = ("{python}", "-m", "http.server", "--bind", "{address}", "-d", "{root}", "{port}")  # ignores ranges, closes after each answer


@contextmanager
def server_lanes(size, name="f"):
    """Yield a function that brings up a lane of a server that serves a file *name* of *size*.

    It is ready for windows unless not to *start*, and is started by *command*, or is the *server* given. With *verify* what it serves
    is held against the file's digests, or those of another one that is open as *against*.
    """
    root = DocumentRoot()
    (root.root / name).write_bytes(bytes(range(251)) * (size // 251 + 1))
    os.truncate(root.root / name, size)
    fd = os.open(root.root / name, os.O_RDONLY)
    lanes = []

    def bring_up(
        command=RANGES, request=0, receivers=1, sink="recv", verify=False, against=None, seed=0, start=True, server=None, **workload
    ):
        point = Point(file_size=size, placement="free", socket_buffer=None, receivers=receivers, sink=sink, **workload)
        prefix = None
        if point.transfer == "per-file":
            prefix = f"s{len(lanes)}-"
            write_files(root.root, prefix, catalogue_of(point, size), fd)
        everywhere = frozenset(os.sched_getaffinity(0))
        placement = Placement((everywhere,) * point.senders, (everywhere,) * point.receiver_count, everywhere)
        variant = Variant("s", "server", server=server or Server(command, grace_s=1.0, request_bytes=request))
        served = ServedFile(root, name, str(root.root / name), size, prefix)
        made = set_up_server(variant.at(point), point, served, placement, Network("127.0.0.1"), seed=seed)
        lanes.append(made)
        if verify:
            made.verify(expected_digests(point, against or fd, size), 10.0)
        elif start:
            made.ready()
        return made

    try:
        yield bring_up
    finally:
        for each in lanes:
            each.tear_down()
        os.close(fd)
        root.close()
