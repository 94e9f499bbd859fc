"""The load of a closed loop: send the file over and over, as fast as the socket takes it.

While the gate is open the sender makes no system call but its mechanism's.
"""

from __future__ import annotations

from zcload.lane.board import GATE
from zcload.lane.loads.load import Means, SenderLoad
from zcload.mechanisms.asyncio_base import AsyncioBase


class Stream(SenderLoad):
    """Send without a pause, from where the last window ended."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._offset = 0 if means.mechanism.whole_pass else means.share.start

    def run(self, number: int) -> None:
        if isinstance(self.means.mechanism, AsyncioBase):
            self.means.mechanism.run(self._run_in_loop(self.means.mechanism, number))
        else:
            self._run(number)

    def _run(self, number: int) -> None:
        # All that a turn touches is local to the window: a turn is a look at the gate and the mechanism's call. Every statement in the loop
        # is CPU time of the sender's, so what the offset tells is worked out afterwards.
        means, mechanism = self.means, self.means.mechanism
        words, size, step, whole_pass = means.words, means.size, mechanism.chunk, mechanism.whole_pass
        send, last_whole = mechanism.sender(), size - step
        offset, passes, turns = self._offset, 0, 0
        while words[GATE] == number or (whole_pass and offset):
            moved = send(offset, step if offset <= last_whole else size - offset)
            if not moved:
                raise mechanism.ended_early(offset)
            turns += 1
            offset += moved
            if offset == size:
                offset = 0
                passes += 1
        self.sent += passes * size + offset - self._offset
        self._offset = offset
        self.iterations += turns
        if mechanism.one_call:
            mechanism.counts[0] += turns

    async def _run_in_loop(self, mechanism: AsyncioBase, number: int) -> None:
        """Do the same in the mechanism's event loop, which starts once a window and turns where a chunk has to wait."""
        words, size, step, send = self.means.words, self.means.size, mechanism.chunk, mechanism.send_in_loop
        offset, sent, iterations = self._offset, self.sent, self.iterations
        while words[GATE] == number:
            left = size - offset
            moved = await send(offset, step if left > step else left)
            iterations += 1
            sent += moved
            offset += moved
            if offset == size:
                offset = 0
        self._offset, self.sent, self.iterations = offset, sent, iterations
