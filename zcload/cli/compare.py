"""`zcload compare`: compare stored results. A gate that trips gives exit code 3, after the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zcload.cli.report import put, terminal_width
from zcload.errors import ConfigError, GateTripped, Problem
from zcload.model.printable import typed

if TYPE_CHECKING:
    from zcload.store.reader import Result


def run_compare(
    base: Sequence[Path],
    new: Sequence[Path],
    *,
    fail_if: Sequence[str],
    fail_if_unproven: bool,
    allowed: Sequence[str],
    run_spread: str | None,
    margin: str | None,
    format: str,
    out: Path | None,
    full: bool = False,
) -> None:
    """Compare and print; raises ConfigError, and GateTripped when a gate says so."""
    from zcload.compare import gates
    from zcload.compare.change import RUN_SPREAD
    from zcload.compare.comparison import compare
    from zcload.compare.render import FORMATS, as_full_table, as_table
    from zcload.report.text.wrapping import WIDTH

    if not new:
        words = (*map(typed, base[:-1]), "--new", typed(base[-1])) if base[1:] else ("BASE...", "--new", "NEW...")
        raise ConfigError(Problem("missing: the results to judge", key="--new", remedy=f"zcload compare {' '.join(words)}"))
    if format not in FORMATS:
        raise ConfigError(Problem(f"{format!r} is not a format", key="--format", remedy=f"use {', '.join(FORMATS)}"))
    if fail_if_unproven and not fail_if:
        raise ConfigError(Problem("only works with --fail-if", key="--fail-if-unproven", remedy="--fail-if 'total_cpu_s_per_gb > +5%'"))
    parsed = [gates.parse(text) for text in fail_if]
    found = compare(
        _load(base),
        _load(new),
        allowed=allowed,
        run_spread=RUN_SPREAD if run_spread is None else math.log1p(_fraction(run_spread, "--run-spread")),
        margin=None if margin is None else _fraction(margin, "--margin"),
    )
    judged = gates.judge(parsed, found)
    if format != "table":
        text = FORMATS[format](found, judged)
    else:
        text = (
            as_full_table(found, judged, 0 if out else terminal_width())
            if full
            else as_table(found, judged, (out is None and terminal_width()) or WIDTH)
        )
    put(text, out)
    bad = gates.tripped(judged, fail_if_unproven)
    if bad:
        raise GateTripped("\n".join(_describe(j) for j in bad))


def _load(paths: Sequence[Path]) -> list[Result]:
    """Load the results that *paths* name; a directory that is none itself stands for all results below it. Raises ConfigError."""
    from zcload.store.reader import SUMMARY, WINDOWS, Result

    found: list[Path] = []
    for path in paths:
        inside = {file.parent for name in (SUMMARY, WINDOWS) for file in path.rglob(name)} if path.is_dir() else set()
        found += [path] if path in inside or not inside else sorted(inside)
    return [Result.load(path) for path in found]


def _describe(judged: object) -> str:
    from zcload.compare.gates import Judged
    from zcload.compare.tables import change_text

    assert isinstance(judged, Judged)
    where = f" at {judged.row.point}" if judged.row.point else ""
    how = "tripped" if judged.state == "tripped" else "is not proven to hold"
    why = f" ({judged.reason})" if judged.reason else ""
    return f"gate '{judged.gate.text}' {how} by {judged.row.variant}{where}: {change_text(judged.row.change_percent)}{why}"


def _fraction(text: str, option: str) -> float:
    from zcload.model.units import ValueRefused, parse_percent

    try:
        return parse_percent(text)
    except ValueRefused as error:
        raise ConfigError(Problem(error.what, key=option, remedy=error.remedy)) from None
