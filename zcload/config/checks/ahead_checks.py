"""Checks that a sink which takes bytes before it is asked for them has connections that hold nothing but the file."""

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


def _ahead(table: ConfigTable, what: str) -> Iterator[Finding]:
    for found in table.values("sink"):
        if found.value in sinks_that_take_ahead():
            yield Finding(found.path, f"{shown(found.value)} {what}", "sink = 'recv'")
