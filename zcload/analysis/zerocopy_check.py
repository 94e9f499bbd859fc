"""Whether sends were zero-copy: the kernel's completion counters of each variant, over all senders and generations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from zcload.model.records.measurements import SenderReport
    from zcload.model.records.summary import ZeroCopyCheck


NOT_ZERO_COPY = "copied: not a zero-copy result"
ALL_PLAIN = "never sent as zero-copy: all of it fell back to plain sends, because no memory could be pinned for it"
SUMS = ("completions", "copied", "enobufs", "enomem", "eagain", "waits", "short", "broken_links", "fallback_sends", "fallback_bytes")
LARGEST = ("pinned_bytes_max",)  # of any one sender


def zerocopy_check(reports: Sequence[SenderReport]) -> ZeroCopyCheck:
    """Return the counters of all senders' *reports* together, null for what the mechanism does not count, and what follows from them.

    They cover all that the senders did in their generations, warm-ups and repeated blocks too.
    """
    counters = [report["completions"] for report in reports]
    found = {name: _of(counters, name, sum) for name in SUMS} | {name: _of(counters, name, max) for name in LARGEST}
    done, fallback = found["completions"], found["fallback_bytes"]
    moved = sum(report.get("bytes", 0) for report in reports)  # not in results of older versions
    copied_fraction = (found["copied"] or 0) / done if done and found["copied"] is not None else None
    fallback_fraction = fallback / moved if fallback is not None and moved else None
    label = NOT_ZERO_COPY if copied_fraction == 1.0 or fallback_fraction == 1.0 else None
    return cast("ZeroCopyCheck", {**found, "copied_fraction": copied_fraction, "fallback_fraction": fallback_fraction, "label": label})


def all_plain(found: ZeroCopyCheck) -> bool:
    """Say of what `truth` returned whether every byte fell back to plain sends: nothing was left for the kernel to copy after all."""
    return found.get("fallback_fraction") == 1.0


def _of(counters: Sequence[Mapping[str, int]], name: str, together: Callable[[Iterable[int]], int]) -> int | None:
    values = [each[name] for each in counters if name in each]
    return together(values) if values else None
