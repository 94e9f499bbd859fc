"""Read `iperf3 -J` (https://github.com/esnet/iperf): goodput of the receiver, CPU of both processes.

Its CPU percentages are the process's own (clock() over wall time, cpu_util in iperf_util.c), 100 for one core, between the creation of the
streams and the results. With --omit they and the wall time take the omitted seconds in, the bytes do not.
"""

from __future__ import annotations

import json
from typing import Any

from zcload.model.units import counted
from zcload.report.imported.result import ImportedResult, NotOurs

_PROCESSES = "CPU of the two processes, from connecting to the end; what runs in interrupts on top of others is not in it"


def read_iperf3(text: str) -> ImportedResult:
    """Read the JSON of a TCP test in one direction; raises NotOurs, and ValueError for a test that cannot be compared."""
    try:
        tree = json.loads(text)
    except ValueError:
        raise NotOurs from None
    if not isinstance(tree, dict) or "start" not in tree or "end" not in tree:
        raise NotOurs
    if tree.get("error"):
        raise ValueError(f"is of a test that failed: {tree['error']}")
    start, end = tree["start"]["test_start"], tree["end"]
    if start["protocol"] != "TCP" or start.get("bidir"):
        raise ValueError(
            f"is of a {'test in both directions' if start.get('bidir') else start['protocol'] + ' test'}: only TCP one way can be told"
        )
    received = end["sum_received"]
    gb = received["bytes"] / 1e9
    if not gb:
        raise ValueError("is of a test in which nothing arrived")
    busy_s = {side: end["cpu_utilization_percent"][f"{side}_total"] / 100 * _wall(received, start) for side in ("host", "remote")}
    # The client is `host`; with -R it receives.
    sender, receiver = ("remote", "host") if start["reverse"] else ("host", "remote")
    return ImportedResult(
        tree["start"]["version"],
        _what(start, end),
        received["bits_per_second"],
        # The other end's percentage is 0 when it did not say: no process that moves bytes takes no time.
        busy_s[sender] / gb or None,
        busy_s[receiver] / gb or None,
        None,
        (_PROCESSES, *(["the CPU of the omitted seconds is in it, their bytes are not"] if start["omit"] else [])),
    )


def _wall(received: dict[str, Any], start: dict[str, Any]) -> float:
    """Return the seconds that the CPU percentages are of."""
    return float(received["seconds"]) + float(start["omit"])


def _what(start: dict[str, Any], end: dict[str, Any]) -> str:
    parts = [counted(start["num_streams"], "stream"), f"blocks of {start['blksize']} B", end.get("sender_tcp_congestion", "")]
    rate = start.get("target_bitrate")
    return ", ".join(filter(None, [*parts, "reverse" if start["reverse"] else "", f"at most {rate / 1e9:g} Gbit/s" if rate else ""]))
