"""How long to wait for something, on a machine whose processes may be stopped and continued.

Ctrl-Z, SIGSTOP, a debugger and the freezer of a control group stop zcload with all its workers: nothing moves, and nothing is wrong. A
process that is stopped takes no look, so the time between two looks counts up to a limit only. CLOCK_MONOTONIC itself does not stop.
"""

from __future__ import annotations

import time

LONGEST_STEP_S = 1.0  # between two looks of a loop that looks some times a second, also on a loaded machine


class Patience:
    """Is over after *seconds* of the time between looks, each of which counts *longest_step_s* at most."""

    __slots__ = ("_last", "_longest_step_s", "left_s", "seconds")

    def __init__(self, seconds: float, longest_step_s: float = LONGEST_STEP_S) -> None:
        self.seconds, self.left_s, self._longest_step_s = seconds, seconds, longest_step_s
        self._last = time.monotonic()

    def look(self) -> float:
        """Take off the time since the last look; return what is left, seconds: less than 0.0 when it is over."""
        now = time.monotonic()
        self.left_s -= min(now - self._last, self._longest_step_s)
        self._last = now
        return self.left_s

    def over(self) -> bool:
        """Take a look; return whether no time is left."""
        return self.look() < 0.0

    def renew(self) -> None:
        """Begin anew: what was waited for has moved."""
        self.left_s, self._last = self.seconds, time.monotonic()
