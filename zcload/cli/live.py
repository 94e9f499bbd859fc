"""The live view on stderr. The coordinator redraws it between windows, at most once a second; without a terminal it prints lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zcload.cli.streams import SafeStream
from zcload.model.printable import printable
from zcload.model.progress import Progress, Viewer, nobody
from zcload.model.units import human_duration
from zcload.report.text.figures import percent, significant

if TYPE_CHECKING:
    from rich.table import Table

REDRAW_S = 1.0
LONGEST_TIME_S = 8760 * 3600  # the most that stop.max_time takes


@contextmanager
def viewer(wanted: bool) -> Iterator[Viewer]:
    """Yield a viewer for stderr: a live table on a terminal, a line per phase elsewhere, nothing if none is *wanted*."""
    if not wanted:
        yield nobody
    elif sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb":
        from rich.console import Console
        from rich.live import Live

        # No refresh thread: a thread alive when workers are forked, or waking inside a window, would be a measuring error.
        file = sys.stderr.unfiltered() if isinstance(sys.stderr, SafeStream) else sys.stderr
        with Live(console=Console(file=file), auto_refresh=False, transient=True) as live:
            yield _Screen(live)
    else:
        view = _LineView()
        yield view
        view.fold()


class _Screen:
    """A live table, redrawn when the phase changes and otherwise once a second."""

    def __init__(self, live: Any) -> None:
        self._live = live
        self._phase, self._at, self._start = "", 0.0, time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._at < REDRAW_S and progress.phase == self._phase:
            return
        self._phase, self._at = progress.phase, now
        self._live.update(_table(progress, now - self._start), refresh=True)


def _table(progress: Progress, elapsed_s: float) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    where = f"point {progress.point + 1} of {progress.points}: " if progress.points > 1 else ""
    bar = ProgressBar(total=1.0, completed=progress.fraction, width=30) if progress.fraction is not None else ""
    table.add_row(f"{where}{progress.phase}", printable(progress.detail), bar, f"{human_duration(round(elapsed_s))} gone")
    if progress.phase == "measuring":
        table.add_row(
            f"generation {progress.generations}",
            f"at least {progress.at_least}",
            "",
            f"up to {human_duration(round(progress.left_s or 0))} left",
        )
        for name, low, estimate, high, half in progress.intervals:
            goal = "there" if half <= progress.target_percent else f"target ±{progress.target_percent:g}"
            table.add_row(f"  {name}", f"saves {percent(estimate)} % ({percent(low)}..{percent(high)})", f"±{half:.1f} points", goal)
    if progress.needed_s is not None:
        table.add_row(f"  {_too_short(progress)}")
    return table


def _too_short(progress: Progress) -> str:
    """Return what a point would take that cannot meet its target, and what to type."""
    assert progress.needed_s is not None
    target, seconds = f"target ±{progress.target_percent:g} points", float(f"{progress.needed_s:.2g}")
    if seconds <= LONGEST_TIME_S:
        return f"{target} needs about {human_duration(seconds)} here: --max-time {seconds:.12g}s"
    reached = max((half for *_, half in progress.intervals), default=2 * progress.target_percent)
    return f"{target} needs more than a year here: choose one such as --set stop.target={significant(reached, 2)}%"


class _LineView:
    """One line when a phase begins, for logs. Phases that were there before, also in turn, are counted: one line for all of them."""

    def __init__(self) -> None:
        self._last, self._shown, self._repeated = "", set[str](), list[str]()
        self._too_short = set[int]()  # points of which that was said

    def __call__(self, progress: Progress) -> None:
        point = f" (point {progress.point + 1} of {progress.points})" if progress.points > 1 else ""
        line = f"zcload: {progress.phase}{point}"
        if progress.needed_s is not None and progress.point not in self._too_short:
            self._too_short.add(progress.point)
            print(f"zcload: {_too_short(progress)}{point}", file=sys.stderr, flush=True)
        if line == self._last:
            return
        self._last = line
        if line in self._shown:
            self._repeated.append(line)
            return
        self.fold()
        self._shown.add(line)
        print(line, file=sys.stderr, flush=True)

    def fold(self) -> None:
        """Print how many lines were left out since the last one; a single one is printed itself."""
        if self._repeated:
            alone = self._repeated[0] if len(self._repeated) == 1 else f"zcload: {len(self._repeated)} lines like those above"
            print(alone, file=sys.stderr, flush=True)
        self._repeated = []
