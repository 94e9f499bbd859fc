"""Report format `github-action-benchmark`: customSmallerIsBetter, for metrics of which less is better.

Format: https://github.com/benchmark-action/github-action-benchmark (README, examples/custom): a list of name, unit, value, and range and
extra as text. The tool compares bare values with a threshold; `zcload compare` compares intervals.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from zcload.report.formats.named_figures import Figure, NamedFigure, named
from zcload.report.text.figures import significant
from zcload.report.text.labels import in_a_sentence
from zcload.store.reader import Result


def render(results: Sequence[Result]) -> str:
    """Render *results* as one list: each cost, and its ratio to the baseline, which differs less from one day to the next."""
    found = []
    for each in named(results, "github-action-benchmark"):
        if each.metric.better != "lower":
            continue
        name = " / ".join(filter(None, (each.study, each.point, each.variant, each.metric.label)))
        found.append(_entry(name, each.metric.unit, each.figure, each))
        if each.ratio is not None:
            found.append(_entry(f"{name}, relative to {each.baseline}", "ratio", each.ratio, each))
    return json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _entry(name: str, unit: str, figure: Figure, each: NamedFigure) -> dict[str, object]:
    interval = f"95 % interval {significant(figure['low'])}..{significant(figure['high'])}"
    half = significant((figure["high"] - figure["low"]) / 2)
    return {
        "name": name,
        "unit": unit,
        "value": figure["estimate"],
        "range": f"± {half}",
        "extra": f"{in_a_sentence(each.mechanism, each.label)}; {interval}",
    }
