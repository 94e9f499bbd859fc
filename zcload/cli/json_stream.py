"""`zcload run --json-stream`: one line of JSON an event on stdout, for programs that follow a run while it measures."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from zcload.model.progress import Progress, Viewer

if TYPE_CHECKING:
    from zcload.store.reader import Result

_INTERVAL_KEYS = ("variant", "low_percent", "estimate_percent", "high_percent", "half_width_percent")


def streaming(also: Viewer) -> Viewer:
    """Return a viewer that prints each progress as an event and hands it on to *also*; it is called only while no window is open."""

    def view(progress: Progress) -> None:
        facts = asdict(progress) | {"intervals": [dict(zip(_INTERVAL_KEYS, each, strict=True)) for each in progress.intervals]}
        print(json.dumps({"event": "progress", **facts}, allow_nan=False), flush=True)
        also(progress)

    return view


def summary_event(result: Result) -> str:
    """Return the last event, the summary as it is stored, as a line."""
    directory = None if result.directory is None else str(result.directory)
    return json.dumps({"event": "summary", "directory": directory, "summary": result.summary}, allow_nan=False) + "\n"
