"""Fresh connections: each greeting counts once."""

from __future__ import annotations

import random

from zcload.lane.small_files.fresh_connections import _AHEAD, Arrived


def test_a_greeting_counts_once():
    """Transfers may come in any order near their turn, each once; what was overheard and is replayed is refused at any time."""
    arrived = Arrived(2)
    rng = random.Random(1)
    for start in range(0, 1000, 10):
        batch = list(range(start, start + 10))
        rng.shuffle(batch)
        for transfer in batch:
            assert arrived.take(1, transfer)
            assert not arrived.take(1, transfer)
    assert not any(arrived.take(1, transfer) for transfer in range(1000))
    assert arrived.take(0, 0)


def test_a_transfer_far_ahead_is_refused():
    """What is remembered of each sender is bounded."""
    arrived = Arrived(1)
    assert not arrived.take(0, _AHEAD + 1)
    assert arrived.take(0, _AHEAD)
