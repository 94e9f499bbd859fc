"""Write report.html at the end of a run, and charts as files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from zcload.errors import ConfigError, Problem, ZcloadError, reason_of
from zcload.linux import interrupt
from zcload.linux.process import die_with_parent
from zcload.linux.whole_file import write_whole
from zcload.model.printable import printable, typed
from zcload.model.progress import Progress, Viewer
from zcload.store.reader import Result

PAGE = "report.html"
PICTURES = ("svg", "png")


def say_what_is_missing() -> None:
    """Print on stderr how to get the charts, if there are none."""
    from zcload.report.charts import draw

    if not draw.available():
        print(f"zcload: the HTML report has no charts; to add them: {draw.REMEDY}", file=sys.stderr)


def starting_to_draw(view: Viewer) -> Viewer:
    """Return *view*, which also starts the program that draws charts once nothing is measured any more.

    It takes half a second to start: so it starts beside the evaluation.
    """
    from zcload.report.charts import draw

    own = os.getpid()

    def watched(progress: Progress) -> None:
        if progress.phase == "evaluating":
            draw.start(lambda: die_with_parent(own))
        view(progress)

    return watched


def write_page(result: Result, directory: Path) -> None:
    """Write report.html into *directory*, whole or not at all.

    An error is one line on stderr, with the command that makes the page later: the result itself is stored.
    """
    from zcload.report import renderer
    from zcload.runner.limits import concluding_s
    from zcload.store.reader import WINDOWS

    page, windows = directory / PAGE, directory / WINDOWS
    try:
        with interrupt.limited(concluding_s(windows.stat().st_size if windows.exists() else 0), lambda: f"making {PAGE}"):
            write_whole(page, printable(renderer("html")([result])).encode())
    except (ZcloadError, OSError) as error:
        later = f"zcload report {typed(directory)} --format html --out {typed(page)}"
        print(f"zcload: no {PAGE}: {error}; make it with: {later}", file=sys.stderr)


def write_charts(results: Sequence[Result], kind: str, directory: Path | None, wanted: Sequence[str]) -> None:
    """Write the charts of *results*, or the *wanted* ones by name, as *kind* into *directory*; raises ConfigError and ZcloadError.

    With several results the names begin with the result's number.
    """
    from zcload.report.charts import draw
    from zcload.report.charts.registry import all_charts
    from zcload.report.charts.series import read_raw
    from zcload.report.charts.view import view_of

    if directory is None:
        raise ConfigError(Problem(f"missing: the directory for the {kind} charts", key="--out", remedy="--out charts"))
    found = {}
    for number, result in enumerate(results, 1):
        for chart in all_charts(view_of(result.summary, read_raw(result.records))):
            found[f"{number}-{chart.name}" if len(results) > 1 else chart.name] = chart
    unknown = [name for name in wanted if name not in found]
    if unknown:
        there = ", ".join(found) or "none: nothing was measured"
        raise ConfigError(Problem(f"{unknown[0]!r} is not a chart of this result", key="--chart", remedy=f"use one of: {there}"))
    chosen = {name: chart for name, chart in found.items() if not wanted or name in wanted}
    drawings = draw.svg_file([draw.whole(chart) for chart in chosen.values()], [chart.title for chart in chosen.values()])
    files = [drawing.encode() for drawing in drawings] if kind == "svg" else draw.png(drawings)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in zip(chosen, files, strict=True):
            (directory / f"{name}.{kind}").write_bytes(content)
    except OSError as error:
        raise ConfigError(Problem(f"cannot write to {directory}: {reason_of(error)}", key="--out")) from None
    for name in chosen:
        print(directory / f"{name}.{kind}")
