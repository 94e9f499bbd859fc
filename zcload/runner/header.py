"""The first line of a result: what a study measures, how and where, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from zcload import __version__
from zcload.lane.connections import choose_congestion
from zcload.lane.file_pages import pages_given
from zcload.lane.network import address_of
from zcload.model.cautions import Caution
from zcload.model.records.lines import SCHEMA
from zcload.model.sizes import format_sizes
from zcload.model.study import Point, Study
from zcload.runner.lane_facts import lane_facts
from zcload.runner.plan import point_name
from zcload.runner.rounds import swept_value

VETH_MTU = 1500  # what the kernel gives a veth pair: ETH_DATA_LEN, linux/if_ether.h


def header_of(
    study: Study, started: str, seed: int, environment: Mapping[str, Any], found: Iterable[Caution], cluster: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the first line of a result: what is measured, how and where."""
    return {
        "kind": "header",
        "schema": SCHEMA,
        "name": study.name,
        "zcload_version": __version__,
        "started": started,
        "seed": seed,
        "schedule": study.schedule,
        "baseline": study.baseline,
        "stop": {
            "target": study.stop.target,
            "margin": study.stop.margin,
            "max_time_s": study.stop.max_time_s,
            "replicates": study.stop.replicates,
        },
        "crossover": crossover_facts(study),
        "config": dict(study.config),
        "environment": environment,
        "cautions": [each.as_dict() for each in found],
        **({"cluster": cluster} if cluster else {}),
        "points": [
            {
                "name": point_name(study, point),
                "point": point_facts(point, environment["congestion_default"] if study.serves else None, cluster is not None),
                "lanes": [lane_facts(variant, point) for variant in study.contenders(point)],
            }
            for point in study.points
        ],
    }


def point_facts(point: Point, system_congestion: str | None = None, across: bool = False) -> dict[str, Any]:
    """Return a point as data, with units in its keys; null where a value is automatic or unlimited.

    *system_congestion* is what its connections use if none is set. *across*: between hosts.
    """
    return {
        "chunk_bytes": point.chunk,
        "file_bytes": point.file_size,
        **({"file_pages": pages_given(point.file_pages)} if point.file is None and point.dir is None else {}),
        "senders": point.senders,
        "receivers": point.receiver_count,
        "rate_bps": point.rate_bps,
        "receive_chunk_bytes": point.receive_chunk,
        "receive_buffer_offset_bytes": point.receive_buffer_offset,
        "sink": point.sink,
        **({"origin": point.origin} if point.origin else {}),
        "placement": point.placement,
        "cache": point.cache,
        "transfer": point.transfer,
        "transfer_size": format_sizes(point.transfer_size) if point.transfer_size else None,
        "transfer_bytes": sum(point.sizes) / len(point.sizes) if point.sizes else None,
        "transfer_sizes": len(point.sizes) or None,
        "connection": point.connection if point.sizes else None,
        "header_bytes": point.header_bytes or None,
        "arrivals": point.arrivals if point.sizes else None,
        "transfers_per_s": point.transfers_per_s,
        "network": "hosts" if across else point.network,
        "mtu_bytes": (point.mtu or VETH_MTU) if point.network == "veth" else None,
        "offloads": point.offloads if point.network == "veth" else None,
        "gso_max_bytes": point.gso_max_size,
        "address": address_of(point),
        "socket_buffer_bytes": point.socket_buffer,
        "congestion": system_congestion or choose_congestion(point.congestion)[1],
        "file": "auto" if point.file is None else point.file,
        "dir": "auto" if point.dir is None else point.dir,
    }


def crossover_facts(study: Study) -> dict[str, Any] | None:
    """Return the crossover of a study as data; None for an ordinary study. The values are those of the points, in order."""
    if study.crossover is None:
        return None
    least = study.stop.min_generations
    return {
        **asdict(study.crossover),
        "min_generations": least,
        "values": [swept_value(study, number) for number in range(len(study.points))],
    }
