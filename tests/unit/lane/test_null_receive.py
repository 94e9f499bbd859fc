"""The receivers' loop that receives nothing: it turns, it publishes what a lane's loop would, and it costs something."""

from __future__ import annotations

import pytest

from zcload.lane.null_receive import turn_cost
from zcload.sinks import SINKS

pytestmark = pytest.mark.usefixtures("leaks")


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("sink", SINKS)
def test_a_turn_of_the_loop_costs_something(sink, connections):
    """The loop around every sink can be measured, over one connection and over several, and takes CPU time but no millisecond a turn."""
    assert 0 < turn_cost(sink, connections) < 1e-3
