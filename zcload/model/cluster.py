"""What a study asks of a cluster: which hosts send, which receive, and how they are connected. Nothing of it without `[cluster]`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from zcload.errors import ConfigError, Problem

DEFAULT_PORT = 8786  # of a Dask scheduler
KEYS_DIRECTORY = "zcload-keys"  # where `zcload cluster keys` writes, and where a config that names no TLS files looks

Pattern = Literal["pairs", "fan-in", "fan-out", "mesh"]
Swap = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class HostChoice:
    """Which hosts take a role: those called *names*, or *count* of those that have the resource *resource* (0: all of them)."""

    names: tuple[str, ...] = ()
    resource: str | None = None
    count: int = 0

    def __str__(self) -> str:
        return ", ".join(self.names) if self.resource is None else f"{self.resource}={self.count or 'all'}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The hosts of a study.

    *scheduler* is the engine's address, such as "tls://10.0.0.1:8786". *address* picks each host's data network: an interface such as
    "eth1" or a subnet such as "10.7.0.0/16"; None: the address by which the engine knows the host. *addresses* says so for single hosts,
    by name. *control* is the address of this host
    to which agents connect back; None: the one from which the scheduler is reached. The three files are PEM, for TLS.
    """

    scheduler: str
    senders: HostChoice = HostChoice(resource="sender")
    receivers: HostChoice = HostChoice(resource="receiver")
    pattern: Pattern = "pairs"
    address: str | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    control: str | None = None
    swap: Swap = "auto"
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    insecure: bool = False  # a scheduler off loopback may be without TLS

    @property
    def encrypted(self) -> bool:
        """Say whether the scheduler is reached over TLS."""
        return self.scheduler.startswith("tls:")

    def network_of(self, host: str) -> str | None:
        """Return the interface or subnet of *host*'s payload; None: the address by which the engine knows it."""
        return self.addresses.get(host, self.address)


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of hosts of which one sends to the other."""

    sender: str
    receiver: str

    def __str__(self) -> str:
        return f"{self.sender} -> {self.receiver}"


def links_of(pattern: Pattern, senders: tuple[str, ...], receivers: tuple[str, ...]) -> tuple[Link, ...]:
    """Return who sends to whom; raises ConfigError if the numbers of hosts do not fit *pattern*. No host sends to itself."""
    if not senders or not receivers:
        what = f"no host takes the role {'sender' if not senders else 'receiver'}"
        raise ConfigError(Problem(what, key="cluster.senders" if not senders else "cluster.receivers"))
    wrong = {
        "pairs": len(senders) != len(receivers) and f"pairs need as many senders as receivers, found {len(senders)} and {len(receivers)}",
        "fan-in": len(receivers) != 1 and f"fan-in needs one receiver, found {len(receivers)}",
        "fan-out": len(senders) != 1 and f"fan-out needs one sender, found {len(senders)}",
        "mesh": False,
    }[pattern]
    if wrong:
        raise ConfigError(Problem(str(wrong), key="cluster.pattern", remedy='change cluster.senders or cluster.receivers, or use "mesh"'))
    if pattern == "pairs":
        links = tuple(Link(s, r) for s, r in zip(senders, receivers, strict=True))
    else:
        links = tuple(Link(s, r) for s in senders for r in receivers if s != r)
    own = next((link for link in links if link.sender == link.receiver), None)
    if own is not None or not links:
        host = own.sender if own else senders[0]
        raise ConfigError(Problem(f"host {host} would send to itself", key="cluster.receivers", remedy="name another host"))
    return links


def scheduler_host(address: str) -> str:
    """Return the host in the *address* of a scheduler, "tls://HOST:PORT"."""
    return urlsplit(address).hostname or ""


def is_loopback(host: str) -> bool:
    """Say whether *host* is this machine by its number or name alone: nothing is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
