"""Read `iperf3 -J` (https://github.com/esnet/iperf): goodput of the receiver, CPU of both processes.

Its CPU percentages are the process's own (clock() over wall time, cpu_util in iperf_util.c), 100 for one core, between the creation of the
streams and the results; `host` is the process that wrote the file. With --omit they and the wall time take the omitted seconds in, the
bytes do not. A process has one thread, from iperf 3.16 on one more for each stream.
"""

from __future__ import annotations

import json
import re

from zcload.model.units import counted
from zcload.report.imported.result import ImportedResult, NotOurs, Tree, number_at

_PROCESSES = "CPU of the two processes, from connecting to the end; what runs in interrupts on top of others is not in it"
_ROLES = {"connecting_to": True, "accepted_connection": False}  # what only a client's file, only a server's has: whether it is the client's
_TOLERANCE = 1.05  # of the percentages: two clocks, read one after the other
_THREADED = (3, 16)
_OBJECT = re.compile(r"^[ \t\ufeff]*(?=\{)", re.MULTILINE)


def read_iperf3(text: str) -> ImportedResult:
    """Read the JSON of a TCP test in one direction; raises NotOurs, and ValueError for a test that cannot be told."""
    tree = _tree(text)
    try:
        return _result(tree)
    except ValueError as error:
        raise ValueError(f"iperf3 JSON, but {error}") from None


def _tree(text: str) -> Tree:
    """Return the one run that *text* holds, whatever warnings stand around it; raises NotOurs, ValueError."""
    found = _objects(text)
    streamed = {each["event"]: each.get("data") for each in found if isinstance(each.get("event"), str)}
    if "start" in streamed:
        if sum(each.get("event") == "start" for each in found) > 1:
            raise ValueError("iperf3 JSON, but of several runs: give each a file of its own")
        if not isinstance(streamed.get("end"), dict):
            raise ValueError("iperf3 JSON, but of a run that has not ended: there is no event `end`")
        return streamed
    runs = [each for each in found if "start" in each and ("end" in each or "error" in each)]
    if not runs:
        raise NotOurs
    if any(run != runs[0] for run in runs):
        raise ValueError(f"iperf3 JSON, but of {len(runs)} runs: give each a file of its own")
    return runs[0]


def _objects(text: str) -> list[Tree]:
    """Return the JSON objects of *text* that begin a line; raises NotOurs, and ValueError for one that is cut off."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (match := _OBJECT.search(text, at)) is not None:
        try:
            each, at = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            if re.search(r'"(?:test_start|cpu_utilization_percent)"', text) is None:
                raise NotOurs from None
            raise ValueError("iperf3 JSON, but it is damaged or cut off") from None
        found.append(each)
    return found


def _result(tree: Tree) -> ImportedResult:
    if tree.get("error"):
        raise ValueError(f"of a test that failed: {str(tree['error'])[:200]}")
    head, end = _table(tree, "start"), _table(tree, "end")
    start, version = _table(head, "test_start"), _version(head)
    kind = "test in both directions" if start.get("bidir") else f"{start.get('protocol')} test"
    if kind != "TCP test":
        raise ValueError(f"of a {kind}: only TCP in one direction can be told")
    streams, omitted = number_at(start, "num_streams"), number_at(start, "omit") if "omit" in start else 0.0
    is_client, notes = _is_client(head), []
    sends = None if is_client is None else is_client != bool(start.get("reverse"))
    received = _table(end, "sum_received")
    count, seconds = number_at(received, "bytes"), number_at(received, "seconds")
    if not count and sends and not is_client:
        raise ValueError("of a server that sent (-R): what arrived is only in the client's output")
    if not count or not seconds:
        raise ValueError("of a test in which nothing arrived")
    goodput: float | None = number_at(received, "bits_per_second")
    if abs(8 * count / seconds - (goodput or 0)) > 0.01 * (goodput or 0):
        goodput = None
        notes.append("no goodput: bits_per_second is not what its bytes and seconds give")
    most = 100 * _TOLERANCE * (1 + streams if version >= _THREADED else 1)
    busy: dict[str, float | None] = {}
    for side in ("host", "remote"):
        percent = number_at(end, "cpu_utilization_percent", f"{side}_total")
        # The other end's percentage is 0 when it did not say: no process that moves bytes takes no time.
        busy[side] = percent / 100 * (seconds + omitted) / (count / 1e9) or None
        if percent > most:
            busy[side] = None
            notes.append(f"no CPU of {side}: {percent:g} % is more than the threads of iperf {version[0]}.{version[1]} can use")
    if sends is None or received.get("sender") not in (None, sends):
        why = "the file does not say which end wrote it" if sends is None else "the file contradicts itself on which end sent"
        return ImportedResult(head["version"], _what(start, head, end), goodput, notes=(*notes, f"no CPU: {why}"))
    if not is_client and busy["remote"] is None:
        notes.append("a server's file: it does not hold the client's CPU")
    notes += ["the CPU of the omitted seconds is in it, their bytes are not"] if omitted else []
    sender, receiver = (busy["host"], busy["remote"]) if sends else (busy["remote"], busy["host"])
    return ImportedResult(head["version"], _what(start, head, end), goodput, sender, receiver, None, (_PROCESSES, *notes))


def _table(tree: Tree, key: str) -> Tree:
    found = tree.get(key)
    if not isinstance(found, dict):
        raise ValueError(f"damaged or of a version that is not known: it has no table `{key}`")
    return found


def _version(head: Tree) -> tuple[int, int]:
    match = re.match(r"iperf (3)\.(\d{1,3})\b", str(head.get("version")))
    if match is None:
        raise ValueError(f"of version {str(head.get('version'))[:40]!r}: iperf 3 is known")
    return int(match[1]), int(match[2])


def _is_client(head: Tree) -> bool | None:
    """Say whether the client wrote the file; None where that is not in it."""
    found = {client for key, client in _ROLES.items() if key in head}
    return found.pop() if len(found) == 1 else None


def _what(start: Tree, head: Tree, end: Tree) -> str:
    rate = start.get("target_bitrate", head.get("target_bitrate"))
    limit = f"at most {rate / 1e9:g} Gbit/s a stream" if isinstance(rate, int | float) and rate else ""
    parts = [
        counted(int(number_at(start, "num_streams")), "stream"),
        f"blocks of {number_at(start, 'blksize'):.0f} B",
        end.get("sender_tcp_congestion", ""),
    ]
    return ", ".join(filter(None, [*map(str, parts), "reverse" if start.get("reverse") else "", limit]))
