"""Refuse what does not work between hosts: one line for each key that asks for it, with the reason, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zcload.errors import ConfigError, Problem
from zcload.mechanisms import BUILT_IN, RELAYS, Mechanism, mechanism_of
from zcload.model.study import Contender, Point, Study

_HERE = "measure it on one machine, without [cluster]"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that works on one machine only. *asks* says whether a contender at a point has it.

    In *key* and *reason* stand {variant} and {mechanism}, the names of what asks.
    """

    key: str
    reason: str
    remedy: str
    asks: Callable[[Point, Contender], bool]


def _needs_both_ends(point: Point, contender: Contender) -> bool:
    """Say whether the mechanism prepares a connection by both of its sockets."""
    mechanism = mechanism_of(contender)
    return any(getattr(mechanism, step).__func__ is not getattr(Mechanism, step).__func__ for step in ("prepare", "wrap"))


REFUSALS = (
    Refusal(
        "workload.cache", "the files of other hosts cannot be dropped from their caches", 'cache = "warm"', lambda p, c: p.cache == "cold"
    ),
    Refusal(
        "workload.transfer",
        "small files are timed from the sender's clock to the receiver's, and hosts have different clocks",
        'transfer = "stream"',
        lambda p, c: p.transfer == "per-file",
    ),
    Refusal("variant[{variant}].kind", "servers under test are started on this machine only", _HERE, lambda p, c: c.server is not None),
    Refusal(
        "variant[{variant}].mechanism",
        "{mechanism} is a relay, and no host is between senders and receivers",
        _HERE,
        lambda p, c: c.mechanism in RELAYS,
    ),
    Refusal(
        "variant[{variant}].mechanism",
        "{mechanism} is code of this machine, which other hosts do not have",
        _HERE,
        lambda p, c: c.server is None and mechanism_of(c) not in BUILT_IN,
    ),
    Refusal("variant[{variant}].mechanism", "{mechanism} needs both ends of a connection in one process", _HERE, _needs_both_ends),
)


def refuse(study: Study) -> None:
    """Raise ConfigError if *study* (resolved) asks for something that does not work between hosts: a line for each key."""
    found: dict[str, Problem] = {}
    for point in study.points:
        for contender in study.contenders(point):
            for refusal in REFUSALS:
                if refusal.asks(point, contender):
                    names = {"variant": contender.name, "mechanism": contender.mechanism}
                    key = refusal.key.format_map(names)
                    what = f"does not work with [cluster]: {refusal.reason.format_map(names)}"
                    found.setdefault(key, Problem(what, key=key, remedy=refusal.remedy))
                    break
    if found:
        raise ConfigError(*found.values())
