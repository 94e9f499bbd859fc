"""Sentences about a rate in operator's units: cores needed, the difference, and who cannot reach it."""

from __future__ import annotations

from collections.abc import Sequence

from zcload.model.units import human_rate
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, significant
from zcload.report.text.labels import in_a_cell, labels
from zcload.report.text.question import Facts, is_server, order, question_of


def _at_rate(point: Facts) -> list[Facts]:
    """Return the variants of which something is known at the point's rate."""
    return [v for v in point["variants"] if v.get("rate") and v["rate"]["achieved_bps"]["estimate"] is not None]


def _differences(point: Facts, key: str) -> dict[str, Facts]:
    return {c["variant"]: c["difference"] for c in point["comparisons"] if c["metric"] == key and c.get("difference")}


def sentences(summary: Facts, point: Facts) -> list[str]:
    """Say what each contender needs at the point's rate, and which of them do not reach it; nothing where there is no rate."""
    return [*cores_needed(summary, point), *not_reached(point)]


def _contenders(point: Facts) -> list[Facts]:
    return [v for v in _at_rate(point) if not v["aa"] and not v["best_chunk"]]


def not_reached(point: Facts) -> list[str]:
    """Say who does not reach the point's rate, a sentence each."""
    return [_not_there(v, human_rate(point["point"]["rate_bps"])) for v in _contenders(point) if not v["rate"]["reached"]]


def behind(point: Facts) -> list[str]:
    """Say in a sentence who surely cannot keep up with the point's rate, and what they reach; nothing where everybody may."""
    slow = [v for v in _contenders(point) if v["rate"]["reached"] is False]
    reached = [f"{v['name']}{'' if i else ' reaches'} {human_rate(v['rate']['achieved_bps']['estimate'])}" for i, v in enumerate(slow)]
    return [f"{human_rate(point['point']['rate_bps'])} is too much: {', '.join(reached)}."] if reached else []


def highest(summary: Facts, points: Sequence[Facts]) -> list[str]:
    """Say how many cores each variant needs at the highest rate that the baseline keeps up with, or else anybody."""
    paced = sorted((point for point in points if _contenders(point)), key=lambda point: point["point"]["rate_bps"])
    kept = [point for point in paced if _baseline_reached(point)] or paced
    return next((lines for point in reversed(kept) if (lines := cores_needed(summary, point))), [])


def cores_needed(summary: Facts, point: Facts) -> list[str]:
    """Say in a sentence how many cores each variant needs that reaches the point's rate; nothing where none does."""
    place = order(point)
    known = sorted(_contenders(point), key=lambda v: place(v["name"]))
    if not known:
        return []
    question, asked = question_of(summary, point), human_rate(point["point"]["rate_bps"])
    key = question.cores
    reached = {v["name"]: v["metrics"][key] for v in known if v["rate"]["reached"] and v["metrics"][key]["estimate"] is not None}
    base = reached.pop(point["baseline"], None)
    needs = [
        f"{name} {significant(cores['estimate'])}{_less(_differences(point, key).get(name)) if base else ''}"
        for name, cores in reached.items()
    ]
    if base:
        needs.insert(0, f"{point['baseline']} needs {significant(base['estimate'])} cores {question.of}")
    elif needs:
        bare = not any(is_server(v) and v["name"] in reached for v in known)
        of = "of the sender" if bare and any(map(is_server, point["variants"])) else question.of
        needs[0] = needs[0].replace(" ", " needs ", 1) + f" cores {of}"
    missed = "" if base else f", which {point['baseline']} was not shown to reach"
    return [f"At {asked}{missed}: {', '.join(needs)}."] if needs else []


def _not_there(variant: Facts, asked: str) -> str:
    name, achieved = variant["name"], variant["rate"]["achieved_bps"]
    made = human_rate(achieved["estimate"])
    if variant["rate"]["reached"] is False:
        return f"{name} cannot keep up with {asked}: it reaches {made}."
    return (
        f"Inconclusive: {name} may or may not keep up with {asked}: it made {made} "
        f"({human_rate(achieved['low'])}..{human_rate(achieved['high'])})."
    )


def _less(difference: Facts | None) -> str:
    """Say a difference of cores with its interval: " (0.35 of a core less: 0.31..0.39)"."""
    if difference is None or difference["estimate"] is None:
        return ""
    low, high = difference["low"], difference["high"]
    word = "less" if difference["estimate"] < 0 else "more"
    ends = sorted((-low, -high) if word == "less" else (low, high))
    return f" ({abs(difference['estimate']):.2g} of a core {word}: {ends[0]:.2g}..{ends[1]:.2g})"


def table(summary: Facts, point: Facts) -> Table | None:
    """What became of the rate: achieved, cores needed, difference to the baseline, lateness and wake-ups; None without one."""
    known = _at_rate(point)
    if not known:
        return None
    question, said = question_of(summary, point), labels(point)
    key, differences = question.cores, _differences(point, question.cores)
    rows = []
    for v in known:
        rate, cores, more = v["rate"], v["metrics"][key], differences.get(v["name"])
        comparable = more is not None and rate["reached"] and _baseline_reached(point)
        achieved = rate["achieved_bps"]
        late = [f"{1e3 * rate['lateness'][name]:.3g}" if rate["lateness"][name] is not None else NONE for name in ("p50", "p99", "max")]
        rows.append(
            [
                in_a_cell(v["name"], said),
                f"{significant(achieved['estimate'] / 1e9)} ({significant(achieved['low'] / 1e9)}..{significant(achieved['high'] / 1e9)})",
                {True: "yes", False: "no", None: "open"}[rate["reached"]],
                NONE if cores["estimate"] is None else f"{significant(cores['estimate'])}",
                f"{more['estimate']:+.3f} ({more['low']:+.3f}..{more['high']:+.3f})" if comparable and more else NONE,
                *late,
                NONE if rate["sleeps_per_gb"] is None else f"{rate['sleeps_per_gb']:.0f}",
            ]
        )
    headers = [
        "variant",
        "Gbit/s",
        "reached",
        f"{question.ledger} cores",
        f"than {point['baseline']}",
        "late p50 ms",
        "p99 ms",
        "max ms",
        "sleeps/GB",
    ]
    return Table(f"At {human_rate(point['point']['rate_bps'])} offered (95 % intervals)", headers, rows)


def _baseline_reached(point: Facts) -> bool:
    return any(v["name"] == point["baseline"] and v["rate"]["reached"] for v in _at_rate(point))


def method(point: Facts) -> list[str]:
    """Say what keeping the rate costs; nothing without a rate."""
    pacing = point.get("pacing")
    if not pacing:
        return []
    return [
        f"keeping the rate costs {1e6 * pacing['cpu_s_per_sleep']:.3g} us a wake-up, {significant(pacing['cpu_s_per_gb'])} s/GB, "
        f"{significant(pacing['cpu_cores'])} cores (null mechanism): in every lane's CPU alike"
    ]
