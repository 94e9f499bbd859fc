"""Compare base results with new results: point by point, variant by variant, metric by metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean

from zcload.analysis.comparisons import verdict
from zcload.analysis.stats import Interval, holm, interval_record
from zcload.compare.change import ENOUGH, RUN_SPREAD, Change, Figure, change, figure
from zcload.compare.differences import Difference, differences, known, refuse, setting_of
from zcload.compare.match import Pair, Point, match
from zcload.errors import ConfigError, Problem
from zcload.model.metrics import METRICS
from zcload.store.reader import Result

SCHEMA = "zcload.comparison/1"
FEW = f"fewer than {ENOUGH} results on a side: runs differ by more than one of them shows"


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one variant at one point. *relative*: both sides are ratios to their own baseline; else the figures themselves.

    *base* and *new* are the sides' geometric means. *ratio* is new / base; without an interval it is only shown, never judged.
    """

    point: str
    variant: str
    metric: str
    relative: bool
    headline: bool
    base: float | None
    new: float | None
    change: Change | None
    verdict: str | None
    reason: str | None

    @property
    def ratio(self) -> Interval | None:
        return self.change.interval() if self.change else None

    @property
    def change_percent(self) -> Interval | None:
        ratio = self.ratio
        return ratio.map(lambda r: 100 * (r - 1)) if ratio else None

    def as_dict(self) -> dict[str, object]:
        return {
            "point": self.point,
            "variant": self.variant,
            "metric": self.metric,
            "relative": self.relative,
            "headline": self.headline,
            "base": self.base,
            "new": self.new,
            "ratio": interval_record(self.ratio),
            "change_percent": interval_record(self.change_percent),
            "verdict": self.verdict,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found: who was compared, what differs, the rows, and the points without a partner."""

    base: tuple[str, ...]
    new: tuple[str, ...]
    differences: tuple[Difference, ...]
    rows: tuple[Row, ...]
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]
    margin: float
    run_spread: float | None  # None: the headline's spread is that between results
    loaded: tuple[str, ...] = ()  # the results that were measured beside other work

    def as_dict(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "base": list(self.base),
            "new": list(self.new),
            "margin_percent": 100 * self.margin,
            "run_spread_percent": None if self.run_spread is None else 100 * self.run_spread,
            "loaded": list(self.loaded),
            "differences": [d.as_dict() for d in self.differences],
            "rows": [row.as_dict() for row in self.rows],
            "only_base": list(self.only_base),
            "only_new": list(self.only_new),
        }


def compare(
    base: Sequence[Result],
    new: Sequence[Result],
    *,
    allowed: Sequence[str] = (),
    run_spread: float = RUN_SPREAD,
    margin: float | None = None,
) -> Comparison:
    """Compare *new* with *base*; raises ConfigError where they must not be compared, or nothing of them is the same.

    *run_spread* is the standard deviation, in logs, that runs are taken to have where too few results show it. *margin*, a fraction,
    is that of the first base result unless given.
    """
    for side in (base, new):
        _once(side)
    found = differences(base, new)
    allowed = [setting_of(key) for key in allowed]
    known(allowed, base, new)
    matched = match(base, new, allowed)
    found += [d for pair in matched.pairs for d in pair.differs if d not in found]
    refuse(found, allowed)
    if not matched.pairs:
        apart = "; ".join(matched.only_base) or "nothing was measured in the base"
        raise ConfigError(
            Problem(f"no point has the same settings on both sides: {apart}", remedy="allow a setting to differ by its name: --allow KEY")
        )
    margin = base[0].summary.get("margin_percent", 3.0) / 100 if margin is None else margin
    rows = [row for pair in matched.pairs for row in _rows(pair, margin, run_spread)]
    judged = [row for row in rows if row.change and row.headline] or [row for row in rows if row.change]
    seen = bool(judged) and all(row.change.spread_seen for row in judged if row.change)
    return Comparison(
        _names(base),
        _names(new),
        tuple(found),
        tuple(_family_wise(rows, margin)),
        matched.only_base,
        matched.only_new,
        margin,
        None if seen else run_spread,
        tuple(name for side in (base, new) for name, r in zip(_names(side), side, strict=True) if _is_loaded(r)),
    )


def _is_loaded(result: Result) -> bool:
    return any(point.get("loaded") for point in result.summary["points"])


def _once(results: Sequence[Result]) -> None:
    """Raise ConfigError if one run is given twice: its spread would count as one between runs."""
    seen: dict[tuple[object, ...], str] = {}
    for result, name in zip(results, _names(results), strict=True):
        run = tuple(result.summary.get(key) for key in ("name", "started", "seed"))
        if run in seen:
            raise ConfigError(Problem(f"{name} and {seen[run]} are the same run", remedy="give each result once"))
        seen[run] = name


def _names(results: Iterable[Result]) -> tuple[str, ...]:
    return tuple(str(result.directory or result.summary["name"]) for result in results)


def _rows(pair: Pair, margin: float, run_spread: float) -> Iterable[Row]:
    for relative, said in ((True, _ratios), (False, _levels)):
        base, new = [said(point) for point in pair.base], [said(point) for point in pair.new]
        for key in dict.fromkeys(key for point in base for key in point):
            if any(key in point for point in new):
                ours, theirs = [p[key] for p in base if key in p], [p[key] for p in new if key in p]
                yield _row(pair.name, key, relative, ours, theirs, margin, run_spread)


Said = tuple[Figure | None, float | None, bool]  # a figure for the statistics, its estimate as stored, whether it is the headline


def _clusters(point: Point) -> int:
    """Return how many values the point's intervals are over: replicates, or the generations of a single process."""
    return point.get("replicates") or point["generations"]


def _ratios(point: Point) -> dict[tuple[str, str], Said]:
    return {
        (c["variant"], c["metric"]): (figure(c["ratio"], _clusters(point)), c["ratio"]["estimate"], c.get("headline", False))
        for c in point["comparisons"]
        if not c.get("aa", False) and c["metric"] in METRICS
    }


def _levels(point: Point) -> dict[tuple[str, str], Said]:
    return {
        (v["name"], key): (figure(metric, _clusters(point)), metric["estimate"], False)
        for v in point["variants"]
        if not v["aa"]
        for key, metric in v["metrics"].items()
        if key in METRICS
    }


def _row(
    point: str, key: tuple[str, str], relative: bool, base: Sequence[Said], new: Sequence[Said], margin: float, run_spread: float
) -> Row:
    ours, theirs = ([figure for figure, _, _ in side if figure is not None] for side in (base, new))
    before, after = (_mean([estimate for _, estimate, _ in side if estimate is not None]) for side in (base, new))
    row = Row(point, *key, relative, any(headline for _, _, headline in (*base, *new)), before, after, None, None, None)
    if not ours or not theirs:
        missing = before is None or after is None
        return replace(row, reason="it has no figure on one side" if missing else "it has no interval in logs on one side")
    found = change(ours, theirs, run_spread)
    if not relative and not found.spread_seen:
        return replace(row, reason=FEW)
    said, reason = verdict(METRICS[key[1]], found.interval(), margin)
    return replace(row, change=found, verdict=said, reason=reason)


def _mean(values: Sequence[float]) -> float | None:
    """Return the geometric mean; of a value that has no log, or of none, the plain one."""
    if not values:
        return None
    return geometric_mean(values) if min(values) > 0 else fmean(values)


def _family_wise(rows: Sequence[Row], margin: float) -> list[Row]:
    """Take back verdicts of headline ratios that a family-wise error rate of 5 % over all points does not allow (Holm)."""
    family = [i for i, row in enumerate(rows) if row.headline and row.relative and row.change and row.verdict]
    decided = holm([_level(rows[i], margin) for i in family])
    out = list(rows)
    for i, allowed in zip(family, decided, strict=True):
        if not allowed and rows[i].verdict != "inconclusive":
            reason = f"its own interval decides, but not at 5 % for all {len(family)} headline changes together (Holm)"
            out[i] = replace(rows[i], verdict="inconclusive", reason=reason)
    return out


def _level(row: Row, margin: float) -> float:
    assert row.change is not None
    low, high = row.change.p(1 - margin), row.change.p(1 + margin)
    ratio = row.change.interval().estimate
    return low if ratio < 1 - margin else high if ratio > 1 + margin else max(low, high)
