"""Renderers of results: one file each, one line here. Code that prints never measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from zcload.results import Result

Renderer = Callable[[Sequence[Result]], str]

_MODULES = {
    "table": "zcload.report.table",
    "markdown": "zcload.report.markdown",
    "csv": "zcload.report.tidy_csv",
    "csv-windows": "zcload.report.windows_csv",
    "json": "zcload.report.plain_json",
    "html": "zcload.report.html",
    "benchstat": "zcload.report.benchstat",
    "bencher": "zcload.report.bencher",
    "github-action-benchmark": "zcload.report.github_action_benchmark",
    "openmetrics": "zcload.report.openmetrics",
}
FORMATS = tuple(_MODULES)


def renderer(name: str) -> Renderer:
    """Return the function that renders results as *name*; raises KeyError. Imports only what that format needs."""
    render: Renderer = import_module(_MODULES[name]).render
    return render
