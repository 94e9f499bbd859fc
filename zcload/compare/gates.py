"""Gates for CI, such as `sendfile: sender_cpu_s_per_gb > +5%`: parse them and judge whether they trip.

A gate trips where the whole 95 % interval lies beyond the limit and Holm's procedure allows it among all that the gates of one
comparison judge together. So if nothing has changed by as much as its limit, some gate trips in at most 2.5 % of comparisons, however
many gates, points and variants there are (one side of 5 %; tests/simulation/test_compare_rates.py holds it to that).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from zcload.analysis.stats import CONFIDENCE, holm
from zcload.compare.change import ENOUGH, Change
from zcload.compare.comparison import Comparison, Row
from zcload.errors import ConfigError, Problem
from zcload.model.metrics import METRICS

KEY = "--fail-if"
_FORM = "[absolute] [VARIANT:] METRIC > +N%, or < -N%"
_GATE = re.compile(r"(?:(absolute)\s+)?(?:(\S.*?)\s*:\s*)?([\w.]+)\s*([<>])\s*(\S+)")
_LIMIT = re.compile(r"([+-])(\d+(?:\.\d+)?)%")

State = Literal["tripped", "unproven", "passed"]


@dataclass(frozen=True, slots=True)
class ChangeGate:
    """One limit: trips where *metric* changes by more (*above*) or less than *limit*, a fraction. *variant* of None means every one."""

    text: str
    metric: str
    above: bool
    limit: float
    variant: str | None = None
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What a gate says of one row; *reason* says why it is not proven where its interval alone would decide."""

    gate: ChangeGate
    row: Row
    state: State
    reason: str | None = None

    def as_dict(self) -> dict[str, object]:
        change = self.row.change_percent
        return {
            "gate": self.gate.text,
            "point": self.row.point,
            "variant": self.row.variant,
            "metric": self.row.metric,
            "change_percent": change.record() if change else None,
            "state": self.state,
            "reason": self.reason,
        }


def parse(text: str) -> ChangeGate:
    """Parse one gate; raises ConfigError that says what is wrong with it."""
    found = _GATE.fullmatch(text.strip())
    if not found:
        raise _wrong(text, "is not a gate", f"the form is {_FORM}: 'sender_cpu_s_per_gb > +5%'")
    absolute, variant, metric, sign, limit = found.groups()
    if metric not in METRICS:
        near = [key for key in METRICS if key.startswith(f"{metric}_")] or difflib.get_close_matches(metric, METRICS, n=1, cutoff=0.5)
        raise _wrong(text, f"{metric!r} is not a metric", f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(METRICS)}")
    number = _LIMIT.fullmatch(limit)
    if not number:
        signless = re.fullmatch(r"\d+(?:\.\d+)?%?", limit)
        remedy = f"write {limit.rstrip('%')} as +{limit.rstrip('%')}% or -{limit.rstrip('%')}%" if signless else "write it as +5% or -2.5%"
        raise _wrong(text, f"{limit!r} is not a change in percent", remedy)
    fraction = float(number[1] + number[2]) / 100
    if fraction <= -1:
        raise _wrong(text, f"nothing can change by {limit}", "a limit above -100%")
    return ChangeGate(text.strip(), metric, sign == ">", fraction, variant, absolute is not None)


def _wrong(text: str, what: str, remedy: str) -> ConfigError:
    return ConfigError(Problem(f"{text!r}: {what}", key=KEY, remedy=remedy))


def judge(gates: Sequence[ChangeGate], comparison: Comparison) -> list[Judged]:
    """Return what each gate says of each row it is about, in order; raises ConfigError for a gate that has nothing to judge."""
    concerned = [(gate, row) for gate in gates for row in _rows_of(gate, comparison)]
    levels = [row.change.p(1 + gate.limit) if row.change and _beyond(gate, row.change) else 1.0 for gate, row in concerned]
    decided = holm(levels)
    return [
        _judged(gate, row, allowed, level, len(concerned)) for (gate, row), allowed, level in zip(concerned, decided, levels, strict=True)
    ]


def _rows_of(gate: ChangeGate, comparison: Comparison) -> list[Row]:
    of_kind = [row for row in comparison.rows if row.relative != gate.absolute]
    names = list(dict.fromkeys(row.variant for row in of_kind))
    if gate.variant is not None and gate.variant not in names:
        near = difflib.get_close_matches(gate.variant, names, n=1)
        what = f"no variant {gate.variant!r} was compared"
        raise _wrong(gate.text, what, f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names) or 'none'}")
    rows = [row for row in of_kind if row.metric == gate.metric and gate.variant in (None, row.variant)]
    if not any(row.change for row in rows):
        why = next((row.reason for row in rows if row.reason), "no variant was compared with the baseline on both sides")
        remedy = f"give at least {ENOUGH} results a side, or leave 'absolute' out" if gate.absolute else "choose a metric that has one"
        raise _wrong(gate.text, f"there is nothing to judge: {why}", remedy)
    return rows


def _beyond(gate: ChangeGate, change: Change) -> bool:
    """Say whether the estimate lies on the far side of the limit."""
    limit = math.log1p(gate.limit)
    return change.estimate > limit if gate.above else change.estimate < limit


def _judged(gate: ChangeGate, row: Row, allowed: bool, level: float, family: int) -> Judged:
    if row.change is None:
        return Judged(gate, row, "unproven", row.reason)
    if allowed and level <= 1 - CONFIDENCE:
        return Judged(gate, row, "tripped")
    if row.change.p(1 + gate.limit) > 1 - CONFIDENCE:
        return Judged(gate, row, "unproven", "the interval straddles the limit")
    if _beyond(gate, row.change):
        return Judged(gate, row, "unproven", f"its own interval lies beyond, but not at 5 % for all {family} judged together (Holm)")
    return Judged(gate, row, "passed")


def tripped(judged: Iterable[Judged], unproven_too: bool) -> list[Judged]:
    """Return those that make the command fail; with *unproven_too* also those that prove neither."""
    return [j for j in judged if j.state == "tripped" or (unproven_too and j.state == "unproven")]
