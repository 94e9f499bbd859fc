"""Checks of small files across keys: what means nothing for a stream, and arrivals that do not go with their rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zcload.config.finding import Finding
from zcload.config.swept import holds, values_of


def find_transfers(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what means nothing for a stream, what small files cannot have, and arrivals that do not go with their rate."""
    workload = tree.get("workload")
    if not isinstance(workload, dict):
        return
    if not holds(workload, "transfer", "stream", "per-file"):
        for key, default in (("transfer_size", "64KiB"), ("connection", "persistent"), ("arrivals", "closed"), ("transfer_rate", "max")):
            wrong = [path for path, value in values_of(workload, key, default) if value != default]
            yield from (Finding(path, "a stream has none", "transfer = 'per-file'") for path in wrong[:1])
        return
    paths = [path for path, value in values_of(workload, "rate", "max") if value != "max"]
    if paths and not holds(workload, "transfer", "stream", "stream"):
        yield Finding(paths[0], "a rate is that of a stream", "transfer_rate says how many files are sent in a second")
    for path, value in values_of(workload, "connection", "persistent"):
        if value == "fresh" and holds(workload, "network", "loopback", "veth"):
            yield Finding(path, "over veth connections are made beforehand", "connection = 'persistent', or network = 'loopback'")
        if value == "fresh" and not holds(workload, "port", 0, 0):
            yield Finding(path, "every lane listens for as long as it lives, each on a port of its own", "port = 0")
    for path, value in values_of(workload, "cache", "warm"):
        if value == "cold":
            yield Finding(path, "files that are sent again and again do not stay cold", "transfer = 'stream'")
    scheduled = [path for path, value in values_of(workload, "arrivals", "closed") if value in ("constant", "poisson")]
    asked = [path for path, value in values_of(workload, "transfer_rate", "max") if value != "max"]
    if scheduled and (not asked or holds(workload, "transfer_rate", "max", "max")):
        yield Finding(scheduled[0], "arrivals need to know how many come in a second", "as in transfer_rate = '500/s'")
    elif asked and not scheduled:
        yield Finding(asked[0], "a closed loop makes as many as it can", "arrivals = 'constant' or 'poisson'")
