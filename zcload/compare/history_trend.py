"""How a metric changed over time: a series per study, point and variant, as rows and as a chart in characters."""

from __future__ import annotations

import json
import math
import re
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
_LEAST_WIDTH = 8
WIDTH = 40  # of the chart, in characters
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


def drawn(one: Series, width: int = WIDTH, columns: int = 0) -> list[str]:
    """Draw a series: a line for each step with its figure and, on one scale for all, its interval `-` and estimate `o`.

    The scale has *width* characters, and fewer where a terminal of so many *columns* has no room for them.
    """
    factor = 1.0 if one.baseline else _SCALE.get(one.metric, (1.0, ""))[0]
    low, high = min(step.low for step in one.steps), max(step.high for step in one.steps)
    labels = [step.label if step.label == step.kernel else f"{step.label}  {step.kernel}" for step in one.steps]
    figures = [f"{_number(step.estimate * factor)} ({_number(step.low * factor)}..{_number(step.high * factor)})" for step in one.steps]
    counts = [f"  {step.results} results" if step.results > 1 else "" for step in one.steps]
    wide, broad = max(map(len, labels)), max(map(len, figures))
    if columns:
        width = max(_LEAST_WIDTH, min(width, columns - wide - broad - max(map(len, counts)) - 8))
    lines = [
        f"  {label:<{wide}}  {figure:>{broad}}  |{_bar(step, low, high, width)}|{count}"
        for label, figure, step, count in zip(labels, figures, one.steps, counts, strict=True)
    ]
    ends = f"{_number(low * factor)}{_number(high * factor):>{max(width - len(_number(low * factor)), 1)}}"
    return [one.title, *lines, f"  {'':<{wide}}  {'':>{broad}}   {ends}"]


def _bar(step: Step, low: float, high: float, width: int) -> str:
    def at(value: float) -> int:
        return round((value - low) / (high - low) * (width - 1)) if high > low and math.isfinite(value) else width // 2

    cells = [" "] * width
    for cell in range(at(step.low), at(step.high) + 1):
        cells[cell] = "-"
    cells[at(step.estimate)] = "o"
    return "".join(cells)


def _number(value: float) -> str:
    return significant(value)
