"""Show results of other tools as a table below the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zcload.model.metrics import GOODPUT_BPS, RECEIVER_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, significant

FORMATS = ("table", "markdown", "json")  # those that show it
_KEYS = (SENDER_CPU_S_PER_GB, RECEIVER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB)


def imported(summary: Mapping[str, Any]) -> list[Table]:
    """Return the table of what was imported; none where nothing was."""
    found = summary.get("imported", [])
    if not found:
        return []
    rows = [
        [
            f"{row['name']} ({row['tool']})",
            significant(row[GOODPUT_BPS] * 1e-9),
            *(NONE if row[key] is None else significant(row[key]) for key in _KEYS),
            "\n".join(filter(None, (row["what"], *row["notes"]))),
        ]
        for row in found
    ]
    headers = ["imported", "Gbit/s", "sender", "receiver", "both ends", "machine", "what it is"]
    title = "Imported from other tools, CPU seconds per GB: other runs, not paired with the variants above, so without a verdict"
    return [Table(title, headers, rows)]
