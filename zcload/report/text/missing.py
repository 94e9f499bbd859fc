"""Which figures of a result are missing, and why: each null metric of the summary carries its reason."""

from __future__ import annotations

from zcload.model.metrics import GOODPUT_BPS
from zcload.model.records.summary import PointSummary, Summary
from zcload.report.text.figures import NONE
from zcload.report.text.question import question_of


def missing(point: PointSummary) -> list[str]:
    """Return a line for each reason: the reason, the metrics that it leaves out, and of which variants unless it is of all."""
    measured = [v for v in point["variants"] if v["windows"]]
    found: dict[tuple[str, str], list[str]] = {}  # (reason, metric): variants
    for v in measured:
        for key, figure in v["metrics"].items():
            if figure["estimate"] is None:
                found.setdefault((figure.get("reason") or "no reason is stored", key), []).append(v["name"])
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (reason, key), names in found.items():
        groups.setdefault((reason, tuple(names)), []).append(key)
    return [
        f"{reason}: {', '.join(keys)}" + ("" if len(names) == len(measured) else f" (of {', '.join(names)})")
        for (reason, names), keys in groups.items()
    ]


def missing_in_table(summary: Summary) -> list[str]:
    """Say why the short report's table has no figure where it shows a dash: a line for each reason."""
    found: dict[str, list[str]] = {}
    for point in summary["points"]:
        question = question_of(summary, point)
        for v in point["variants"]:
            if not v["windows"] or not v["moves_payload"]:
                continue
            for key in (question.metric, GOODPUT_BPS, question.cores):
                figure = v["metrics"].get(key)
                if figure is not None and figure["estimate"] is None and (reason := figure.get("reason")):
                    found.setdefault(reason, []).append(v["name"])
    return [f"{NONE} {', '.join(dict.fromkeys(names))}: {reason} (--section missing has all)" for reason, names in found.items()]
