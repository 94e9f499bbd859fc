"""Find what differs between results beside their figures: what forbids a comparison, and what is only reported.

Refused is what changes the meaning or the natural value of a ratio: another processor, another way of counting CPU time, another
baseline. What people compare on purpose is told and no more: the kernel, zcload itself, settings of the system.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from zcload.errors import ConfigError, Problem
from zcload.model.metrics import TRANSFERS_PER_S
from zcload.store.reader import Result

# Facts of the environment (docs/metrics.md) by what a difference in them does.
REFUSED = {
    "architecture": "another instruction set",
    "cpu_model": "another processor has other costs of a copy and of a system call",
    "cpus_allowed": "another number of CPUs: another placement",
    "smt": "hardware threads of one core slow each other",
    "virtualisation": "the hypervisor's share of the cost is another",
    "irq_time_accounting": "interrupt time is charged to processes on one side only",
}
# Whole-result facts that are not in the environment.
WHOLE = {
    "schedule": "lanes that run together share the machine",
    "headline": "the verdicts are about another ledger",
}
# Keys of the config whose settings have another name in a result, where names end with their unit.
_SETTINGS = {
    "chunk": "chunk_bytes",
    "receive_chunk": "receive_chunk_bytes",
    "receive_buffer_offset": "receive_buffer_offset_bytes",
    "file_size": "file_bytes",
    "rate": "rate_bps",
    "transfer_rate": TRANSFERS_PER_S,
    "socket_buffer": "socket_buffer_bytes",
    "mtu": "mtu_bytes",
}
SILENT = {"host_name"}  # says nothing that another fact does not


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same on both sides: its *key*, the values, and *why* it is refused; None if it is only told."""

    key: str
    base: str
    new: str
    why: str | None = None

    def as_dict(self) -> dict[str, object]:
        return {"key": self.key, "base": self.base, "new": self.new, "refused_because": self.why}


def differences(base: Sequence[Result], new: Sequence[Result]) -> list[Difference]:
    """Return what differs between the results of the two sides, or within one of them; what would be refused first."""
    found = [_difference(key, base, new, partial(_whole, key), why) for key, why in WHOLE.items()]
    facts = dict.fromkeys(key for result in (*base, *new) for key in result.summary["environment"] if key not in SILENT)
    found += [_difference(key, base, new, partial(_fact, key), REFUSED.get(key)) for key in facts]
    found.append(_difference("study", base, new, lambda r: r.summary["name"], None))
    found.append(_difference("margin_percent", base, new, lambda r: r.summary.get("margin_percent"), None))
    found.append(_difference("complete", base, new, lambda r: r.summary["complete"], None))
    found.append(_cautions(base, new))
    return sorted((d for d in found if d is not None), key=lambda d: d.why is None)


def _whole(key: str, result: Result) -> object:
    return result.summary.get(key)


def _fact(key: str, result: Result) -> object:
    value = result.summary["environment"].get(key)
    # Which CPUs they are is luck; how many is what counts.
    return len(value) if key == "cpus_allowed" and isinstance(value, list) else value


def _cautions(base: Sequence[Result], new: Sequence[Result]) -> Difference | None:
    """Return the codes of the cautions that only one side has."""
    ours, theirs = ({c["code"] for result in side for c in result.summary["cautions"]} for side in (base, new))
    if ours == theirs:
        return None
    return Difference("cautions", ", ".join(sorted(ours - theirs)) or "no other", ", ".join(sorted(theirs - ours)) or "no other")


def _difference(
    key: str, base: Sequence[Result], new: Sequence[Result], fact: Callable[[Result], object], why: str | None
) -> Difference | None:
    sides = [list(dict.fromkeys(_shown(value) for result in side if (value := fact(result)) is not None)) for side in (base, new)]
    if not all(sides) or len({*sides[0], *sides[1]}) == 1:
        return None  # what one side does not know, an older zcload or another host, is no difference
    return Difference(key, " / ".join(sides[0]), " / ".join(sides[1]), why)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def setting_of(key: str) -> str:
    """Return the setting of a result that *key* means, which may be written as in a config: "chunk" or "workload.chunk"."""
    bare = key.removeprefix("workload.").removeprefix("study.")
    return _SETTINGS.get(bare, bare)


def known(allowed: Iterable[str], base: Sequence[Result], new: Sequence[Result]) -> None:
    """Raise ConfigError for what is *allowed* to differ and is no setting, variant or fact of any of the results: it would do nothing."""
    names = {"baseline", *REFUSED, *WHOLE}
    for result in (*base, *new):
        names.update(result.summary["environment"])
        for point in result.summary["points"]:
            names.update(point["point"])
            names.update(f"variant {variant['name']}" for variant in point["variants"])
    problems = []
    for key in dict.fromkeys(allowed):
        if key not in names:
            near = [name for name in sorted(names) if name.startswith(f"{key}_")] or difflib.get_close_matches(key, sorted(names), n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "a comparison that is refused names the KEY to allow"
            problems.append(Problem(f"{key!r} is not a setting or a fact of these results", key="--allow", remedy=remedy))
    if problems:
        raise ConfigError(*problems)


def refuse(found: Iterable[Difference], allowed: Sequence[str]) -> None:
    """Raise ConfigError for the differences that make a comparison meaningless and are not *allowed* by their keys."""
    problems = [
        Problem(f"differs: {d.base} against {d.new}", key=d.key, remedy=f"{d.why}; if that is the question: --allow {d.key}")
        for d in found
        if d.why is not None and d.key not in allowed
    ]
    if problems:
        raise ConfigError(*problems)
