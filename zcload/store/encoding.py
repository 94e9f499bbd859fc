"""Encode what is stored: a line of windows.jsonl, and summary.json. Imports no types of records, so it is quick to start with."""

from __future__ import annotations

import json
from collections.abc import Mapping

SUMMARY, WINDOWS = "summary.json", "windows.jsonl"  # the files of a result


def encode_line(record: Mapping[str, object]) -> bytes:
    """Return *record* as a line of windows.jsonl; raises ValueError for a number that JSON does not have."""
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def encode_summary(summary: Mapping[str, object]) -> bytes:
    """Return *summary* as a summary.json; raises ValueError for a number that JSON does not have."""
    return (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode()
