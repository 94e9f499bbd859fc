"""Checks of the cluster section: its keys against each other and against the workload."""

from __future__ import annotations

from collections.abc import Iterator

from zcload.config.cluster_section import TLS_FILES
from zcload.config.finding import Finding, near_miss
from zcload.config.resolved import REFUSED, ConfigTable, Resolved
from zcload.errors import ConfigError
from zcload.model.cluster import HostChoice, is_loopback, links_of, scheduler_host
from zcload.model.units import shown


def find_cluster(config: Resolved) -> Iterator[Finding]:
    """Find a scheduler that is not safe to attach to, roles that do not fit the pattern, and workload keys for one machine only."""
    section = config.cluster
    if section is None or not section.is_table:
        return
    yield from _security(section)
    senders, receivers = section.value("senders"), section.value("receivers")
    if senders is not REFUSED and receivers is not REFUSED:
        yield from _roles(section, senders, receivers)
        yield from _networks(section, senders, receivers)
    yield from _workload(config.workload)


def _security(section: ConfigTable) -> Iterator[Finding]:
    scheduler = section.value("scheduler")
    if scheduler is REFUSED:
        return
    written = [name for name in TLS_FILES if section.changed(name)]
    if scheduler.startswith("tcp:"):
        host = scheduler_host(scheduler)
        if not is_loopback(host) and section.never_holds("insecure", True):
            what = f"{shown(scheduler)} is not encrypted: whoever reaches this port can run programs on every host"
            yield Finding(section.at("scheduler"), what, f"'{scheduler.replace('tcp:', 'tls:')}'; or --insecure on a network you trust")
        for name in written:
            yield Finding(section.at(name), "only works with a tls:// scheduler", f"scheduler = '{scheduler.replace('tcp:', 'tls:')}'")
    elif written and len(written) < len(TLS_FILES):
        for name in TLS_FILES:
            if name not in written:
                yield Finding(section.at(name), f"missing: {written[0]} is set, and TLS needs all three of {', '.join(TLS_FILES)}")


def _roles(section: ConfigTable, senders: HostChoice, receivers: HostChoice) -> Iterator[Finding]:
    pattern = section.value("pattern")
    if senders.resource is not None and senders.resource == receivers.resource and pattern != "mesh":
        yield Finding(section.at("receivers"), f"{shown(senders.resource)} is the resource of the senders too: expected another")
    names = [_names(senders, "sender"), _names(receivers, "receiver")]
    if pattern is REFUSED or not all(names):
        return  # how many "all" are, only the scheduler knows
    try:
        links_of(pattern, *names)
    except ConfigError as refused:
        for problem in refused.problems:
            yield Finding(section.at(str(problem.key).removeprefix("cluster.")), problem.what, problem.remedy)
    if section.holds("swap", True) and len(names[0]) != len(names[1]):
        what = f"hosts change places only if each role has as many, found {len(names[0])} and {len(names[1])}"
        yield Finding(section.at("swap"), what, "swap = false")


def _names(hosts: HostChoice, role: str) -> tuple[str, ...]:
    """Return a name for each of *hosts*, made up for those that have a resource; none if their number is not known."""
    return hosts.names or tuple(f"{role} {number}" for number in range(1, hosts.count + 1))


def _networks(section: ConfigTable, senders: HostChoice, receivers: HostChoice) -> Iterator[Finding]:
    networks, known = section.value("address"), (*senders.names, *receivers.names)
    if not isinstance(networks, dict) or senders.resource or receivers.resource:
        return  # which names the workers with a resource have, only the scheduler knows
    for name in networks:
        if name not in known:
            what = f"{shown(name)} is neither a sender nor a receiver: expected one of {', '.join(known)}"
            yield Finding(section.at("address"), what, near_miss(name, known))


def _workload(workload: ConfigTable) -> Iterator[Finding]:
    for found in workload.values("network"):
        if found.value == "veth":
            yield Finding(found.path, "a veth pair is on one machine: the hosts of a cluster have their own networks", "leave it out")
    for found in workload.changed("address")[:1]:
        yield Finding(found.path, "does not work with a cluster: its receivers listen on their own hosts", "set cluster.address instead")
