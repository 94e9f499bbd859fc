"""Gates of `zcload run`: limits for what a variant costs relative to the run's own baseline, `sendfile: total_cpu_s_per_gb > -20%`.

A gate trips where the whole 95 % interval of the ratio lies beyond the limit. Each interval counts alone: unlike the gates of
`zcload compare` they are not corrected for how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zcload.compare.gates import ChangeGate, State
from zcload.errors import ConfigError, Problem
from zcload.model.records.summary import ComparisonRecord, Summary


@dataclass(frozen=True, slots=True)
class RunJudged:
    """What a gate says of one comparison of a result: *low* and *high* are the interval of the change in percent, None without one."""

    gate: ChangeGate
    point: str
    variant: str
    state: State
    low: float | None
    high: float | None

    def __str__(self) -> str:
        where = f" at {self.point}" if self.point else ""
        how = "tripped" if self.state == "tripped" else "is not proven to hold"
        change = "it has no interval" if self.low is None or self.high is None else f"{self.low:+.1f}..{self.high:+.1f} %"
        return f"gate '{self.gate.text}' {how} by {self.variant}{where}: {change} against the baseline"


def check_gates(gates: Sequence[ChangeGate], variants: Sequence[str]) -> None:
    """Raise ConfigError for a gate that a run with these *variants* (the baseline left out) cannot be judged by."""
    for gate in gates:
        if gate.absolute:
            what, remedy = "is absolute, and one run has nothing to hold that against", "zcload compare has absolute gates"
        elif gate.variant is not None and gate.variant not in variants:
            what, remedy = f"no variant {gate.variant!r} is compared", f"there are {', '.join(variants) or 'none'}"
        else:
            continue
        raise ConfigError(Problem(f"{gate.text!r}: {what}", key="--fail-if", remedy=remedy))


def judge_run(gates: Sequence[ChangeGate], summary: Summary) -> list[RunJudged]:
    """Return what each gate says of each comparison that it is about, in order."""
    return [
        _judged(gate, point["name"], comparison)
        for gate in gates
        for point in summary["points"]
        for comparison in point["comparisons"]
        if comparison["metric"] == gate.metric and gate.variant in (None, comparison["variant"])
    ]


def _judged(gate: ChangeGate, point: str, comparison: ComparisonRecord) -> RunJudged:
    ratio = comparison["ratio"]
    if ratio["low"] is None or ratio["high"] is None:
        return RunJudged(gate, point, comparison["variant"], "unproven", None, None)
    low, high = ratio["low"] - 1, ratio["high"] - 1
    beyond, inside = (low > gate.limit, high <= gate.limit) if gate.above else (high < gate.limit, low >= gate.limit)
    state: State = "tripped" if beyond else "passed" if inside else "unproven"
    return RunJudged(gate, point, comparison["variant"], state, 100 * low, 100 * high)
