"""Report format `json`: the summary itself, or a list of summaries."""

from __future__ import annotations

import json
from collections.abc import Sequence

from zcload.store.reader import Result


def render(results: Sequence[Result]) -> str:
    """Render the summaries of *results* as JSON."""
    summaries = [result.summary for result in results]
    return json.dumps(summaries[0] if len(summaries) == 1 else summaries, indent=1, allow_nan=False) + "\n"
