"""Report format `bencher`: Bencher Metric Format, a benchmark per point and variant, the interval as bounds.

Format: https://bencher.dev/docs/reference/bencher-metric-format/
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from zcload.report.formats.named_figures import Figure, named
from zcload.store.reader import Result

NAME_LENGTH = 64  # of a measure


def render(results: Sequence[Result]) -> str:
    """Render *results* as one object; a ratio to the baseline is a measure of its own, <metric>_ratio."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for each in named(results, "bencher"):
        name = "/".join(filter(None, (each.study, each.point, each.variant))) + (f" [{each.label}]" if each.label else "")
        measures = found.setdefault(name, {})
        measures[each.metric.key] = _measure(each.figure)
        if each.ratio is not None:
            measures[f"{each.metric.key}_ratio"[:NAME_LENGTH]] = _measure(each.ratio)
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _measure(figure: Figure) -> dict[str, float]:
    return {"value": figure["estimate"], "lower_value": figure["low"], "upper_value": figure["high"]}
