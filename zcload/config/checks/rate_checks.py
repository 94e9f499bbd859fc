"""Reject rates that are too slow to measure with their chunk, senders and files."""

from __future__ import annotations

from collections.abc import Iterator

from zcload.config.finding import Finding
from zcload.config.registries import takes_whole_passes
from zcload.config.resolved import ConfigTable, Found, Resolved
from zcload.model.schedule import LEAST_BURSTS, LEAST_OF_EACH, LONGEST_WINDOW_S, window_s
from zcload.model.units import counted, format_size, human_rate

LONGEST_PASS_S = 60.0  # of a mechanism whose windows end with its pass: as long as stop.window may be


def find_slow_rates(config: Resolved) -> Iterator[Finding]:
    """Find the rate at which a window would have to be longer than one may be, for the largest chunk and the most senders it meets."""
    workload = config.workload
    rates = [found for found in workload.values("rate") if found.value is not None]
    chunks = [found.value for each in (workload, *_mechanisms(config)) for found in each.values("chunk") if found.value is not None]
    senders = max((found.value for found in workload.values("senders")), default=0)
    if not rates or not chunks or not senders or not workload.never_holds("transfer", "per-file"):
        return
    rate = min(rates, key=lambda found: found.value)
    chunk = max(chunks)
    needed = window_s(rate.value, chunk, senders)
    chosen = config.stop.holds("window", None)
    if needed > LONGEST_WINDOW_S and chosen:
        smaller = int(chunk * LONGEST_WINDOW_S / needed)
        remedy = f"chunk = '{format_size(1 << smaller.bit_length() - 1)}'" if smaller >= 4096 else "a higher rate or fewer senders"
        yield Finding(
            rate.path,
            f"{human_rate(rate.value)} in chunks of {format_size(chunk)} by {counted(senders, 'sender')}: a window would need "
            f"{needed:.3g} s "
            f"for {LEAST_BURSTS} chunks, {LEAST_OF_EACH} of each sender: expected at most {LONGEST_WINDOW_S:g} s",
            remedy,
        )
        return
    size = max((found.value for found in workload.values("file_size")), default=0)
    if chosen:
        yield from _slow_requests(config, rate, size, senders)
    whole = sorted(c.mechanism for c in config.contenders if c.mechanism is not None and takes_whole_passes(c.mechanism))
    takes_s = size * 8 * senders / rate.value
    if whole and takes_s > LONGEST_PASS_S:
        what = f"at {human_rate(rate.value)} a window of {whole[0]}, which ends with its pass, would take {takes_s:.3g} s"
        yield Finding(rate.path, f"{what}: expected at most {LONGEST_PASS_S:g} s", "a smaller file_size")


def _mechanisms(config: Resolved) -> Iterator[ConfigTable]:
    return (variant for variant in config.variants if variant not in config.servers)


def _slow_requests(config: Resolved, rate: Found, size: int, senders: int) -> Iterator[Finding]:
    """Find the servers that are asked for so much at once that a window would have to be longer than one may be."""
    for server in config.servers:
        for found in server.values("request_size"):
            request = size if found.value is None else found.value  # 0, a chunk, is never too large here
            needed = window_s(rate.value, request, senders)
            if needed > LONGEST_WINDOW_S:
                yield Finding(
                    found.path,
                    f"requests of {format_size(request)} at {human_rate(rate.value)} on {counted(senders, 'connection')}: "
                    "a window would need "
                    f"{needed:.3g} s for {LEAST_BURSTS} of them, {LEAST_OF_EACH} on each: expected at most {LONGEST_WINDOW_S:g} s",
                    "leave it out: 'auto' asks for a chunk at a rate; or a higher rate or fewer senders",
                )
