"""Draw how the intervals of series shrink with time: a line for each series of each program.

    python benchmarks/peers/interval_chart.py benchmarks/peers/kept/answers.json docs/charts/time-to-answer.svg

The file is what `time_to_answer.py --save FILE` wrote.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from answers import Series, Step
from svg import Drawing, log_place

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 320, 56, 40, 46
SECONDS, POINTS = (5.0, 7.0, 10.0, 15.0, 20.0, 30.0), (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
STYLES = (("a", "a full"), ("b", "b full"))


def draw(programs: Mapping[str, Sequence[Series]], target: float, path: Path) -> None:
    """Draw the half-width of all series of at most two *programs* over the seconds on the clock, and the *target*, into *path*."""
    drawing = Drawing(WIDTH, f"Half-width of the interval after so many seconds: {' and '.join(programs)}")
    right, bottom = WIDTH - 16, HEIGHT - BOTTOM

    def x(seconds: float) -> float:
        return log_place(seconds, SECONDS[0], SECONDS[-1], LEFT, right)

    def y(points: float) -> float:
        return log_place(points, POINTS[0], POINTS[-1], bottom, TOP)

    for tick in SECONDS:
        drawing.line([(x(tick), TOP), (x(tick), bottom)], "grid")
        drawing.text(x(tick), bottom + 15, f"{tick:g}", "muted", "middle")
    for tick in POINTS:
        drawing.line([(LEFT, y(tick)), (right, y(tick))], "grid")
        drawing.text(LEFT - 6, y(tick) + 4, f"{tick:g}", "muted", "end")
    drawing.line([(LEFT, y(target)), (right, y(target))], "m", 1.5, dashed=True)
    drawing.text(right, y(target) - 5, f"target: {target:g} points", "muted", "end")
    drawing.text((LEFT + right) / 2, bottom + 33, "seconds on the clock, set-up included", "muted", "middle")
    drawing.text(6, 14, "half-width of the interval of sendfile's cost, in points of the copy's", "ink head")
    for at, ((name, found), (line, dot)) in enumerate(zip(programs.items(), STYLES, strict=False)):
        mark = drawing.diamond if at else drawing.dot
        for series in found:
            places = [(x(step.seconds), y(step.half)) for step in series.steps]
            drawing.line(places, line, 1.5)
            for place in places:
                mark(*place, dot)
        mark(LEFT + 4 + 190 * at, 28, dot)
        drawing.text(LEFT + 13 + 190 * at, 32, f"{name}, {len(found)} series")
    drawing.save(path, HEIGHT)


def main() -> int:
    """Draw a saved file; return the exit code."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    saved = json.loads(Path(sys.argv[1]).read_text())
    programs = {
        name: [Series(**{**series, "steps": tuple(Step(**step) for step in series["steps"])}) for series in found]
        for name, found in saved["programs"].items()
    }
    draw(programs, saved["target"], Path(sys.argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
