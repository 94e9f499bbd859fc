"""What copying memory costs, by a clock that the tests set."""

from __future__ import annotations

import itertools

import pytest

from zcload.host import copy_cost
from zcload.host.copy_cost import WINDOW_S

BUFFER_BYTES = 8 << 20  # two pieces


def clock_of(pieces_of_windows):
    """A clock that shows, for each number of pieces in turn, a window in which so many are copied."""
    readings, now = [], 0.0
    for pieces in pieces_of_windows:
        readings += [now + WINDOW_S * piece / pieces for piece in [0, *range(pieces + 1)]]  # the first is the beginning itself
        now += 1.0
    return itertools.chain(readings).__next__


@pytest.mark.parametrize(("pieces", "variation"), [([5, 5, 5, 5], 0.0), ([4, 4, 8, 8], 1 / 3)])
def test_windows_are_compared(pieces, variation):
    """The median is CPU seconds per GB, and the variation is the standard deviation of the windows over it."""
    cost = copy_cost.copy_cost(clock_of(pieces), len(pieces), BUFFER_BYTES)
    each = [WINDOW_S / (count * (4 << 20)) * 1e9 for count in pieces]
    assert cost.median == pytest.approx(sum(each) / len(each))
    assert cost.variation == pytest.approx(variation)


def test_without_the_memory_there_is_no_figure():
    """Where two such buffers cannot be had nothing is measured."""
    assert copy_cost.copy_cost(buffer_bytes=1 << 62) is None


def test_this_machine_can_be_measured():
    """The CPU time of this thread moves while it copies."""
    cost = copy_cost.copy_cost(windows=2, buffer_bytes=BUFFER_BYTES)
    assert cost.median > 0
    assert cost.variation >= 0
