"""Find what limited a variant's throughput: the rate, the senders' CPU, the receivers' CPU or the TCP window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from zcload.analysis.tally import Tally

if TYPE_CHECKING:
    from zcload.model.records.measurements import SenderReport
    from zcload.model.records.summary import Bottleneck

_BUSY = 0.90


def bottleneck(tally: Tally | None, cpus: Sequence[int], reports: Sequence[SenderReport], rate_reached: bool | None = None) -> Bottleneck:
    """Judge a variant by its sums, by how many *cpus* senders, receivers and all workers could use, and by TCP_INFO.

    A role is busy by its busiest process or, where several processes share CPUs, by the share of those CPUs that it used.
    A lane that moves all that it is asked for is held back by nothing but its rate, however busy. Shares of TCP_INFO's busy time
    count in jiffies and are None where no report was had.
    """
    tally = tally or {}
    span = tally.get("elapsed_s", 0.0)
    busy: dict[str, float | None] = dict.fromkeys(("sender_busy", "receiver_busy", "cpu_busy"))
    if span and cpus:
        busy = {
            "sender_busy": max(tally.get("sender_busiest_s", 0.0), tally["sender_cpu_s"] / cpus[0]) / span,
            "receiver_busy": max(tally["receiver_busiest_s"], tally["receiver_cpu_s"] / cpus[1]) / span,
            "cpu_busy": tally["total_cpu_s"] / cpus[2] / span,
        }
    if busy["cpu_busy"] is not None and "relay_busiest_s" in tally:
        busy["relay_busy"] = tally["relay_busiest_s"] / span  # of a relay that shares its CPU: the CPU's share says it
    limited = window_limits(reports)
    verdicts = (
        ("relay CPU", busy.get("relay_busy"), _BUSY),
        ("sender CPU", busy["sender_busy"], _BUSY),
        ("receiver CPU", busy["receiver_busy"], _BUSY),
        ("CPU", busy["cpu_busy"], _BUSY),
        ("receiver's window", limited["rwnd_limited"], 0.5),
        ("send buffer", limited["sndbuf_limited"], 0.5),
    )
    verdict = next((name for name, share, bound in verdicts if share is not None and share > bound), "unknown")
    if rate_reached:
        verdict = "rate"
    return cast("Bottleneck", {"verdict": verdict, **busy, **limited})


def window_limits(reports: Sequence[SenderReport]) -> dict[str, float | None]:
    """Return in which share of the time with data queued the receiver's window and the send buffer held senders back, by TCP_INFO.

    Counted in jiffies by the kernel; None where no report was had.
    """
    infos = [report["tcp_info"] for report in reports]
    queued = sum(info.get("busy_time_us", 0) for info in infos)
    return {
        name: sum(info.get(f"{name}_us", 0) for info in infos) / queued if queued else None for name in ("rwnd_limited", "sndbuf_limited")
    }
