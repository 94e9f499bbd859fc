"""Sentences that explain why a variant costs more or less, from the causes in the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zcload.report.text.figures import Unit, percent, saving_text, significant, unit_of
from zcload.report.text.labels import in_a_sentence, labels

Facts = Mapping[str, Any]


def explanations(point: Facts) -> list[str]:
    """Return a sentence for each variant that won or lost against the baseline, of those whose figures show why."""
    said, where, unit = labels(point), f", {point['name']}" if point["name"] else "", unit_of(point)
    return [_sentence(reason, said.get(reason["variant"]), where, unit) for reason in point.get("why", [])]


def _sentence(reason: Facts, label: str | None, where: str, unit: Unit) -> str:
    name = in_a_sentence(reason["variant"], label)
    head = {"saves": f"Why {name} saves", "costs": f"Why {name} costs more"}.get(
        reason["verdict"], f"Why {name} makes no difference: what one side saves the other pays"
    )
    return f"{head}{where}: {'; '.join(_side(side, unit) for side in reason['sides'])}."


def _side(side: Facts, unit: Unit) -> str:
    saving = side["saving_percent"]
    if side["effect"] == "saves":
        text = f"the {side['role']} needs {saving_text(saving)} less CPU"
    else:
        more = {"estimate": -saving["estimate"], "low": -saving["high"], "high": -saving["low"]}
        text = f"the {side['role']} needs {saving_text(more)} more CPU"
    causes = [_CAUSES[cause["code"]](cause, unit) for cause in side["causes"] if cause["code"] in _CAUSES]
    if len(causes) > 1:
        causes[-2:] = [f"{causes[-2]} and {causes[-1]}"]
    return f"{text}: {', '.join(causes)}" if causes else text


def _copies(cause: Facts, unit: Unit) -> str:
    ours, theirs = cause["variant"], cause["baseline"]
    return f"{ours or 'no'} {'copy' if ours < 2 else 'copies'} of the payload instead of {theirs or 'none'}"


def _counted(what: str) -> Callable[[Facts, Unit], str]:
    def write(cause: Facts, unit: Unit) -> str:
        ours, theirs = (significant(cause[side]["estimate"] * unit.of_a_gb) for side in ("variant", "baseline"))
        return f"{ours} {what} per {unit.name} instead of {theirs}"

    return write


def _own_code(cause: Facts, unit: Unit) -> str:
    seconds, name = (1e6, "us per file") if unit.name == "file" else (1.0, "s/GB")
    ours, theirs = (significant(cause[side] * unit.of_a_gb * seconds) for side in ("variant", "baseline"))
    return f"{ours} {name} of zcload's own code instead of {theirs}"


_CAUSES: dict[str, Callable[[Facts, Unit], str]] = {
    "copies": _copies,
    "late_copy": lambda cause, unit: "pages are pinned and looked up, and then the kernel copies them all the same",
    "late_copy_here": lambda cause, unit: "late copies of what was sent fall into its time too",
    "cold_memory": lambda cause, unit: "probably because the sender no longer warms the cache",
    "calls": _counted("system calls"),
    "faults": _counted("page faults"),
    "voluntary": _counted("voluntary switches"),
    "involuntary": _counted("involuntary switches"),
    "own_code": _own_code,
    "retransmits": lambda cause, unit: f"{percent(100 * cause['variant'])} % of the segments were sent again",
    "mapped": lambda cause, unit: f"{percent(100 * cause['variant'])} % of the bytes were mapped, not copied",
}
