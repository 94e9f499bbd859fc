"""Checks that what a connection carries suits its sink: nothing but the file for one that takes ahead, frames of HTTP/2 for recv alone."""

from __future__ import annotations

from collections.abc import Iterator

from zcload.config.finding import Finding
from zcload.config.registries import sinks_that_take_ahead
from zcload.config.resolved import ConfigTable, Resolved
from zcload.model.units import shown


def find_sinks_that_take_ahead(config: Resolved) -> Iterator[Finding]:
    """Find the sinks that would take the heads of a server's answers, or a greeting, as payload; each by its own name."""
    for server in config.servers:
        what = f"cannot stop at the end of an answer of {shown(server.text('name'))}: it takes whatever comes"
        yield from _ahead(server if "sink" in server else config.workload, what)
    if config.workload.holds("transfer", "per-file") and config.workload.holds("connection", "fresh"):
        for table in (config.workload, *config.variants):
            yield from _ahead(table, "does not work with connection = 'fresh': it takes whatever comes, a greeting too")


def find_http2(config: Resolved) -> Iterator[Finding]:
    """Find what does not go with servers that are asked over HTTP/2, each by its own name."""
    for server in config.servers:
        if not server.holds("http2", True):
            if "http2_window" in server:
                yield Finding(server.at("http2_window"), "only works with http2", "http2 = true")
            continue
        name = shown(server.text("name"))
        for found in (server if "sink" in server else config.workload).values("sink"):
            if found.value != "recv":
                what = f"{shown(found.value)} cannot take the frames of HTTP/2 apart, in which {name} sends"
                yield Finding(found.path, what, "sink = 'recv'")
        if config.workload.holds("transfer", "per-file") and config.workload.holds("connection", "fresh"):
            what = f"the connections of HTTP/2 stay open: {name} cannot have a fresh one for each file"
            yield Finding(server.at("http2"), what, "connection = 'persistent'")


def _ahead(table: ConfigTable, what: str) -> Iterator[Finding]:
    for found in table.values("sink"):
        if found.value in sinks_that_take_ahead():
            yield Finding(found.path, f"{shown(found.value)} {what}", "sink = 'recv'")
