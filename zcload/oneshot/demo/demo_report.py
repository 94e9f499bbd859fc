"""The demo's report for a terminal: the answer, the figures beside those of 2015, the ratios, the method."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence

from zcload.analysis.stats import Interval
from zcload.model.units import human_bytes
from zcload.oneshot.demo.contenders import NOTE_BYTES, NOTE_SECONDS, READ, SLURP
from zcload.oneshot.demo.demo_answer import conclusion
from zcload.oneshot.demo.result import Demo, Figures, Quantity
from zcload.report.text.figures import NONE, significant

_WIDTH = 100
_CPU = ("sender\nCPU s", "receiver\nCPU s", "both\nCPU s", "page\nfaults")
_RATIOS = ("sender", f"time /\n{SLURP}", f"time /\n{READ}", f"both CPU /\n{SLURP}", f"both CPU /\n{READ}")


def render(demo: Demo) -> str:
    """Return the report: a pure function of the record."""
    whole = "" if demo.error is None else f" (partial: {demo.error})"
    rounds = f"{demo.rounds} round" + ("" if demo.rounds == 1 else "s")
    same_size = demo.file_bytes == NOTE_BYTES
    heads = ("sender", "seconds", *(("note, 2015",) if same_size else ("Gbit/s", "note, 2015\nGbit/s")), *_CPU)
    figures = _table([_figures(demo, each) for each in demo.contenders], heads)
    ratios = _table([_ratios(demo, each) for each in demo.contenders], _RATIOS)
    parts = [
        f"{human_bytes(demo.file_bytes)} over loopback, {rounds}, Linux {demo.kernel}, CPUs: {demo.cpus}{whole}",
        _paragraphs(conclusion(demo)),
        f"Medians (lowest..highest); note, 2015: its two runs{', in seconds' if same_size else f', of {human_bytes(NOTE_BYTES)}'}"
        f"\n\n{figures}",
        f"Ratios, paired round by round, each with its 95 % interval\n\n{ratios}",
        "Senders\n" + _paragraphs([_sender(each) for each in demo.contenders]),
    ]
    if demo.notes:
        parts.append("Notes\n" + _paragraphs(demo.notes))
    parts.append("How it was measured\n" + _paragraphs(_method(demo)))
    return "\n\n".join(parts) + "\n"


def _sender(each: Figures) -> str:
    return f"{each.name}: {each.what}" + (f"; skipped: {each.skipped}" if each.skipped else "")


def _method(demo: Demo) -> list[str]:
    file = demo.file or "made in memory, incompressible"
    return [
        f"File: {file}; SHA-256 {demo.sha256}, which every sender's receiver got in a round before the timed ones.",
        "One transfer on a fresh connection a measurement, sender and receiver forked for it, each round in random order "
        f"(seed {demo.seed}). Seconds: after connect until the sender has closed, opening and reading included, as the note "
        "timed it. The receiver takes 64 KiB a call into a new object, as the note's did.",
        "CPU: each process's own clock. On loopback each end does part of the other's work, so what counts is both together. "
        "No NIC is involved: for one, for equal load, or for tighter intervals, use `zcload run`.",
    ]


def _figures(demo: Demo, each: Figures) -> list[str]:
    """Return a sender's row: seconds beside the note's for a file of its size, else rates, since seconds of other sizes do not compare."""
    theirs = NOTE_SECONDS.get(each.name, ())
    if demo.file_bytes == NOTE_BYTES:
        note = [", ".join(f"{seconds:.4f}" for seconds in theirs) or NONE]
    else:
        rate = [_gbps(demo.file_bytes, statistics.median(each.seconds))] if each.seconds else [NONE]
        note = [*rate, ", ".join(_gbps(NOTE_BYTES, seconds) for seconds in theirs) or NONE]
    if not each.seconds:
        return [each.name, NONE, *note, NONE, NONE, NONE, NONE]
    cpu = [significant(statistics.median(values)) for values in (each.sender_cpu_s, each.receiver_cpu_s, each.total_cpu_s)]
    seconds = f"{significant(statistics.median(each.seconds))} ({significant(min(each.seconds))}..{significant(max(each.seconds))})"
    return [each.name, seconds, *note, *cpu, f"{statistics.median(each.sender_minor_faults):.0f}"]


def _gbps(moved_bytes: int, seconds: float) -> str:
    return significant(8e-9 * moved_bytes / seconds)


def _ratios(demo: Demo, each: Figures) -> list[str]:
    wanted: tuple[tuple[str, Quantity], ...] = ((SLURP, "seconds"), (READ, "seconds"), (SLURP, "total_cpu_s"), (READ, "total_cpu_s"))
    return [each.name, *("1" if base == each.name else _interval(demo.ratio(each.name, base, quantity)) for base, quantity in wanted)]


def _interval(found: Interval | None) -> str:
    return NONE if found is None else f"{found.estimate:.2f} ({found.low:.2f}..{found.high:.2f})"


def _table(rows: list[list[str]], headers: Sequence[str]) -> str:
    from tabulate import tabulate

    align = ("left", *["right"] * (len(headers) - 1))
    return textwrap.indent(tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=align), "  ")


def _paragraphs(lines: Sequence[str]) -> str:
    return "\n".join(
        textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in lines
    )
