"""How a metric changed over time: a series per study, point and variant, as rows and as a chart in characters."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import Literal

from zcload.compare.history_index import HistoryFigure
from zcload.compare.match import PLACES, settings
from zcload.model.metrics import GOODPUT_BPS, METRICS
from zcload.report.text.figures import significant

_Names = tuple[str, str, str, str, str | None]  # study, point, variant, metric, baseline
By = Literal["date", "kernel"]
_LEAST_WIDTH, _WIDTH = 10, 40  # of the chart, in characters
_SCALE = {GOODPUT_BPS: (1e-9, "Gbit/s")}


@dataclass(frozen=True, slots=True)
class Step:
    """One value of a series, of *results* results: *low* and *high* end its interval, or are the extremes of several results."""

    label: str
    kernel: str
    estimate: float
    low: float
    high: float
    results: int = 1


@dataclass(frozen=True, slots=True)
class Series:
    """One figure of one study, point and variant, from result to result or from kernel to kernel.

    *apart* says what sets it apart from another series of the same names: settings that were no part of a sweep.
    """

    study: str
    point: str
    variant: str
    metric: str
    baseline: str | None
    steps: tuple[Step, ...]
    apart: str = ""

    @property
    def unit(self) -> str:
        return "ratio" if self.baseline else _SCALE.get(self.metric, (1.0, METRICS[self.metric].unit))[1]

    @property
    def title(self) -> str:
        of = f", relative to {self.baseline}" if self.baseline else f" ({self.unit})"
        return f"{' / '.join(filter(None, (self.study, self.point, self.apart, self.variant)))}: {METRICS[self.metric].label}{of}"

    def as_dict(self) -> dict[str, object]:
        keys = ("label", "kernel", "estimate", "low", "high", "results")
        steps = [{key: getattr(step, key) for key in keys} for step in self.steps]
        names = ("study", "point", "apart", "variant", "metric", "baseline")
        return {**{name: getattr(self, name) for name in names}, "steps": steps}


def series(figures: Iterable[HistoryFigure], by: By) -> list[Series]:
    """Sort *figures* into series, in the order they come; by kernel each step is all results of one, in the order of their versions.

    Figures are of one series if their points have the same settings, as far as all results know them, whatever they are called.
    """
    all_of = list(figures)
    all_settings = [settings(json.loads(figure.setting)) for figure in all_of]
    keys = sorted(set.intersection(*map(set, all_settings)) - {*PLACES}) if all_settings else []
    found: dict[tuple[_Names, tuple[str, ...]], list[HistoryFigure]] = {}
    for figure, setting in zip(all_of, all_settings, strict=True):
        names = (figure.entry.study, figure.point, figure.variant, figure.metric, figure.baseline)
        found.setdefault((names, tuple(repr(setting[key]) for key in keys)), []).append(figure)
    alike: dict[_Names, list[tuple[str, ...]]] = {}
    for names, values in found:
        alike.setdefault(names, []).append(values)
    out = []
    for (names, values), of in found.items():
        differing = [key for i, key in enumerate(keys) if len({other[i] for other in alike[names]}) > 1]
        apart = ", ".join(f"{key}={values[keys.index(key)]}" for key in differing)
        out.append(Series(*names, tuple(_steps(of, by)), apart))
    return out


def _steps(figures: Sequence[HistoryFigure], by: By) -> list[Step]:
    if by == "date":
        return [Step(_when(f.entry.started), f.entry.kernel or "unknown", f.estimate, f.low, f.high) for f in figures]
    kernels: dict[str, list[HistoryFigure]] = {}
    for figure in figures:
        kernels.setdefault(figure.entry.kernel or "unknown", []).append(figure)
    return [_together(kernel, kernels[kernel]) for kernel in sorted(kernels, key=version)]


def _together(kernel: str, figures: Sequence[HistoryFigure]) -> Step:
    if len(figures) == 1:
        (one,) = figures
        return Step(kernel, kernel, one.estimate, one.low, one.high)
    values = [f.estimate for f in figures]
    middle = geometric_mean(values) if min(values) > 0 else fmean(values)
    return Step(kernel, kernel, middle, min(values), max(values), len(values))


def version(release: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts releases as versions: 6.9 before 6.10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|[^\d.]+", release)]


def _when(started: str) -> str:
    return started.replace("T", " ").removesuffix("Z")[:16]


def drawn(one: Series, columns: int = 80) -> list[str]:
    """Draw a series in *columns*: a line for each step with its figure and, on one scale for all, its interval `-` and estimate `o`.

    A kernel that all steps share is told once, in the title. Where there is no room for a scale the figures stand alone.
    """
    factor = 1.0 if one.baseline else _SCALE.get(one.metric, (1.0, ""))[0]
    low, high = min(step.low for step in one.steps), max(step.high for step in one.steps)
    same = {step.kernel for step in one.steps} if one.steps[0].label != one.steps[0].kernel else set[str]()
    title = f"{one.title}, kernel {min(same)}" if len(same) == 1 else one.title
    labels = [step.label if len(same) < 2 else f"{step.label}  {step.kernel}" for step in one.steps]
    figures = [f"{significant(step.estimate * factor)} ({_ends(step, factor)})" for step in one.steps]
    counts = [f"  {step.results} results" if step.results > 1 else "" for step in one.steps]
    wide, broad = max(map(len, labels)), max(map(len, figures))
    scale = min(_WIDTH, columns - wide - broad - max(map(len, counts)) - 8)
    bars = [f"  |{_bar(step, low, high, scale)}|" if scale >= _LEAST_WIDTH else "" for step in one.steps]
    lines = [
        f"  {label:<{wide}}  {figure:>{broad}}{bar}{count}" for label, figure, bar, count in zip(labels, figures, bars, counts, strict=True)
    ]
    if scale >= _LEAST_WIDTH:
        first, last = significant(low * factor), significant(high * factor)
        lines.append(f"{'':{wide + broad + 7}}{first}{last:>{max(scale - len(first), 1)}}")
    return [*textwrap.wrap(title, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False), *lines]


def _ends(step: Step, factor: float) -> str:
    return f"{significant(step.low * factor)}..{significant(step.high * factor)}"


def _bar(step: Step, low: float, high: float, width: int) -> str:
    def at(value: float) -> int:
        return round((value - low) / (high - low) * (width - 1)) if high > low and math.isfinite(value) else width // 2

    cells = [" "] * width
    for cell in range(at(step.low), at(step.high) + 1):
        cells[cell] = "-"
    cells[at(step.estimate)] = "o"
    return "".join(cells)
