"""The load of a closed loop: send the file over and over, as fast as the socket takes it.

While the gate is open the sender makes no system call but its mechanism's.
"""

from __future__ import annotations

from zcload.lane.board import GATE
from zcload.lane.loads.load import Means, SenderLoad


class Stream(SenderLoad):
    """Send without a pause, on from where the last window ended."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._offset = 0 if means.mechanism.whole_pass else means.share.start

    def run(self, number: int) -> None:
        # All that a turn touches is local to the window: a turn is a look at the gate and the mechanism's `send`.
        means, mechanism = self.means, self.means.mechanism
        words, size, step, whole_pass = means.words, means.size, mechanism.chunk, mechanism.whole_pass
        send = mechanism.send
        offset, sent, iterations = self._offset, self.sent, self.iterations
        while words[GATE] == number or (whole_pass and offset):
            left = size - offset
            moved = send(offset, step if left > step else left)
            iterations += 1
            sent += moved
            offset += moved
            if offset == size:
                offset = 0
        self._offset, self.sent, self.iterations = offset, sent, iterations
