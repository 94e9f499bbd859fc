"""The part of a point's summary that only studies of relays have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from zcload.model.records.values import PointFacts, RelayFacts


class RelayPart(TypedDict, total=False):
    """Nothing, or what is known of a point's relays."""

    relay: RelayFacts


def relay_part(point: PointFacts, relays: Sequence[int]) -> RelayPart:
    """Return what a summary says of the *relays* of a lane at *point*: see `PointData.relays`; nothing where there are none."""
    if not relays or "origin" not in point:
        return {}
    count, cpus, own_cpus = relays
    return {"relay": {"origin": point["origin"], "count": count, "cpus": cpus, "own_cpus": own_cpus}}
