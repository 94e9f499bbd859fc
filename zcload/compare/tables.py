"""The tables and sentences of a comparison. The formats differ only in how they draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zcload.analysis.stats import Interval
from zcload.compare.change import ENOUGH
from zcload.compare.comparison import FEW, Comparison, Row
from zcload.compare.gates import Judged
from zcload.model.metrics import (
    GOODPUT_BPS,
    METRICS,
    RECEIVER_CPU_S_PER_GB,
    RELAY_CPU_S_PER_GB,
    SENDER_CPU_S_PER_GB,
    SYSTEM_CPU_S_PER_GB,
    TOTAL_CPU_S_PER_GB,
)
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, percent, significant

_SHOWN = (RELAY_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, RECEIVER_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB, GOODPUT_BPS)
_SCALE = {GOODPUT_BPS: (1e-9, "Gbit/s")}
_STATES = {"tripped": "TRIPPED", "unproven": "not proven", "passed": "passed"}


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that a report of a comparison says."""

    title: str
    answer: list[str]
    gates: Table | None
    headline: Table | None
    points: list[tuple[str, list[Table]]]
    differences: Table | None
    notes: list[str]


def signed(value: float) -> str:
    """Write a change in percent with its sign: "+5.2", "-12", "0.0"."""
    text = percent(value)
    return text if text.startswith("-") or text == "0.0" else f"+{text}"


def change_text(change: Interval | None) -> str:
    """Write a change with its interval: "+5.2 % (+1.1..+9.4)"."""
    return NONE if change is None else f"{signed(change.estimate)} % ({signed(change.low)}..{signed(change.high)})"


def shown(found: Comparison, judged: Sequence[Judged]) -> Shown:
    """Return what a report of *found* and of the gates says."""
    names = list(dict.fromkeys(row.point for row in found.rows))
    return Shown(
        f"{' '.join(found.new)} against {' '.join(found.base)}",
        _answer(found),
        _gates(judged) if judged else None,
        _headline(found),
        [(name, [t for t in (_relative(found, name), _absolute(found, name)) if t.rows]) for name in names],
        _differences(found),
        _notes(found),
    )


def _answer(found: Comparison) -> list[str]:
    """Say what has become of each variant's headline, in words, and first of all which results are not to be quoted."""
    lines = [f"Measured beside other work: {', '.join(found.loaded)}. Do not quote these figures."] if found.loaded else []
    for row in found.rows:
        if row.relative and row.headline:
            what = f"{row.point + ', ' if row.point else ''}{row.variant}: {METRICS[row.metric].label}, relative to the baseline's,"
            lines.append(f"{what} {_became(row, found.margin)}.")
    return lines


def _became(row: Row, margin: float) -> str:
    """Say how a figure changed: "fell by 8.7 % (3.2..14): saves", "rose by 30 % (20..41): costs"."""
    change = row.change_percent
    if row.verdict is None or change is None:
        return f"cannot be compared; {row.reason}"
    if row.verdict in ("inconclusive", "no difference"):
        why = f"; {row.reason}" if row.reason else ""
        less = f"did not change by more than the margin of {100 * margin:g} %"
        return f"{'may or may not have changed' if row.verdict == 'inconclusive' else less}: {change_text(change)}{why}"
    low, high = sorted((abs(change.low), abs(change.high)))
    way = "fell" if change.estimate < 0 else "rose"
    return f"{way} by {percent(abs(change.estimate))} % ({percent(low)}..{percent(high)}): {row.verdict}"


def _headline(found: Comparison) -> Table | None:
    """Return the headline's change of every variant at every point: the one table of the short form."""
    rows = [row for row in found.rows if row.relative and row.headline and row.base is not None]
    several = len({row.point for row in rows}) > 1
    cells = [
        [
            *([row.point] if several else []),
            row.variant,
            _number(row.base),
            _number(row.new),
            change_text(row.change_percent),
            _verdict(row),
        ]
        for row in rows
    ]
    metric = METRICS[rows[0].metric].label if rows else ""
    headers = [*(["point"] if several else []), "variant", "base", "new", "change", "verdict"]
    return Table(f"{metric}, as a ratio to the baseline's", headers, cells) if cells else None


def _gates(judged: Sequence[Judged]) -> Table:
    rows = [
        [
            j.gate.text,
            j.row.point or NONE,
            j.row.variant,
            change_text(j.row.change_percent),
            _STATES[j.state] + (f": {j.reason}" if j.reason else ""),
        ]
        for j in judged
    ]
    return Table("Gates", ["gate", "point", "variant", "change", "state"], rows)


def _relative(found: Comparison, point: str) -> Table:
    rows = [row for row in found.rows if row.point == point and row.relative and row.metric in _SHOWN and row.base is not None]
    cells = [[*_named(row), _number(row.base), _number(row.new), change_text(row.change_percent), _verdict(row)] for row in _ordered(rows)]
    return Table("Ratios to the own baseline of each run", ["variant", "metric", "base", "new", "change", "verdict"], cells)


def _absolute(found: Comparison, point: str) -> Table:
    rows = [row for row in found.rows if row.point == point and not row.relative and row.metric in _SHOWN and row.base is not None]
    cells = []
    for row in _ordered(rows):
        scale, unit = _SCALE.get(row.metric, (1.0, METRICS[row.metric].unit))
        change = change_text(row.change_percent) if row.change else _plain_change(row)
        cells.append([*_named(row), unit, _number(row.base, scale), _number(row.new, scale), change, _verdict(row)])
    title = "The figures themselves"
    if any(row.reason == FEW for row in rows):
        title += ": no verdict, runs differ by more than one of them shows (3 results a side give one)"
    return Table(title, ["variant", "metric", "unit", "base", "new", "change", "verdict"], cells)


def _ordered(rows: Sequence[Row]) -> list[Row]:
    variants = list(dict.fromkeys(row.variant for row in rows))
    return sorted(rows, key=lambda row: (variants.index(row.variant), _SHOWN.index(row.metric)))


def _named(row: Row) -> list[str]:
    return [row.variant, METRICS[row.metric].label]


def _number(value: float | None, scale: float = 1.0) -> str:
    return NONE if value is None else significant(value * scale)


def _plain_change(row: Row) -> str:
    return f"{signed(100 * (row.new / row.base - 1))} %" if row.base and row.new is not None else NONE


def _verdict(row: Row) -> str:
    return row.verdict or NONE


def _differences(found: Comparison) -> Table | None:
    rows = [[d.key, d.base, d.new, f"allowed: {d.why}" if d.why else NONE] for d in found.differences]
    return Table("What else differs", ["what", "base", "new", "effect"], rows) if rows else None


def _notes(found: Comparison) -> list[str]:
    """Say how it was compared, and what was not."""
    lines = [f"base: {', '.join(found.base)}", f"new: {', '.join(found.new)}"]
    if not any(row.change for row in found.rows):
        lines.append("no figure has an interval on both sides: there was nothing to compare")
    elif found.run_spread is None:
        lines.append("the intervals come from the spread between the results of each side (Welch's t on logs)")
        if few := list(dict.fromkeys(METRICS[row.metric].label for row in found.rows if row.change and not row.change.spread_seen)):
            lines.append(f"fewer than {ENOUGH} results of a side have {', '.join(few)}: there a spread between runs is assumed")
    else:
        lines.append(
            f"the intervals hold each run's own error and a spread between runs of {100 * found.run_spread:g} %, which is assumed: "
            "3 results a side show it instead"
        )
    lines.append(f"changes smaller than the margin of {100 * found.margin:g} % are no change; headline verdicts keep 5 % together (Holm)")
    lines += [f"only in the base results: {text}" for text in found.only_base]
    lines += [f"only in the new results: {text}" for text in found.only_new]
    return lines
