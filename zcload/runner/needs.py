"""What a study needs of the host that measures it: open files, and a file that no cache holds."""

from __future__ import annotations

from zcload.model.study import Study
from zcload.runner.calibrate import lanes_at_once

_OWN_FILES = 128  # standard streams, the result, files that are sent, networks, imports under way
_CACHE_BYTES = 32 << 20  # taken for a last-level cache of which the kernel tells nothing


def open_files(study: Study) -> int:
    """Return an upper bound of the descriptors that the coordinator needs.

    A sender has a control socket, a gate and a /proc file, a receiver or relay all but the gate, and while a lane is set up the coordinator
    has both ends of each of its connections.
    """
    most = max(
        (3 * p.senders + 2 * p.receiver_count + 2 * p.relays) * lanes_at_once(study) + 2 * (p.senders + p.relays) for p in study.points
    )
    return most + _OWN_FILES


def enough_bytes(cache_bytes: int | None) -> int:
    """Return how large a file must be for its bytes not to come from a last-level cache of *cache_bytes*: four times that."""
    return 4 * (cache_bytes or _CACHE_BYTES)
