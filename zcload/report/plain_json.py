"""The summary itself: one result as it is, several as a list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def render(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Render *summaries* as JSON."""
    return json.dumps(summaries[0] if len(summaries) == 1 else list(summaries), indent=1, allow_nan=False) + "\n"
