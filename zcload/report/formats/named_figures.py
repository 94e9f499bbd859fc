"""Figures by name, for formats of tools that do not know points, variants and baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zcload.errors import ConfigError, Problem
from zcload.model.metrics import METRICS, Metric
from zcload.model.records.lines import Line
from zcload.model.records.summary import Summary
from zcload.report.text.labels import label
from zcload.store.reader import Result

Figure = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NamedFigure:
    """One figure that exists: of which study, point and variant, in which metric; *ratio* is it over the *baseline*'s, None without.

    *label* is what must not be missed beside the variant's figures.
    """

    study: str
    point: str
    variant: str
    mechanism: str
    label: str | None
    metric: Metric
    figure: Figure
    baseline: str | None
    ratio: Figure | None


def named(results: Sequence[Result], format: str) -> Iterator[NamedFigure]:
    """Return every figure of *results*; raises ConfigError if two would have one name: a name has one value in these formats."""
    seen: set[str] = set()
    for result in results:
        study = result.summary["name"]
        if study in seen:
            what = f"there are two results of the study {study!r}, and a name has one value in the format {format}"
            raise ConfigError(Problem(what, key="--format", remedy="render them one by one"))
        seen.add(study)
        yield from _of(result.summary, study)


def _of(summary: Summary, study: str) -> Iterator[NamedFigure]:
    for point in summary["points"]:
        compared = {(c["variant"], c["metric"]): c for c in point["comparisons"] if c["ratio"]["estimate"] is not None}
        for variant in point["variants"]:
            for key, figure in variant["metrics"].items():
                if key in METRICS and figure["estimate"] is not None:
                    c = compared.get((variant["name"], key))
                    ratio = (c["baseline"], c["ratio"]) if c else (None, None)
                    yield NamedFigure(
                        study, point["name"], variant["name"], variant["mechanism"], label(variant), METRICS[key], figure, *ratio
                    )


def records_of(result: Result, format: str) -> Iterable[Line]:
    """Return the raw records of *result*; raises ConfigError if it has none."""
    if not result.records:
        what = f"the format {format} shows single windows, and there is no windows.jsonl beside the summary of {result.summary['name']!r}"
        raise ConfigError(Problem(what, key="--format", remedy="give the result directory"))
    return result.records
