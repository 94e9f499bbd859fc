"""A server that serves the file of a lane: started or attached to, and asked for the file until it sends it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.lane.network import Network, family_of
from zcload.lane.placement import Placement
from zcload.lane.small_files.transfer_plan import TransferPlan
from zcload.model.placeholders import fill
from zcload.model.study import Contender, Point, Server
from zcload.server.http.probe import NotFoundError, probe
from zcload.server.http.target import Target
from zcload.server.ownership import check_owner
from zcload.server.root import ServedFile, name_of
from zcload.server.running import RunningServer, bracketed, free_port, values_of
from zcload.server.tree import ObservedTree

_MARK = "\0"  # where the name of a file stands in a path: no path has one of its own


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that has served the file.

    *tree* is its processes, *target* what its receivers ask for, *paths* the pieces of a path on the server between which a file's
    name stands, *ready_ns* what each source of its CPU time said at that moment, *cut* whether it has only the beginning of the
    file, and *odd* what was unusual about the end of an earlier start.
    """

    running: RunningServer
    tree: ObservedTree
    target: Target
    paths: tuple[str, ...]
    ready_ns: Mapping[str, int | None]
    cut: bool = False
    odd: str | None = None

    def cpu_ns(self) -> dict[str, int | None]:
        """Return what each source has counted since it was ready: the start is left out, which its process began outside the group."""
        return {
            name: None if at is None or (before := self.ready_ns.get(name)) is None else at - before
            for name, at in self.tree.readings_ns().items()
        }


def serve(
    variant: Contender, point: Point, served: ServedFile, placement: Placement, network: Network, plan: TransferPlan | None
) -> Serving:
    """Have the server of *variant* serve the file, or with a *plan* its small files; raises StudyError, OSError, Interrupted.

    A server that ignores ranges is started again with a shorter file, where there is one.
    """
    if variant.server is None:
        raise ValueError(f"variant {variant.name} has no server")
    if variant.name in served.root.whole_only:
        served = served.for_whole_answers()
    starter = _Starter(variant, variant.server, point, placement, network, plan)
    serving = starter.start(served)
    if serving.target.ranges or variant.server.attach is not None:
        return serving
    try:
        shorter = served.for_whole_answers()
    except BaseException:
        serving.running.stop()
        raise
    odd = None
    if shorter is not served:
        served.root.whole_only.add(variant.name)
        odd = serving.running.stop()
        serving = starter.start(shorter)
    return replace(serving, cut=shorter.cut, odd=odd)


@dataclass(frozen=True, slots=True)
class _Starter:
    """Starts the *server* of a lane, or attaches to it."""

    variant: Contender
    server: Server
    point: Point
    placement: Placement
    network: Network
    plan: TransferPlan | None

    def start(self, served: ServedFile) -> Serving:
        """Start it with the file *served* and wait until it serves that; with an error it is stopped again."""
        server, network, address = self.server, self.network, self.network.server_address
        values = values_of(address, served.path, served.name)
        port = server.port or free_port(address, partial(network.sockets, "sender"))
        running = RunningServer(self.variant.name, server, port)
        try:
            if server.attach is not None:
                tree = running.attach()
            else:
                tree = running.launch(served.root, values, frozenset().union(*self.placement.senders), network)
            known = {**values, "port": str(port), "dir": ""}
            known |= {"name": _MARK, "file": f"{quote(os.fsencode(Path(served.path).parent))}/{_MARK}"}
            paths = tuple(fill(server.path, known).split(_MARK))
            ask = partial(self._ask, served, paths, running)
            target = running.wait_ready(address, ask, partial(network.sockets, "receiver"))
            check_owner(self.variant.name, [member.pid for member in tree.members()], address, port)
            return Serving(running, tree, target, paths, tree.readings_ns())
        except BaseException:
            running.stop()
            raise

    def _ask(self, served: ServedFile, paths: tuple[str, ...], running: RunningServer, port: int) -> Target:
        """Ask the server at *port* for the file, or for the first of the small ones; raises StudyError."""
        address, plan = self.network.server_address, self.plan
        name, size, wanted = served.name, served.size, self.variant.burst_bytes
        if plan is not None and served.files is not None:
            name, size = name_of(served.files, 0), plan.catalogue.sizes[0]
            wanted = size
        try:
            found = probe(
                address,
                port,
                host=f"{bracketed(address)}:{port}",
                path=quote(os.fsencode(name)).join(paths),
                size=size,
                bytes_per_request=wanted,
                connections=self.point.senders,
                tls=running.trust,
                http2_window=running.server.http2_window_bytes if running.server.http2 else None,
                sockets=partial(self.network.sockets, "receiver"),
            )
        except NotFoundError as error:
            raise StudyError(f"{error}{_hint(self.server, served)}") from None
        return found if plan is None else replace(found, ranges=False)


def _hint(server: Server, served: ServedFile) -> str:
    """Say where to look for the file that was not found: at the path of a server that runs already, or at a link in zcload's own root."""
    if server.attach is not None:
        return "; set path of the variant to where this server has workload.file"
    if not os.path.islink(served.path):
        return ""
    return (
        f"; {served.path} is a symbolic link to {os.readlink(served.path)}, and some servers do not follow links: "
        "have it follow them (StaticFiles of Starlette: follow_symlink=True), or leave workload.file out, and zcload makes a file in {root}"
    )


def check_port(server: Server, network: Network) -> None:
    """Raise ConfigError if the fixed port of *server* is in use."""
    if not server.port or server.attach is not None:
        return
    address = network.server_address
    (sock,) = network.sockets("sender", family_of(address), 1)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, server.port))
        except OSError as error:
            what = f"cannot bind port {server.port} on {address}: {reason_of(error)}"
            raise ConfigError(Problem(what, key="variant.port", remedy="port = 0 takes any free one")) from None
