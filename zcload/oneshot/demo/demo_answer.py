"""The demo's answer in words. Every statement is backed by an interval."""

from __future__ import annotations

import statistics

from zcload.analysis.stats import Interval
from zcload.oneshot.demo.contenders import NOTE_SECONDS, READ, SENDFILE, SLURP
from zcload.oneshot.demo.result import Demo, Quantity
from zcload.report.text.figures import percent

_ENDS: tuple[tuple[str, Quantity], ...] = (("sender", "sender_cpu_s"), ("receiver", "receiver_cpu_s"))
NO_INTERVAL = "One round has no error bar, so nothing can be concluded: run at least two (--rounds 5)."


def conclusion(demo: Demo) -> list[str]:
    """Return the sentences that answer the note's claim, a list item each: its time, what that time was, and the CPU of both ends."""
    if demo.rounds < 2:
        return [NO_INTERVAL]
    lines = []
    slurp = demo.figures(SLURP)
    if slurp.skipped is None:
        lines.append(_the_note(demo))
        lines.append(_memory(demo))
    else:
        lines.append(f"The note's first sender was left out: {slurp.skipped}.")
    lines.append(_copy(demo))
    if slurp.skipped is None:
        lines += _shares(demo)
        lines.append(_cpu(demo, SLURP))
    lines.append(_cpu(demo, READ))
    return lines


def amount(found: Interval | None) -> tuple[int, str]:
    """Return which way the interval of a ratio points (-1 less, 0 open, 1 more) and how far, in words."""
    if found is None:
        return 0, "too little for the clock"
    if found.high < 1:
        return -1, f"{_percent(found.map(lambda ratio: 1 - ratio))} less"
    if found.low > 1:
        return 1, f"{_percent(found.map(lambda ratio: ratio - 1))} more"
    return 0, f"no difference shown (ratio {found.estimate:.2f}, {found.low:.2f}..{found.high:.2f})"


def _percent(fraction: Interval) -> str:
    return f"{percent(100 * fraction.estimate)} % ({percent(100 * fraction.low)}..{percent(100 * fraction.high)})"


def _compared(demo: Demo, name: str, base: str, quantity: Quantity, noun: str) -> tuple[int, str]:
    """Return which way the interval points and "<noun>, a against b: 47 % (40..53) less"."""
    way, words = amount(demo.ratio(name, base, quantity))
    return way, f"{noun}, {name} against {base}: {words}"


def _the_note(demo: Demo) -> str:
    way, clause = _compared(demo, SENDFILE, SLURP, "seconds", "Time")
    theirs = percent(100 * (1 - sum(NOTE_SECONDS[SENDFILE]) / sum(NOTE_SECONDS[SLURP])))
    return f"{clause}. In the note's two runs: {theirs} % less{'' if way < 0 else ', which is not seen here'}."


def _memory(demo: Demo) -> str:
    way, clause = _compared(demo, READ, SLURP, "seconds", "Time")
    if way >= 0:
        return f"{clause}. Fresh memory is not shown to cost time here."
    faults = [statistics.median(demo.figures(name).sender_minor_faults) for name in (SLURP, READ)]
    return (
        f"{clause}. Both copy every byte: the difference is fresh memory ({faults[0]:,.0f} page faults against {faults[1]:,.0f}), "
        "and that slurping sends nothing until all is read."
    )


def _copy(demo: Demo) -> str:
    way, clause = _compared(demo, SENDFILE, READ, "seconds", "Time")
    what = {
        -1: "This is the copy that zero-copy saves, and the second system call of every step",
        0: "That leaving out the copy saves time is not shown here",
        1: "Leaving out the copy costs time here",
    }
    return f"{clause}. {what[way]}."


def _shares(demo: Demo) -> list[str]:
    """Split slurp's time, where both differences are shown: else there is nothing to split."""
    read, copy = demo.ratio(READ, SLURP, "seconds"), demo.ratio(SENDFILE, READ, "seconds")
    if read is None or copy is None or read.high >= 1 or copy.high >= 1:
        return []
    memory = 100 * (1 - read.estimate)
    saved = 100 * read.estimate * (1 - copy.estimate)
    return [
        f"So of slurp's time about {percent(memory)} % is slurping, {percent(saved)} % is the copy, and "
        f"{percent(100 - memory - saved)} % is what sendfile takes too."
    ]


def _cpu(demo: Demo, base: str) -> str:
    way, clause = _compared(demo, SENDFILE, base, "total_cpu_s", "CPU of both ends")
    ends = [f"the {end} alone {amount(demo.ratio(SENDFILE, base, quantity))[1]}" for end, quantity in _ENDS]
    verdict = {-1: "sendfile frees CPU", 0: "it is not shown that sendfile frees CPU", 1: "sendfile costs CPU, it frees none"}
    return f"{clause}; {', '.join(ends)}. Against {base} {verdict[way]} on this machine."
