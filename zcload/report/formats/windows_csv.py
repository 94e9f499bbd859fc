"""Report format `csv-windows`: one row per window, read and written one at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from zcload.analysis.tidy import WINDOW_FIGURES, WINDOW_SUMS, window_rows
from zcload.report.formats.named_figures import records_of
from zcload.report.text.labels import labels
from zcload.store.reader import Result

_COLUMNS = [
    *[
        "study",
        "started",
        "point",
        "point_name",
        "generation",
        "block",
        "purpose",
        "attempt",
        "fate",
        "group",
        "variant",
        "label",
        "open_ns",
    ],
    *WINDOW_SUMS,
    *WINDOW_FIGURES,
]


def render(results: Sequence[Result]) -> str:
    """Render *results* as one table; a figure that does not exist is an empty field. Raises ConfigError for one without windows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        said = {point["name"]: labels(point) for point in result.summary["points"]}  # a search's summary has only some points
        for row in window_rows(records_of(result, "csv-windows")):
            writer.writerow({**row, "label": said[str(row["point_name"])].get(str(row["variant"]))})
    return text.getvalue()
