"""The answer in words: the first lines of every report. Every statement is backed by an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.analysis.zerocopy_check import ALL_PLAIN, all_plain
from zcload.model.cautions import WORST_FIRST, level_of
from zcload.model.metrics import GOODPUT_BPS, RELAY_CPU_S_PER_GB, SENDER_CPU_S_PER_GB, TOTAL_CPU_S_PER_GB
from zcload.model.records.summary import PointSummary, Summary
from zcload.model.units import format_size
from zcload.report.tables import crossover, servers
from zcload.report.tables.small_files import difference
from zcload.report.text import encryption, rate
from zcload.report.text.explanation import explanations
from zcload.report.text.figures import change_text, percent, saving_text, unproven
from zcload.report.text.labels import in_a_sentence, labels
from zcload.report.text.question import Question, order, question_of

Comparison = Mapping[str, Any]


def answer(summary: Summary) -> list[str]:
    """Return the sentences that answer the question, a list item each."""
    lines: list[str] = []
    measured = [point for point in summary["points"] if point["generations"]]
    if not measured:
        return ["Nothing was measured: there is no answer in this result."]
    if summary.get("crossing"):
        return [*beside_load(summary), *crossover.sentences(summary)]
    for point in measured:
        lines += _point(summary, point)
    return [*beside_load(summary), *lines]


def beside_load(summary: Mapping[str, Any]) -> list[str]:
    """Return, first of all, that a result was measured beside other work and is not to be quoted; nothing if it was not."""
    shares = [point["foreign_share"] for point in summary["points"] if point.get("loaded")]
    if not shares:
        return []
    cpus = summary["environment"].get("cpus_online") or 1
    which = "" if len(shares) == len(summary["points"]) else f" at {len(shares)} of {len(summary['points'])} points"
    return [f"Measured while other work used up to {max(shares) * cpus:.1f} of {cpus} CPUs{which}: do not quote these figures."]


def cautions(summary: Mapping[str, Any]) -> list[tuple[str, str | None, list[str]]]:
    """Return the cautions as (code, remedy, messages), the worst level first. Those of one code and remedy are one."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for caution in summary["cautions"]:
        found.setdefault((caution["code"], caution["remedy"]), []).append(caution["message"])
    rows = [(code, remedy, messages) for (code, remedy), messages in found.items()]
    return sorted(rows, key=lambda row: WORST_FIRST.index(level_of(row[0])))


def _point(summary: Summary, point: PointSummary) -> list[str]:
    where = {"loopback": "On loopback", "veth": "Over veth", "hosts": "Between hosts"}[point["point"]["network"]]
    if point["point"]["cache"] == "cold":
        where += ", from a cold cache"
    if point["name"]:
        where += f", {point['name']}"
    lines = copied(point)
    question = question_of(summary, point)
    headlines = [c for c in point["comparisons"] if c["headline"]]
    lines += rate.sentences(summary, point)
    place = order(point)
    for c in sorted((c for c in point["comparisons"] if c["metric"] == question.metric), key=lambda c: place(c["variant"])):
        if c["aa"] or _other_role(point, c["variant"]):
            continue
        gone = next((v for v in point["variants"] if v["name"] == c["variant"] and v["status"] != "ok"), None)
        if gone and c["verdict"] is None:
            lines.append(f"{gone['name']} {'was skipped' if gone['status'] == 'skipped' else 'failed'}: {gone['reason']}.")
            continue
        also = _alone(point["comparisons"], c), _throughput(point["comparisons"], c)
        lines.append(f"{where}, {sentence(c, question.whose)}{difference(point, c, question.per_transfer)}{''.join(also)}")
    lines += servers.sentences(point, question.whose, question.metric)
    best = point["best_chunk"]
    if best:
        lines += _best(point, best["chunk_bytes"], question)
    lines += explanations(point)
    lines += encryption.sentences(point)
    lines += servers.traced(point)
    lines += [_aa(c) for c in headlines if c["aa"] and c["ratio"]["estimate"] is not None]
    if point["smallest_saving_percent"] is not None:
        here = f" at {point['name']}" if point["name"] else ""
        least = point["smallest_saving_percent"]
        told = f"The smallest saving this run could have shown{here} is {percent(least)} %."
        lines.append(told if least < 100 else f"This run could have shown no saving at all{here}: its intervals are too wide.")
    return lines


def copied(point: Mapping[str, Any]) -> list[str]:
    """Say which variants were not zero-copy at all: copied by the kernel after all, or never sent so."""
    plain = [v["name"] for v in point["variants"] if (truth := v.get("truth")) and all_plain(truth)]
    late = [name for name in labels(point) if name not in plain]
    lines = [f"{', '.join(late)}: the kernel copied 100 % of it after all: not a zero-copy result."] if late else []
    return [*lines, f"{', '.join(plain)}: {ALL_PLAIN}: not a zero-copy result."] if plain else lines


def sentence(c: Comparison, whose: str) -> str:
    """Say what a headline comparison allows to be said."""
    name, base, saving = in_a_sentence(c["variant"], c.get("label")), c["baseline"], c["saving_percent"]
    what = f"of {whose} CPU per GB against {base}"
    match c["verdict"]:
        case None:
            return f"{name} cannot be compared with {base}: {c['reason']}."
        case "saves" | "costs":
            return f"{name} {effect(saving, what)}"
        case "no difference":
            return f"{name} makes no difference: it saves {saving_text(saving)} {what}"
    return f"inconclusive: {name} may save or cost CPU, {saving_text(saving)} {what}; {c['reason']}"


def effect(saving: Mapping[str, Any], what: str = "") -> str:
    """Say a saving as one, "saves 34 % (31..37) of ...", and a negative one as a cost, "costs 12 % (9..15) more of ..."."""
    of = f" {what}" if what else ""
    if saving["estimate"] >= 0:
        return f"saves {saving_text(saving)}{of}"
    more = {"estimate": -saving["estimate"], "low": -saving["high"], "high": -saving["low"]}
    return f"costs {saving_text(more)} more{of}"


def _alone(comparisons: Sequence[Comparison], c: Comparison) -> str:
    """Say what the sender saves alone, or of a server or relay, whose own CPU is *c*, what all of a lane's processes save together."""
    if c["metric"] == RELAY_CPU_S_PER_GB:
        together = _other(comparisons, c, TOTAL_CPU_S_PER_GB)
        return f"; sender, relay and receiver together: {effect(together['saving_percent'])}" if c["verdict"] and together else ""
    server = c["metric"] == SENDER_CPU_S_PER_GB
    other = _other(comparisons, c, TOTAL_CPU_S_PER_GB if server else SENDER_CPU_S_PER_GB)
    if c["verdict"] is None or other is None:
        return ""
    return f"; {'counting the receiver too, it' if server else 'the sender alone'} {effect(other['saving_percent'])}"


def _throughput(comparisons: Sequence[Comparison], c: Comparison) -> str:
    goodput = _other(comparisons, c, GOODPUT_BPS)
    if c["verdict"] is None or not goodput:
        return "" if c["verdict"] is None else "."
    return f"; goodput {change_text(goodput['saving_percent'])}."


def _other(comparisons: Sequence[Comparison], c: Comparison, key: str) -> Comparison | None:
    found = (o for o in comparisons if (o["variant"], o["baseline"], o["metric"]) == (c["variant"], c["baseline"], key))
    other = next(found, None)
    return other if other and other["ratio"]["estimate"] is not None else None


def _other_role(point: Mapping[str, Any], name: str) -> bool:
    """Say whether a variant is no contender: the baseline at its best chunk, or one that moves nothing."""
    return any(v["name"] == name and (v["best_chunk"] or not v["moves_payload"]) for v in point["variants"])


def _best(point: Mapping[str, Any], chunk: int, question: Question) -> list[str]:
    base, size = point["baseline"], format_size(chunk)
    others = [
        c
        for c in point["comparisons_best_chunk"]
        if c["metric"] == question.metric and c["baseline"] != base and not _other_role(point, c["variant"])
    ]
    if not others:
        return [f"{size} is the best chunk of {base} here: the savings above are against the copy at its best."]
    parts = []
    for c in others:
        name = in_a_sentence(c["variant"], c.get("label"))
        if c["verdict"] is None:
            parts.append(f"{name} cannot be compared ({c['reason']})")
        else:
            decided = c["verdict"] in ("saves", "costs")
            parts.append(f"{name} {effect(c['saving_percent'])}" + ("" if decided else f" ({unproven(c)})"))
    return [f"Against {base} at its best chunk ({size}), of {question.whose} CPU per GB: {'; '.join(parts)}."]


def _aa(c: Comparison) -> str:
    low, high = c["ratio"]["low"], c["ratio"]["high"]
    fine = "it agrees with itself" if low <= 1.0 <= high else "it does NOT agree with itself"
    return f"A/A: {c['baseline']} against itself differs by {saving_text(c['saving_percent'])}: {fine}."
