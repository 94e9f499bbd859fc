"""Checks that the bytes of a contender which encrypts go to a sink that can decrypt."""

from __future__ import annotations

from collections.abc import Iterator

from zcload.config.finding import Finding
from zcload.config.registries import encrypts, tls_sinks
from zcload.config.resolved import ConfigTable, Resolved
from zcload.model.units import shown


def find_sinks_below_tls(config: Resolved) -> Iterator[Finding]:
    """Find the sinks that would take encrypted bytes, each by its own name."""
    for server in config.servers:
        if server.holds("tls", True) and "attach" not in server:
            yield from _below(server.text("name"), server, config.workload)
    for variant in config.variants:
        mechanism = variant.text("mechanism")
        if variant not in config.servers and mechanism and encrypts(mechanism):
            yield from _below(variant.text("name"), variant, config.workload)
    short = config.study.written.get("variants")
    for name in short if isinstance(short, list) else ():
        if isinstance(name, str) and encrypts(name):
            yield from _below(name, config.workload, config.workload)


def _below(name: str | None, variant: ConfigTable, workload: ConfigTable) -> Iterator[Finding]:
    takers = tls_sinks()
    for found in variant.values("sink") if "sink" in variant else workload.values("sink"):
        if found.value not in takers:
            what = f"{shown(found.value)} cannot decrypt: the bytes of {shown(name)} are encrypted"
            yield Finding(found.path, what, " or ".join(f"sink = {taker!r}" for taker in takers))
