"""From a study's `[cluster]` to hosts with roles: the engine of the scheduler's address, who is there, and who sends to whom."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from zcload import __version__
from zcload.cluster.engine import Engine, EngineHost
from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.lane.network import Role
from zcload.model.cluster import Cluster, HostChoice, Link, links_of
from zcload.model.units import shown


@dataclass(frozen=True, slots=True)
class Casting:
    """The hosts of a run and their roles. *control* is the address of this host to which agents connect."""

    cluster: Cluster
    engine: Engine
    addresses: dict[str, str]  # of the data network, as asked for, by host
    links: tuple[Link, ...]
    control: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that take part."""
        return tuple(dict.fromkeys(host for link in self.links for host in (link.sender, link.receiver)))

    def roles(self, host: str) -> list[Role]:
        """Return what *host* does: "sender", "receiver" or both."""
        both: list[Role] = ["sender", "receiver"]
        return [role for role in both if any(getattr(link, role) == host for link in self.links)]


def open_engine(cluster: Cluster) -> Engine:
    """Connect to the engine of *cluster*; raises ConfigError, StudyError."""
    from zcload.cluster.dask_engine import DaskEngine

    return DaskEngine.attach(cluster)


def cast_roles(cluster: Cluster, engine: Engine | None = None) -> Casting:
    """Give the hosts of *engine* (None: that of the scheduler) their roles; raises ConfigError, StudyError.

    The engine is closed with the run, or here if this fails.
    """
    engine = engine or open_engine(cluster)
    try:
        return assign_roles(cluster, engine)
    except BaseException:
        engine.close()
        raise


def assign_roles(cluster: Cluster, engine: Engine) -> Casting:
    """Give the hosts of *engine* their roles; raises ConfigError, StudyError. The engine stays open."""
    there = {host.name: host for host in engine.hosts()}
    senders = _choose(cluster.senders, "senders", there, taken=())
    receivers = _choose(
        cluster.receivers, "receivers", there, taken=() if cluster.pattern == "mesh" and cluster.receivers.names else senders
    )
    links = links_of(cluster.pattern, senders, receivers)
    for link in links:
        for name in (link.sender, link.receiver):
            _check_version(there[name])
    addresses = {name: cluster.network_of(name) or there[name].address for link in links for name in (link.sender, link.receiver)}
    return Casting(cluster, engine, addresses, links, cluster.control or _route_to(there[links[0].sender].address))


def _choose(choice: HostChoice, key: str, there: dict[str, EngineHost], taken: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts that *choice* asks for among those that are *there*; a host with both roles takes the one it is not *taken* for."""
    names = ", ".join(there) or "none"
    if choice.names:
        missing = [name for name in choice.names if name not in there]
        if missing:
            what = f"no host is called {shown(missing[0])}; there are: {names}"
            raise ConfigError(Problem(what, key=f"cluster.{key}", remedy="see `zcload cluster check`"))
        return choice.names
    role = choice.resource or key.removesuffix("s")
    able = [name for name, host in there.items() if role in host.resources and name not in taken]
    wanted = choice.count or len(able)
    if not able or wanted > len(able):
        what = f"{wanted or 1} hosts with the role {shown(role)} are wanted, and {len(able)} of {len(there)} have it; there are: {names}"
        remedy = f"start workers with --resources {role}=1, or name hosts"
        raise ConfigError(Problem(what, key=f"cluster.{key}", remedy=remedy))
    return tuple(able[:wanted])


def _check_version(host: EngineHost) -> None:
    """Raise StudyError if *host* runs another zcload: its records would mean something else."""
    if host.zcload_version is not None and host.zcload_version != __version__:
        versions = f"zcload {host.zcload_version} there, {__version__} here"
        raise StudyError(f"host {host.name}: {versions}: install the same version on all hosts")


def _route_to(address: str) -> str:
    """Return the address of this host that packets to *address* come from; raises StudyError. Sends nothing: a UDP socket is only bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, 9))
        except OSError as error:
            raise StudyError(f"no route to {address}: {reason_of(error)} (set cluster.control to an address of this host)") from None
        return str(sock.getsockname()[0])
