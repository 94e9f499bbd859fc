"""Sentences that explain why a variant costs more or less, from the causes in the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zcload.report.text.figures import percent, saving_text, significant
from zcload.report.text.labels import in_a_sentence, labels

Facts = Mapping[str, Any]


def explanations(point: Facts) -> list[str]:
    """Return a sentence for each variant that won or lost against the baseline, of those whose figures show why."""
    said, where = labels(point), f", {point['name']}" if point["name"] else ""
    return [_sentence(reason, said.get(reason["variant"]), where) for reason in point.get("why", [])]


def _sentence(reason: Facts, label: str | None, where: str) -> str:
    name = in_a_sentence(reason["variant"], label)
    head = {"saves": f"Why {name} saves", "costs": f"Why {name} costs more"}.get(
        reason["verdict"], f"Why {name} makes no difference: what one side saves the other pays"
    )
    return f"{head}{where}: {'; '.join(_side(side) for side in reason['sides'])}."


def _side(side: Facts) -> str:
    saving = side["saving_percent"]
    if side["effect"] == "saves":
        text = f"the {side['role']} needs {saving_text(saving)} less CPU"
    else:
        more = {"estimate": -saving["estimate"], "low": -saving["high"], "high": -saving["low"]}
        text = f"the {side['role']} needs {saving_text(more)} more CPU"
    causes = [_CAUSES[cause["code"]](cause) for cause in side["causes"] if cause["code"] in _CAUSES]
    if len(causes) > 1:
        causes[-2:] = [f"{causes[-2]} and {causes[-1]}"]
    return f"{text}: {', '.join(causes)}" if causes else text


def _copies(cause: Facts) -> str:
    ours, theirs = cause["variant"], cause["baseline"]
    return f"{ours or 'no'} {'copy' if ours < 2 else 'copies'} of the payload instead of {theirs or 'none'}"


def _counted(what: str) -> Callable[[Facts], str]:
    return lambda cause: (
        f"{significant(cause['variant']['estimate'])} {what} per GB instead of {significant(cause['baseline']['estimate'])}"
    )


_CAUSES: dict[str, Callable[[Facts], str]] = {
    "copies": _copies,
    "late_copy": lambda cause: "pages are pinned and looked up, and then the kernel copies them all the same",
    "late_copy_here": lambda cause: "late copies of what was sent fall into its time too",
    "cold_memory": lambda cause: "most likely because no copy by the sender has brought the bytes into a cache",
    "calls": _counted("system calls"),
    "faults": _counted("page faults"),
    "voluntary": _counted("voluntary switches"),
    "involuntary": _counted("involuntary switches"),
    "own_code": lambda cause: f"{significant(cause['variant'])} s/GB of zcload's own code instead of {significant(cause['baseline'])}",
    "retransmits": lambda cause: f"{percent(100 * cause['variant'])} % of the segments were sent again",
    "mapped": lambda cause: f"{percent(100 * cause['variant'])} % of the bytes were mapped, not copied",
}
