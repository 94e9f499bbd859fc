"""The answer of a result in one to a few sentences, in the words of the question that its config asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zcload.model.metrics import GOODPUT_BPS
from zcload.model.records.summary import ComparisonRecord, PointSummary, Summary, VariantRecord
from zcload.model.records.values import IntervalRecord
from zcload.model.units import counted, human_rate
from zcload.report.tables import crossover
from zcload.report.text import encryption, rate
from zcload.report.text.figures import percent, saving_text, significant, unit_of
from zcload.report.text.labels import in_a_sentence, labels
from zcload.report.text.question import Question, is_server, order, question_of

_Group = tuple[bool, str, str | None]  # whether without a server, the verdict, the reason of one that is inconclusive


def contenders(point: PointSummary) -> list[VariantRecord]:
    """Return the variants that are compared, servers first: not the baseline, its A/A lane, its best chunk, or what moves nothing."""
    place = order(point)
    found = [v for v in point["variants"] if v["name"] != point["baseline"] and not v["aa"] and not v["best_chunk"] and v["moves_payload"]]
    return sorted(found, key=lambda v: place(v["name"]))


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
    behind = [line for point in measured for line in rate.behind(point)]
    sentences = [sentence for point in shown for sentence in _of_point(summary, point)]
    return _reasons_once(sentences) + behind[-1:] + rate.highest(summary, measured)


def _reasons_once(sentences: Sequence[str]) -> list[str]:
    """Return *sentences*; one that is inconclusive for the reason of the one before says so, and does not repeat it."""
    lines, last = list[str](), ""
    for sentence in sentences:
        what, _, reason = sentence.rpartition("; ") if "nconclusive: " in sentence else ("", "", "")
        repeats = reason != "" and reason == last
        lines.append(f"{what.replace('nconclusive: ', 'nconclusive for the same reason: ', 1)}." if repeats else sentence)
        last = reason
    return lines


def _of_point(summary: Summary, point: PointSummary) -> list[str]:
    question = question_of(summary, point)
    groups: dict[_Group, list[tuple[VariantRecord, ComparisonRecord]]] = {}
    about_servers = any(map(is_server, point["variants"]))
    gone: list[VariantRecord] = []
    for variant in contenders(point):
        c = comparison_of(point, variant["name"], question.metric)
        if variant["status"] != "ok" and (c is None or c["verdict"] is None):
            gone.append(variant)
        elif c is not None:
            bare, reason = about_servers and not is_server(variant), c["reason"] if c["verdict"] == "inconclusive" else None
            groups.setdefault((bare, c["verdict"] or "none", reason), []).append((variant, c))
    where = f"At {point['name']}, " if point["name"] else ""
    lines = []
    asked = any(not bare for bare, _, _ in groups)
    for group in sorted(groups, key=lambda key: (key[0], list(_SENTENCES).index(key[1]))):
        bare, verdict, _ = group
        if bare and verdict == "inconclusive" and asked:
            continue  # not what the study asks, and the table has it
        begins = where + ("without a server, " if where else "Without a server, ") if bare else where
        line = _SENTENCES[verdict](groups[group], point, "the sender's CPU" if bare else f"{question.whose} CPU")
        lines.append(begins + (line[0].lower() + line[1:] if begins and line.startswith(_OPENINGS) else line))
    lines += [f"{v['name']} was {v['status']}: {(v['reason'] or '').removeprefix(v['name'] + ': ')}." for v in gone]
    lines += encryption.sentences(point)
    return lines or _alone(point, question, where)


def _alone(point: PointSummary, question: Question, where: str) -> list[str]:
    """Say what the only variant costs, and how to compare it."""
    v = next(v for v in point["variants"] if v["name"] == point["baseline"])
    cpu, goodput = v["metrics"].get(question.metric), v["metrics"].get(GOODPUT_BPS)
    how = f"Nothing was compared; zcload run {v['mechanism']} sendfile measures two mechanisms."
    if cpu is None or goodput is None or cpu["estimate"] is None or goodput["estimate"] is None:
        return [f"{where}{v['name']}: no figure for {question.whose} CPU: {cpu['reason'] if cpu else 'not measured'}.", how]
    ends = "" if cpu["low"] is None or cpu["high"] is None else f" ({significant(cpu['low'])}..{significant(cpu['high'])})"
    return [
        f"{where}{v['name']} costs {significant(cpu['estimate'])} s{ends} of {question.whose} CPU per GB, at "
        f"{human_rate(goodput['estimate'])}.",
        how,
    ]


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
    return f"{_named(point, pairs, 'saves')} of {whose} per {unit_of(point).name} against {point['baseline']}."


def _costs(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    return f"{_named(point, pairs, 'costs', negate=True)} more of {whose} per {unit_of(point).name} than {point['baseline']}."


def _same(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    return f"No difference: {_named(point, pairs, 'saves')} of {whose} per {unit_of(point).name} against {point['baseline']}."


def _open(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    said, reason = labels(point), pairs[0][1]["reason"]  # the same of all
    savings = [f"{in_a_sentence(v['name'], said.get(v['name']))} {saving_text(c['saving_percent'])}" for v, c in pairs]
    what = "saving" if len(savings) == 1 else "savings"
    why = f"; {reason}" if reason else ""
    return f"Inconclusive: {what} of {whose} per {unit_of(point).name} against {point['baseline']}: {listed(savings)}{why}."


def _none(pairs: Sequence[tuple[VariantRecord, ComparisonRecord]], point: PointSummary, whose: str) -> str:
    return "; ".join(f"{v['name']} cannot be compared with {point['baseline']}: {c['reason']}" for v, c in pairs) + "."


_ALONE = "this process alone, not another run"
_SCATTERED = " How scattered the file's pages are changes over hours: file_pages = 'auto' takes it out."
_MOSTLY = 0.5  # with half of the file and more in huge pages, the others hardly move the result
_TOO_WIDE = "Some of them are too wide to show any saving."
_OPENINGS = ("Inconclusive", "No difference")  # the rest begin with a name, which is written as it is

_SENTENCES = {"saves": _saves, "costs": _costs, "no difference": _same, "inconclusive": _open, "none": _none}


def listed(parts: Sequence[str]) -> str:
    """Join *parts* as a sentence lists them: "a", "a and b", "a, b and c"."""
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])


def covers(summary: Summary) -> str | None:
    """Say in a sentence for which runs the intervals hold; None where nothing was compared."""
    if not _smallest(summary):
        return None
    replicates = [n for p in summary["points"] if p["smallest_saving_percent"] is not None and (n := p.get("replicates"))]
    least = min(replicates, default=1)
    what = f"another run on this machine, today ({counted(least, 'replicate')})" if least > 1 else _ALONE
    shares = [p.get("file_huge_share") for p in summary["points"] if p["point"].get("file_pages") != "huge"]
    scattered = any(share is not None and share < _MOSTLY for share in shares)
    return f"The 95 % intervals cover {what}.{_SCATTERED if replicates and scattered else ''}"


def limits(summary: Summary) -> str | None:
    """Say in a line what the intervals cover and which saving would have been seen; None where nothing was compared."""
    least = max(_smallest(summary), default=0.0)
    shown = f"Smallest saving that would have shown: {percent(least)} %." if least < 100 else _TOO_WIDE
    return f"{said} {shown}" if (said := covers(summary)) else None


def _smallest(summary: Summary) -> list[float]:
    return [least for p in summary["points"] if (least := p["smallest_saving_percent"]) is not None]
