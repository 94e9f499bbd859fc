"""Check a cluster before a run: who is there, what each host runs, and the paths between the pairs. Measures briefly, judges plainly."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from zcload import __version__
from zcload.cluster.connect import Casting, assign_roles
from zcload.cluster.dask_engine import DaskEngine
from zcload.cluster.engine import EngineFacts
from zcload.cluster.host_facts import clock_ns, host_facts, listen, measure_path
from zcload.errors import ConfigError, StudyError, ZcloadError
from zcload.model.cluster import Cluster, Link

LARGEST_PACKET = 65535  # bytes that the length of an IP packet can say; loopback has a larger MTU
PATH_S = 0.5  # of load on each path
MOST_OFFSET_S = 1.0  # of clocks: certificates and time stamps of results


@dataclass(slots=True)
class HostCheck:
    """One host as it was found: *facts* are those of `host_facts`, None where it could not be asked."""

    name: str
    roles: list[str]
    resources: list[str]
    facts: dict[str, Any] | None = None
    offset_s: float | None = None


@dataclass(slots=True)
class PathCheck:
    """The path of a pair: *measured* is what `measure_path` returns, None where *error* says why not."""

    link: Link
    measured: dict[str, float] | None = None
    error: str | None = None


@dataclass(slots=True)
class ClusterCheck:
    """All that was found. *problems* keep a study from running, *cautions* may spoil its result."""

    engine: EngineFacts
    hosts: list[HostCheck] = field(default_factory=list)
    paths: list[PathCheck] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)


def check_cluster(cluster: Cluster, seconds: float = PATH_S) -> ClusterCheck:
    """Attach to *cluster* and return what is there; raises ConfigError or StudyError only if its scheduler cannot be reached."""
    engine = DaskEngine.attach(cluster)
    try:
        found = ClusterCheck(engine.facts())
        found.cautions += found.engine.noisy
        casting = _cast(cluster, engine, found)
        _look_at_hosts(cluster, engine, casting, found)
        if casting is not None and not found.problems:
            for link in casting.links:
                found.paths.append(_path(engine, link, {host.name: host for host in found.hosts}, seconds))
            found.problems += [f"{path.link}: {path.error}" for path in found.paths if path.error]
            _judge_mtu(found)
        return found
    finally:
        engine.close()


def _cast(cluster: Cluster, engine: DaskEngine, found: ClusterCheck) -> Casting | None:
    """Return who has which role; None with a problem where the cluster does not have what the section asks for."""
    try:
        return assign_roles(cluster, engine)
    except ConfigError as error:
        found.problems += map(str, error.problems)
    except StudyError as error:
        found.problems.append(str(error))
    return None


def _look_at_hosts(cluster: Cluster, engine: DaskEngine, casting: Casting | None, found: ClusterCheck) -> None:
    for host in engine.hosts():
        roles = list(map(str, casting.roles(host.name))) if casting else []
        check = HostCheck(host.name, roles, sorted(host.resources))
        found.hosts.append(check)
        if host.zcload_version != __version__:
            there = f"has zcload {host.zcload_version}, and this host {__version__}" if host.zcload_version else "has no zcload"
            found.problems.append(f"{host.name}: {there}: install the same zcload[cluster] on all hosts")
            continue
        try:
            check.facts = engine.call(host.name, host_facts, cluster.network_of(host.name) or host.address)
            check.offset_s = _offset(engine, host.name)
        except (ZcloadError, OSError) as error:
            found.problems.append(f"{host.name}: {error}")
            continue
        if abs(check.offset_s) > MOST_OFFSET_S:
            found.cautions.append(f"{host.name}: its clock differs by {check.offset_s:+.1f} s from this host's: run NTP on both")
    # Hosts that share a machine share what spoils it: the first of them tells.
    first = {host.facts["machine"]: host for host in reversed(found.hosts) if host.facts}
    found.cautions += [f"{host.name}: {text}" for host in found.hosts if host in first.values() for text in (host.facts or {})["cautions"]]
    for fact in ("python", "kernel"):
        versions = {host.facts[fact] for host in found.hosts if host.facts}
        if len(versions) > 1:
            found.cautions.append(f"hosts differ in their {fact}: {', '.join(sorted(versions))}")


def _offset(engine: DaskEngine, host: str) -> float:
    """Return by how many s the clock of *host* is ahead of this one's, from the quickest of three round trips."""
    tries = []
    for _ in range(3):
        begun, wall = time.monotonic_ns(), time.time_ns()
        there = engine.call(host, clock_ns)
        trip = time.monotonic_ns() - begun
        tries.append((trip, there - wall - trip // 2))
    return min(tries)[1] / 1e9


def _path(engine: DaskEngine, link: Link, hosts: dict[str, HostCheck], seconds: float) -> PathCheck:
    """Measure the path of *link*, alone."""
    ends = hosts[link.sender].facts, hosts[link.receiver].facts
    assert ends[0] is not None
    assert ends[1] is not None
    source, address = ends[0]["address"], ends[1]["address"]
    try:
        port = engine.call(link.receiver, listen, address)
        return PathCheck(link, engine.call(link.sender, measure_path, source, address, port, seconds))
    except (OSError, StudyError) as error:
        return PathCheck(link, error=f"{source} cannot reach {address}: {error}")


def _judge_mtu(found: ClusterCheck) -> None:
    """Tell a path whose MTU is smaller than that of its ends: something between them has a smaller one."""
    nics = {host.name: host.facts["nic"] for host in found.hosts if host.facts}
    for path in found.paths:
        if path.measured is None:
            continue
        ends = [nics[name]["mtu_bytes"] for name in (path.link.sender, path.link.receiver)]
        if len(set(ends)) > 1:
            found.cautions.append(f"{path.link}: the devices have different MTUs: {ends[0]} and {ends[1]} bytes")
        elif ends[0] and path.measured["path_mtu_bytes"] < min(ends[0], LARGEST_PACKET):
            found.cautions.append(f"{path.link}: the path's MTU is {path.measured['path_mtu_bytes']:.0f} bytes, the devices' {ends[0]}")
