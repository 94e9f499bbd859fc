"""Report format `csv`: one row per point, variant and metric, with its comparison to the baseline."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zcload.analysis.tidy import figure_rows, variant_facts
from zcload.model.records.summary import PointSummary, Summary
from zcload.report.text.labels import label
from zcload.store.reader import Result

_COLUMNS = """
    study started point point_name chunk_bytes file_bytes senders rate_bps
    variant mechanism sink variant_chunk_bytes aa best_chunk status windows copied_fraction label
    metric unit estimate low high
    baseline ratio ratio_low ratio_high saving_percent saving_low saving_high verdict reason
"""


def render(results: Sequence[Result]) -> str:
    """Render *results* as one table; a figure that does not exist is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS.split(), lineterminator="\n")
    writer.writeheader()
    for summary in (result.summary for result in results):
        for index, point in enumerate(summary["points"]):
            writer.writerows(_rows(summary, index, point))
    return text.getvalue()


def _rows(summary: Summary, index: int, point: PointSummary) -> Iterator[dict[str, Any]]:
    for variant in point["variants"]:
        facts = {**variant_facts(summary, index, variant), "label": label(variant)}
        yield from ({**facts, **figures} for figures in figure_rows(point, variant))
        yield from ({**facts, "metric": key, **figure} for key, figure in (*_bill(variant), *_truth(variant)))


def _bill(variant: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return what the bill has beyond the metrics: calls by kind, and copies."""
    bill = variant.get("bill", {"calls_per_gb": {}, "copies": {}})
    for role, calls in bill["calls_per_gb"].items():
        for kind, figure in calls.items():
            yield f"{role}_{kind}_calls_per_gb", figure
    for role, copies in bill["copies"].items():
        if copies:
            yield f"{role}_copies_documented", {"unit": "copies", "estimate": copies["here"], "reason": copies["note"] or None}
            yield f"{role}_copies_observed", {"unit": "copies", "estimate": copies["observed"], "reason": copies["basis"]}


def _truth(variant: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the counters of the truth meter, of all the variant's generations."""
    for key, value in variant.get("truth", {}).items():
        if isinstance(value, int | float):
            yield f"truth_{key}", {"unit": "bytes" if "bytes" in key else "share" if "fraction" in key else "sends", "estimate": value}
