"""`zcload run --json-stream`: one line of JSON an event on stdout, for programs that follow a run while it measures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from zcload.errors import ZcloadError
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


@contextmanager
def errors_as_events(wanted: bool) -> Iterator[None]:
    """Print an error that ends the command as the last event, if *wanted*, and raise it again."""
    try:
        yield
    except ZcloadError as error:
        if wanted:
            event = {"event": "error", "type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
            print(json.dumps(event, allow_nan=False), flush=True)
        raise


def summary_event(result: Result) -> str:
    """Return the event of the end of a run, the summary as it is stored, as a line."""
    directory = None if result.directory is None else str(result.directory)
    return json.dumps({"event": "summary", "directory": directory, "summary": result.summary}, allow_nan=False) + "\n"
