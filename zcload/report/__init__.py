"""The registry of report formats: one line each. Code that prints never measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcload.store.reader import Result

Renderer = Callable[[Sequence["Result"]], str]

_MODULES = {
    "table": "zcload.report.formats.terminal",
    "markdown": "zcload.report.formats.markdown",
    "csv": "zcload.report.formats.tidy_csv",
    "csv-windows": "zcload.report.formats.windows_csv",
    "json": "zcload.report.formats.plain_json",
    "html": "zcload.report.html",
    "benchstat": "zcload.report.formats.benchstat",
    "bencher": "zcload.report.formats.bencher",
    "github-action-benchmark": "zcload.report.formats.github_action_benchmark",
    "openmetrics": "zcload.report.formats.openmetrics",
}
FORMATS = tuple(_MODULES)


def renderer(name: str) -> Renderer:
    """Return the function that renders results as *name*; raises KeyError. Imports only what that format needs."""
    render: Renderer = import_module(_MODULES[name]).render
    return render
