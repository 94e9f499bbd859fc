"""Checks of workload keys against each other: keys that have no effect, or that cannot be combined."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zcload.config.finding import Finding
from zcload.config.registries import sinks_with
from zcload.config.resolved import ConfigTable, Resolved
from zcload.model.units import shown

MOST_POINTS = 10_000  # at one second each a run of hours: more is a slip in a list
_OF_SMALL_FILES = ("transfer_size", "connection", "header_bytes", "arrivals", "transfer_rate")
_OF_A_VETH_PAIR = ("mtu", "offloads", "gso_max_size")


def find_workload(config: Resolved) -> Iterator[Finding]:
    """Find more points than a study should have, and keys without effect or with effects that exclude each other."""
    workload = config.workload
    points = math.prod(len(value) for value in workload.written.values() if isinstance(value, list))
    if points > MOST_POINTS:
        yield Finding(workload.path, f"the lists make {shown(points)} points: expected at most {MOST_POINTS}")
    yield from _cold(config)
    yield from _buffer_offset(config)
    yield from _file_pages(config)
    if workload.never_holds("network", "veth"):
        yield from _without_effect(workload, _OF_A_VETH_PAIR, "only works with network = 'veth'", "set workload.network to 'veth'")
    if workload.never_holds("transfer", "per-file"):
        yield from _without_effect(
            workload, _OF_SMALL_FILES, "only works with transfer = 'per-file'", "set workload.transfer to 'per-file'"
        )
    elif workload.holds("transfer", "per-file"):
        yield from _small_files(workload)
        yield from _arrivals(workload)


def _without_effect(workload: ConfigTable, keys: tuple[str, ...], what: str, remedy: str) -> Iterator[Finding]:
    for key in keys:
        yield from (Finding(found.path, what, remedy) for found in workload.changed(key)[:1])


def _buffer_offset(config: Resolved) -> Iterator[Finding]:
    tables = (config.workload, *(variant for variant in config.variants if "sink" in variant))
    used = {found.value for table in tables for found in table.values("sink")}
    with_buffer = sinks_with("buffer_offset")
    if not used & set(with_buffer):
        what = f"only works with a sink that has a buffer of its own: {', '.join(with_buffer)}"
        yield from _without_effect(config.workload, ("receive_buffer_offset",), what, "set workload.sink to one of them")


def _file_pages(config: Resolved) -> Iterator[Finding]:
    what, remedy = "only works with a file that zcload makes in memory", "leave out workload.file and workload.dir, or file_pages"
    workload = config.workload
    if workload.never_holds("file", None) or workload.never_holds("dir", None):
        yield from _without_effect(workload, ("file_pages",), what, remedy)


def _cold(config: Resolved) -> Iterator[Finding]:
    workload = config.workload
    for found in workload.values("cache"):
        if found.value != "cold":
            continue
        if workload.holds("file", None) and workload.holds("dir", None):
            remedy = "set workload.dir to a directory on a disk, or workload.file to a file"
            yield Finding(found.path, "a file in memory is never cold", remedy)
        if config.study.holds("schedule", "together"):
            yield Finding(found.path, "lanes that run at the same time warm the file for each other", "schedule = 'alternate'")


def _small_files(workload: ConfigTable) -> Iterator[Finding]:
    rates = workload.changed("rate")
    if rates and workload.never_holds("transfer", "stream"):
        yield Finding(rates[0].path, "only works with transfer = 'stream'", "set transfer_rate, files per second, instead")
    for found in workload.values("connection"):
        if found.value == "fresh" and workload.holds("network", "veth"):
            yield Finding(found.path, "does not work over veth", "connection = 'persistent', or network = 'loopback'")
        if found.value == "fresh" and workload.changed("port"):
            yield Finding(found.path, "each lane needs its own port with fresh connections", "port = 0")
    for found in workload.values("cache"):
        if found.value == "cold":
            yield Finding(found.path, "small files are sent repeatedly and do not stay cold", "transfer = 'stream'")


def _arrivals(workload: ConfigTable) -> Iterator[Finding]:
    scheduled, rates = workload.changed("arrivals"), workload.changed("transfer_rate")
    if not (workload.is_known("arrivals") and workload.is_known("transfer_rate")):
        return
    if scheduled and len(rates) < len(workload.values("transfer_rate")):
        yield Finding(scheduled[0].path, "missing: transfer_rate, the arrivals per second", "as in transfer_rate = '500/s'")
    elif rates and not scheduled:
        yield Finding(rates[0].path, "a closed loop has no rate", "arrivals = 'constant' or 'poisson'")
