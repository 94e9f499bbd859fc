"""What a result is asked about: whose CPU its verdicts are on, and the other metrics of the same processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zcload.model.metrics import (
    CPU_S_PER_TRANSFER,
    RELAY_CPU_CORES,
    RELAY_CPU_S_PER_GB,
    SENDER_CPU_CORES,
    SENDER_CPU_S_PER_GB,
    SYSTEM_CPU_CORES,
    SYSTEM_CPU_S_PER_GB,
    TOTAL_CPU_CORES,
    TOTAL_CPU_S_PER_GB,
    TOTAL_CPU_S_PER_TRANSFER,
)

Facts = Mapping[str, Any]  # of a summary, also of an earlier version


@dataclass(frozen=True, slots=True)
class Question:
    """The *metric* of the verdicts, *whose* CPU that is, *of* whom cores are, the *ledger* in tables, and the keys of its other forms."""

    metric: str
    whose: str
    of: str
    ledger: str
    cores: str
    per_transfer: str


_QUESTIONS = {
    TOTAL_CPU_S_PER_GB: Question(TOTAL_CPU_S_PER_GB, "both ends'", "of both ends", "both ends", TOTAL_CPU_CORES, TOTAL_CPU_S_PER_TRANSFER),
    SYSTEM_CPU_S_PER_GB: Question(
        SYSTEM_CPU_S_PER_GB, "the machine's", "of the machine", "machine", SYSTEM_CPU_CORES, TOTAL_CPU_S_PER_TRANSFER
    ),
    RELAY_CPU_S_PER_GB: Question(RELAY_CPU_S_PER_GB, "the relay's", "of the relay", "relay", RELAY_CPU_CORES, TOTAL_CPU_S_PER_TRANSFER),
    SENDER_CPU_S_PER_GB: Question(
        SENDER_CPU_S_PER_GB, "the server's", "of the server", "server", SENDER_CPU_CORES, CPU_S_PER_TRANSFER["sender"]
    ),
}


def question_of(summary: Facts, point: Facts) -> Question:
    """Return what *point* is asked about: the headline; in a study of servers their own CPU, since the other end is zcload's receiver.

    Results of earlier versions have both ends as headline there too.
    """
    if any(map(is_server, point["variants"])):
        return _QUESTIONS[SENDER_CPU_S_PER_GB]
    return whose(summary["headline"])


def is_server(variant: Facts) -> bool:
    """Say whether a variant is a server under test, which zcload neither sends nor copies for."""
    return bool(variant.get("server")) or variant["mechanism"] == "server"


def order(point: Facts) -> Callable[[str], int]:
    """Return the key that sorts names of variants of *point*: servers, which the question is about, before bare mechanisms."""
    names = [v["name"] for v in sorted(point["variants"], key=lambda v: not is_server(v))]
    places = {name: place for place, name in enumerate(names)}
    return lambda name: places.get(name, len(places))


def whose(metric: str) -> Question:
    """Return the question whose verdicts are on *metric*."""
    return _QUESTIONS[metric]
