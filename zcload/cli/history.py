"""`zcload history`: list the results below a directory, or show how a metric changed."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from zcload.cli.report import put, terminal_width
from zcload.compare.history_index import Entry, Index
from zcload.compare.history_trend import By, Series, drawn, series
from zcload.errors import ConfigError, Problem

FORMATS = ("table", "json")
WAYS: dict[str, By] = {"date": "date", "kernel": "kernel"}


def run_history(
    root: Path,
    *,
    metric: str | None,
    relative: bool,
    by: str,
    study: str | None,
    point: str | None,
    variant: str | None,
    format: str,
    rebuild: bool,
    out: Path | None,
) -> None:
    """List the results below *root*, or the trend of *metric*; raises ConfigError."""
    from zcload.model.metrics import METRICS

    if format not in FORMATS:
        raise ConfigError(Problem(f"{format!r} is not a format", key="--format", remedy=f"use {', '.join(FORMATS)}"))
    if by not in WAYS:
        raise ConfigError(Problem(f"{by!r} is not an order", key="--by", remedy=f"use {', '.join(WAYS)}"))
    if metric is not None and metric not in METRICS:
        near = [key for key in METRICS if key.startswith(f"{metric}_")] or difflib.get_close_matches(metric, METRICS, n=1, cutoff=0.5)
        raise ConfigError(
            Problem(
                f"{metric!r} is not a metric",
                key="--metric",
                remedy=f"did you mean {near[0]!r}?" if near else "see the list in docs/metrics.md",
            )
        )
    if metric is None and (relative or point is not None or variant is not None):
        raise ConfigError(Problem("--relative, --point and --variant only work with --metric", remedy="--metric total_cpu_s_per_gb"))
    with closing(Index(root, rebuild=rebuild)) as index:
        entries = index.entries(study)
        if not entries:
            raise ConfigError(Problem("contains no result" + (f" of the study {study!r}" if study else ""), file=str(root)))
        found = None
        if metric is not None:
            found = series(index.figures(metric, relative=relative, study=study, point=point, variant=variant), WAYS[by])
            if not found:
                raise ConfigError(
                    Problem(
                        f"contains no result with {metric} for these filters", file=str(root), remedy="`zcload history` lists the results"
                    )
                )
        put(_json(entries, found) if format == "json" else _table(entries, found, 0 if out else terminal_width()), out)


def _json(entries: Sequence[Entry], found: Sequence[Series] | None) -> str:
    names = ("path", "study", "started", "kernel", "cpu", "zcload", "complete", "points")
    tree: dict[str, Any] = {
        "results": [{name: getattr(entry, name) for name in names} for entry in entries if entry.error is None],
        "unreadable": [{"path": entry.path, "reason": entry.error} for entry in entries if entry.error is not None],
    }
    if found is not None:
        tree["series"] = [one.as_dict() for one in found]
    return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def _table(entries: Sequence[Entry], found: Sequence[Series] | None, width: int) -> str:
    """Return the list of results, or the series drawn; in *width* columns, or as wide as they are where that is 0."""
    from tabulate import tabulate

    from zcload.report.formats.brief import fitted
    from zcload.report.tables.table import Table
    from zcload.report.text.wrapping import WIDTH

    parts = []
    readable = [entry for entry in entries if entry.error is None]
    if found is not None:
        parts += ["\n".join(drawn(one, width or WIDTH)) for one in found]
    elif readable:
        rows = [
            [
                e.started.replace("T", " ").removesuffix("Z"),
                e.study,
                str(e.points),
                e.kernel,
                e.zcload,
                "" if e.complete else "partial",
                _folder(e),
            ]
            for e in readable
        ]
        headers = ["started (UTC)", "study", "points", "kernel", "zcload", "", "result"]
        if width:
            parts.append(fitted(Table("", headers, rows), width, ("zcload", "kernel", "points")))
        else:
            parts.append(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
    bad = [f"  {entry.path}: {entry.error}" for entry in entries if entry.error is not None]
    if bad:
        parts.append("\n".join(["Not readable", *bad]))
    return "\n\n".join(parts) + "\n"


def _folder(entry: Entry) -> str:
    return os.path.dirname(entry.path) or "."
