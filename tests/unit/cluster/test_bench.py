"""How long the end of a window between hosts may take: longer the larger the file is and the slower the link."""

from __future__ import annotations

import pytest

from zcload.cluster.answers import LaneUp, Listening
from zcload.cluster.bench import Bench
from zcload.cluster.lane import ClusterLane, Layout
from zcload.cluster.messages import Close
from zcload.cluster.session import ANSWER_S
from zcload.errors import StudyError
from zcload.model.cluster import Link
from zcload.model.study import Point, Variant

GB = 1 << 30
SLOW_LINK = 1_200_000  # bytes a second of 10 Mbit/s


class Patient:
    """A session whose agents answer what setting up a lane asks, and fail at anything else; it notes for how long they may take."""

    def __init__(self):
        self.waits = []

    def exchange(self, orders, answer, timeout_s=ANSWER_S):
        self.waits.append((next(iter(orders.values())), timeout_s))
        if answer is Listening:
            return dict.fromkeys(orders, Listening("127.0.0.1", 1))
        if answer is LaneUp:
            return dict.fromkeys(orders, LaneUp([], [], 0))
        raise StudyError("enough")


@pytest.mark.parametrize(("mechanism", "whole"), [("sendfile", False), ("slurp_send", True)])
def test_a_window_whose_senders_send_the_whole_file_has_the_time_that_takes(mechanism, whole):
    """Closing the gate of a sender that stops at the end of a file only may take as long as the file takes on a link of 10 Mbit/s."""
    session = Patient()
    lane = ClusterLane(session, 1, Variant("v", mechanism), Point(), Layout.of(Point(), [Link("a", "b")]))
    lane.set_up(GB, False, lambda: 1)
    with pytest.raises(StudyError, match="enough"):
        Bench(session, {"a": "m", "b": "m"}, "m").settle([lane])
    order, timeout_s = session.waits[-1]
    assert isinstance(order, Close)
    assert (timeout_s > GB / SLOW_LINK) is whole
    assert whole or timeout_s == ANSWER_S
