"""Checks of relays: what they cannot be compared with, and what a study of them cannot have."""

from __future__ import annotations

from collections.abc import Iterator

from zcload.config.finding import Finding
from zcload.config.registries import relay_names
from zcload.config.resolved import Resolved
from zcload.model.units import shown

# Values of the workload that do not fit a relay, and what to write.
_UNFIT = (
    ("transfer", "per-file", "small files are acknowledged by the receiver on their own connection", "transfer = 'stream'"),
    ("network", "veth", "the relay would need a connection in each of two namespaces", "network = 'loopback'"),
    ("cache", "cold", "what reads the file is the origin, which is the same in all lanes", "cache = 'warm'"),
)


def find_relays(config: Resolved) -> Iterator[Finding]:
    """Find contenders and workload values that do not go together with a relay, and an origin that nothing uses."""
    relays = relay_names()
    named = [each for each in config.contenders if each.mechanism in relays]
    if not named:
        if config.workload.changed("origin"):
            remedy = "leave it out, or compare " + " and ".join(relays)
            yield Finding(config.workload.at("origin"), "only works with relays: nothing sends to one here", remedy)
        return
    relay = shown(named[0].name)
    if config.cluster is not None:
        yield Finding(config.cluster.path, f"a cluster has senders and receivers only: {relay} needs a relay between them", "leave it out")
    for server in config.servers:
        what = f"a server sends the file itself: it cannot be compared with {relay}, which passes on what another sends"
        yield Finding(server.at("name"), what, "a study of its own for servers")
    for each in config.contenders:
        if each.mechanism is not None and each.mechanism not in relays:
            what = f"{shown(each.name)} sends the file itself: it cannot be compared with {relay}, which passes on what another sends"
            yield Finding(each.path, what, f"only relays ({', '.join(relays)}), and workload.origin = {each.mechanism!r} to send with it")
    for key, unfit, why, remedy in _UNFIT:
        for found in config.workload.values(key):
            if found.value == unfit:
                yield Finding(found.path, f"{shown(unfit)} does not work with {relay}: {why}", remedy)
