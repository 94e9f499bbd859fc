"""Tables of the zero-copy check and of the cost breakdown: what the kernel reported, and what each GB cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcload.analysis.cost_breakdown import NOT_OBSERVABLE
from zcload.analysis.own_cost import LOOP
from zcload.model.metrics import (
    RECEIVER_CYCLES_PER_BYTE,
    RECEIVER_INSTRUCTIONS_PER_BYTE,
    RECEIVER_INVOLUNTARY_SWITCHES_PER_GB,
    RECEIVER_MAJOR_FAULTS_PER_GB,
    RECEIVER_MIGRATIONS_PER_GB,
    RECEIVER_MINOR_FAULTS_PER_GB,
    RECEIVER_SYSCALLS_PER_GB,
    RECEIVER_VOLUNTARY_SWITCHES_PER_GB,
    RELAY_CYCLES_PER_BYTE,
    RELAY_INSTRUCTIONS_PER_BYTE,
    RELAY_INVOLUNTARY_SWITCHES_PER_GB,
    RELAY_MIGRATIONS_PER_GB,
    RELAY_MINOR_FAULTS_PER_GB,
    RELAY_SYSCALLS_PER_GB,
    RELAY_VOLUNTARY_SWITCHES_PER_GB,
    SENDER_COMPLETIONS_PER_GB,
    SENDER_CYCLES_PER_BYTE,
    SENDER_INSTRUCTIONS_PER_BYTE,
    SENDER_INVOLUNTARY_SWITCHES_PER_GB,
    SENDER_MAJOR_FAULTS_PER_GB,
    SENDER_MIGRATIONS_PER_GB,
    SENDER_MINOR_FAULTS_PER_GB,
    SENDER_PINNED_PAGES_PER_GB,
    SENDER_READ_BYTES_PER_GB,
    SENDER_RETRANSMITS_PER_GB,
    SENDER_SYSCALLS_PER_GB,
    SENDER_VOLUNTARY_SWITCHES_PER_GB,
)
from zcload.model.units import format_size, human_bytes
from zcload.report.tables.table import Table
from zcload.report.text.figures import NONE, Unit, significant, unit_of, with_error
from zcload.report.text.labels import in_a_cell, labels

Point = Mapping[str, Any]
Variant = Mapping[str, Any]

ALWAYS = (
    ("sender calls", SENDER_SYSCALLS_PER_GB),
    ("receiver calls", RECEIVER_SYSCALLS_PER_GB),
    ("sender vol.", SENDER_VOLUNTARY_SWITCHES_PER_GB),
    ("sender invol.", SENDER_INVOLUNTARY_SWITCHES_PER_GB),
    ("receiver vol.", RECEIVER_VOLUNTARY_SWITCHES_PER_GB),
    ("receiver invol.", RECEIVER_INVOLUNTARY_SWITCHES_PER_GB),
    ("sender faults", SENDER_MINOR_FAULTS_PER_GB),
    ("receiver faults", RECEIVER_MINOR_FAULTS_PER_GB),
)
WHERE_THERE_ARE_ANY = (
    ("relay calls", RELAY_SYSCALLS_PER_GB),
    ("relay vol.", RELAY_VOLUNTARY_SWITCHES_PER_GB),
    ("relay invol.", RELAY_INVOLUNTARY_SWITCHES_PER_GB),
    ("relay faults", RELAY_MINOR_FAULTS_PER_GB),
    ("sender major faults", SENDER_MAJOR_FAULTS_PER_GB),
    ("receiver major faults", RECEIVER_MAJOR_FAULTS_PER_GB),
    ("bytes read", SENDER_READ_BYTES_PER_GB),
    ("completions", SENDER_COMPLETIONS_PER_GB),
    ("pages pinned", SENDER_PINNED_PAGES_PER_GB),
    ("retransmits", SENDER_RETRANSMITS_PER_GB),
    ("sender cycles/B", SENDER_CYCLES_PER_BYTE),
    ("receiver cycles/B", RECEIVER_CYCLES_PER_BYTE),
    ("sender instr./B", SENDER_INSTRUCTIONS_PER_BYTE),
    ("receiver instr./B", RECEIVER_INSTRUCTIONS_PER_BYTE),
    ("sender migrations", SENDER_MIGRATIONS_PER_GB),
    ("receiver migrations", RECEIVER_MIGRATIONS_PER_GB),
    ("relay cycles/B", RELAY_CYCLES_PER_BYTE),
    ("relay instr./B", RELAY_INSTRUCTIONS_PER_BYTE),
    ("relay migrations", RELAY_MIGRATIONS_PER_GB),
)
TRUTH = (
    ("completions", "completions"),
    ("copied", "copied"),
    ("ENOBUFS", "enobufs"),
    ("ENOMEM", "enomem"),
    ("EAGAIN", "eagain"),
    ("waits for a buffer", "waits"),
    ("short sends", "short"),
    ("broken links", "broken_links"),
    ("sent plain", "fallback_sends"),
)
TRUTH_BYTES = (("bytes sent plain", "fallback_bytes"), ("most pinned", "pinned_bytes_max"))


def measured(point: Point) -> list[Variant]:
    """Return the variants that have figures."""
    return [v for v in point["variants"] if v["windows"]]


def truth_meter(point: Point) -> Table | None:
    """What the kernel said of each variant's sends; None where there is nothing to report."""
    said, rows = labels(point), []
    for v in measured(point):
        meter = v.get("truth") or {}
        if not any(meter.get(key) for _, key in TRUTH):
            continue
        share = meter["copied_fraction"]
        counts = [_count(meter, key) for _, key in TRUTH]
        sizes = [NONE if meter[key] is None else human_bytes(meter[key]) for _, key in TRUTH_BYTES]
        rows.append([in_a_cell(v["name"], said), NONE if share is None else f"{100 * share:.4g} %", *counts, *sizes])
    headers = ["variant", "copied share", *(title for title, _ in TRUTH), *(title for title, _ in TRUTH_BYTES)]
    return Table("Was it zero-copy? What the kernel reported of all sends", *_used(headers, rows)) if rows else None


def _count(meter: Mapping[str, Any], key: str) -> str:
    return NONE if meter.get(key) is None else str(meter[key])


def _used(headers: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out the columns in which no variant has anything."""
    keep = [at for at in range(len(headers)) if any(row[at] not in (NONE, "0", "0 B") for row in rows) or at == 0]
    return [headers[at] for at in keep], [[row[at] for at in keep] for row in rows]


def _any(variants: Sequence[Variant], key: str) -> bool:
    return any(v["metrics"].get(key, {}).get("estimate") for v in variants)


def costs_per_gb(point: Point) -> Table:
    """Crossings, switches, faults of each variant, and of the rarer costs those that occurred at all."""
    variants, said = measured(point), labels(point)
    always = [(title, key) for title, key in ALWAYS if all(key in v["metrics"] for v in variants)]
    columns = [*always, *((title, key) for title, key in WHERE_THERE_ARE_ANY if _any(variants, key))]
    unit = unit_of(point)

    def cell(v: Variant, key: str) -> str:
        return with_error(v["metrics"][key], unit.of_a_gb if key.endswith("_per_gb") else 1.0)

    rows = [
        [
            in_a_cell(v["name"], said),
            *(cell(v, key) for _, key in columns),
            _own(v, "own_cost", unit),
            _own(v, "receiver_own_cost", unit),
        ]
        for v in variants
    ]
    title = f"Costs per {unit.name}: system calls, context switches (voluntary, involuntary), page faults and more"
    seconds = "us" if unit.name == "file" else "s"
    own = [f"own code, sender {seconds}", f"own code, receiver {seconds}"]
    return Table(title, ["variant", *(title for title, _ in columns), *own], rows)


def _own(variant: Variant, key: str, unit: Unit) -> str:
    own = variant.get(key)
    return significant(own["s_per_gb"] * unit.of_a_gb * (1e6 if unit.name == "file" else 1.0)) if own else NONE


def own_code(point: Point) -> list[str]:
    """Say what zcload's own code costs per call, and per GB at the point's chunk."""
    chunk, lines = point["point"]["chunk_bytes"], []
    loop = point["loop_s_per_call"]
    for name, cost in (point.get("own_s_per_call") or ({LOOP: loop} if loop else {})).items():
        what = "the loop itself costs" if name == LOOP else f"a call that moves nothing ({name}) costs"
        lines.append(f"{what} {1e9 * cost:.0f} ns a call: {significant(cost * 1e9 / chunk)} s/GB at {format_size(chunk)}")
    for sink, cost in (point.get("receive_loop_s") or {}).items():
        lines.append(f"the receivers' loop around {sink} costs {1e9 * cost:.0f} ns a receive")
    return lines


def perf(point: Point) -> list[str]:
    """Say which perf events were counted, and why not the others."""
    able = point.get("perf")
    if not able:
        return []
    counted = ", ".join(able["events"]) or "nothing"
    where = " in user space only (kernel.perf_event_paranoid)" if able["user_only"] and able["events"] else ""
    why: dict[str, list[str]] = {}
    for event, reason in able["reasons"].items():
        why.setdefault(reason, []).append(event)
    return ["; ".join([f"perf counted {counted}{where}", *(f"not {', '.join(events)}: {reason}" for reason, events in why.items())])]


def calls_by_kind(point: Point) -> Table | None:
    """The system calls of each variant, by kind."""
    said, unit, rows, roles = labels(point), unit_of(point), [], _roles(point)
    for v in measured(point):
        calls = v.get("bill", {}).get("calls_per_gb", {})
        if any(calls.values()):
            rows.append([in_a_cell(v["name"], said), *(_kinds(calls.get(role, {}), unit) for role in roles)])
    return Table(f"System calls per {unit.name}, by kind", ["variant", *roles], rows) if rows else None


def _roles(point: Point) -> tuple[str, ...]:
    return ("relay", "sender", "receiver") if "relay" in point else ("sender", "receiver")


def _kinds(calls: Mapping[str, Mapping[str, Any]], unit: Unit) -> str:
    return ", ".join(f"{kind} {significant(c['estimate'] * unit.of_a_gb)}" for kind, c in calls.items() if c["estimate"]) or NONE


def copies(point: Point) -> Table | None:
    """How often the CPU copies the payload: as documented for this kind of network, and observed where anything told of it.

    Servers have no row: the report says what moved their payload, and of their receivers' sink what it says for the others.
    """
    said, rows, roles = labels(point), [], _roles(point)
    for v in measured(point):
        found = v.get("bill", {}).get("copies", {})
        if not found.get(roles[0]):
            continue
        cells = [cell for role in roles for cell in _told(found.get(role))]
        rows.append([in_a_cell(v["name"], said), *cells, str(found[roles[0]]["card"])])
    headers = ["variant", *(title for role in roles for title in (f"{role}, documented", "observed")), f"{roles[0]}, to a network card"]
    keep = [at for at, title in enumerate(headers) if title != "observed" or any(row[at] not in (NONE, NOT_OBSERVABLE) for row in rows)]
    title = "Copies of the payload by the CPU"
    title += "" if len(keep) == len(headers) else " (observed only where the kernel told of them)"
    return Table(title, [headers[at] for at in keep], [[row[at] for at in keep] for row in rows]) if rows else None


def _told(found: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return what is documented and what was observed of one side's copies."""
    if found is None:
        return NONE, NONE
    documented = f"{found['here']} ({found['note']})" if found["note"] else str(found["here"])
    observed = found["basis"] if found["observed"] is None else f"{found['observed']:.3g} ({found['basis']})"
    return documented, observed
