"""The answer of a result in one to a few sentences, in the words of the question that its config asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zcload.model.metrics import SENDER_CPU_S_PER_GB, SYSTEM_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import ComparisonRecord, PointSummary, Summary, VariantRecord
from zcload.model.records.values import IntervalRecord
from zcload.report.tables import crossover
from zcload.report.text import encryption
from zcload.report.text.figures import percent, saving_text
from zcload.report.text.labels import in_a_sentence, labels

WHOSE = {TOTAL_CPU_S_PER_GB: "both ends' CPU", SYSTEM_CPU_S_PER_GB: "the machine's CPU", SENDER_CPU_S_PER_GB: "the server's CPU"}


def question_metric(summary: Summary, point: PointSummary) -> str:
    """Return the key of the metric that the question is about: of servers their own CPU, since the other end is zcload's receiver."""
    return SENDER_CPU_S_PER_GB if any(v.get("server") or v["mechanism"] == "server" for v in point["variants"]) else summary["headline"]


def contenders(point: PointSummary) -> list[VariantRecord]:
    """Return the variants that are compared: not the baseline, its A/A lane, its best chunk, or what moves nothing."""
    return [v for v in point["variants"] if v["name"] != point["baseline"] and not v["aa"] and not v["best_chunk"] and v["moves_payload"]]


def comparison_of(point: PointSummary, name: str, metric: str) -> ComparisonRecord | None:
    """Return the comparison of the variant *name* with the point's baseline in *metric*."""
    found = (c for c in point["comparisons"] if c["variant"] == name and c["metric"] == metric)
    return next(found, None)


def answer_last(summary: Summary) -> list[str]:
    """Return the sentences that stand right above the prompt: one for each point, and of many points the first and the last."""
    measured = [point for point in summary["points"] if point["generations"]]
    if not measured:
        return ["Nothing was measured: there is no answer in this result."]
    if summary.get("crossing"):
        return crossover.sentences(summary)
    shown = measured if len(measured) <= 2 else [measured[0], measured[-1]]
    return [sentence for point in shown for sentence in _of_point(summary, point)]


def _of_point(summary: Summary, point: PointSummary) -> list[str]:
    metric = question_metric(summary, point)
    groups: dict[str, list[tuple[VariantRecord, ComparisonRecord]]] = {}
    for variant in contenders(point):
        c = comparison_of(point, variant["name"], metric)
        if variant["status"] != "ok" and (c is None or c["verdict"] is None):
            groups.setdefault("gone", []).append((variant, c or point["comparisons"][0]))
        elif c is not None:
            groups.setdefault(c["verdict"] or "none", []).append((variant, c))
    where = f"At {point['name']}, " if point["name"] else ""
    lines = [where + write(groups[verdict], point, WHOSE[metric]) for verdict, write in _SENTENCES.items() if verdict in groups]
    lines += [f"{v['name']} was {v['status']}: {v['reason']}." for v, _ in groups.get("gone", ())]
    lines += encryption.sentences(point)
    return lines or [f"{where}there was nothing to compare with {point['baseline']}."]


def _named(point: PointSummary, pairs: Iterable[tuple[VariantRecord, ComparisonRecord]], verb: str, negate: bool = False) -> str:
    said, parts = labels(point), list[str]()
    for v, c in pairs:
        saving = negated(c["saving_percent"]) if negate else c["saving_percent"]
        does = "" if parts else f" {verb}"
        parts.append(f"{in_a_sentence(v['name'], said.get(v['name']))}{does} {saving_text(saving)}")
    return listed(parts)


def negated(saving: IntervalRecord) -> IntervalRecord:
    """Return a saving as the cost that it is: sign and ends swapped; what has no figure stays without."""
    ends = (saving["estimate"], saving["high"], saving["low"])
    estimate, low, high = (None if value is None else -value for value in ends)
    return {"estimate": estimate, "low": low, "high": high}


def _saves(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    return f"{_named(point, pairs, 'saves')} of {whose} per GB against {point['baseline']}."


def _costs(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    return f"{_named(point, pairs, 'costs', negate=True)} more of {whose} per GB than {point['baseline']}."


def _same(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    return f"No difference: {_named(point, pairs, 'saves')} of {whose} per GB against {point['baseline']}."


def _open(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    reasons = dict.fromkeys(c["reason"] for _, c in pairs if c["reason"])
    return f"Inconclusive: {_named(point, pairs, 'saves')} of {whose} per GB against {point['baseline']} ({'; '.join(reasons)})."


def _none(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    return "; ".join(f"{v['name']} cannot be compared with {point['baseline']}: {c['reason']}" for v, c in pairs) + "."


_SENTENCES = {"saves": _saves, "costs": _costs, "no difference": _same, "inconclusive": _open, "none": _none}


def listed(parts: Sequence[str]) -> str:
    """Join *parts* as a sentence lists them: "a", "a and b", "a, b and c"."""
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])


def limits(summary: Summary) -> str | None:
    """Say in a line what the interval covers and which saving would have been seen; None where nothing was compared."""
    least = [p["smallest_saving_percent"] for p in summary["points"] if p["smallest_saving_percent"] is not None]
    replicates = [p.get("replicates") for p in summary["points"] if p.get("replicates")]
    if not least:
        return None
    covers = "this process alone, not another run"
    if replicates:
        covers = f"another run on this machine, today ({min(n for n in replicates if n)} replicates)"
    return f"The 95 % intervals cover {covers}. Smallest saving that would have shown: {percent(max(least))} %."
