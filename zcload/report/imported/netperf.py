"""Read netperf's bulk tests (https://github.com/HewlettPackard/netperf): classic tables with -c -C, or omni with -k.

Service demand is in microseconds per KB of 1024 bytes, of the whole machine at each end (doc/netperf.texi, "CPU Utilization").
"""

from __future__ import annotations

import re

from zcload.report.imported.result import ImportedResult, NotOurs

PER_GB = 1e-6 * 1e9 / 1024  # from microseconds per KB to seconds per GB
_RATES = {"10^3bits/s": 1e3, "10^6bits/s": 1e6, "10^9bits/s": 1e9, "Bytes/s": 8.0, "KBytes/s": 8192.0, "MBytes/s": 8.0 * (1 << 20),
          "GBytes/s": 8.0 * (1 << 30)}  # fmt: skip
_TITLE = re.compile(r"^(?:MIGRATED )?(\w[\w ]*?) TEST from (\S+).*? to (\S+)", re.MULTILINE)
_BULK = {"TCP STREAM": True, "TCP SENDFILE": True, "TCP MAERTS": False, "OMNI Send": True, "OMNI Receive": False}  # whether this end sends
_LOCAL = re.compile(r"127\.|::1$|localhost")
_MACHINES = "CPU of whole machines, whatever else ran on them"


def read_netperf(text: str) -> ImportedResult:
    """Read one test's output; raises NotOurs, and ValueError for a test that cannot be compared."""
    title = _TITLE.search(text)
    if not title:
        raise NotOurs
    kind, peer = title[1], title[3]
    if kind not in _BULK:
        raise ValueError(f"is of a {kind} test: only bulk tests can be told ({', '.join(_BULK)})")
    keys = dict(re.findall(r"^([A-Z_0-9]+)=(.*)$", text, re.MULTILINE))
    if keys:
        bps, local, remote, what = _omni(keys)
        sends = keys.get("DIRECTION", "Send") == "Send"
    else:
        bps, local, remote, what = _classic(text)
        sends = _BULK[kind]
    tool = f"netperf {kind.replace(' ', '_')}"
    if _LOCAL.match(peer):
        return ImportedResult(tool, what, bps, None, None, local if local is not None else remote, (_MACHINES,))
    sender, receiver = (local, remote) if sends else (remote, local)
    return ImportedResult(tool, what, bps, sender, receiver, None, (_MACHINES,))


def _omni(keys: dict[str, str]) -> tuple[float, float | None, float | None, str]:
    unit = keys["THROUGHPUT_UNITS"]
    if unit not in _RATES:
        raise ValueError(f"counts in {unit!r}: only bytes and bits per second can be told")
    if keys.get("SD_UNITS", "usec/KB") != "usec/KB":
        raise ValueError(f"has its service demand in {keys['SD_UNITS']!r}, and usec/KB is expected")
    demands = [_demand(keys.get(f"{side}_SD", "-1")) for side in ("LOCAL", "REMOTE")]
    what = f"sends of {keys['LOCAL_SEND_SIZE']} B" if int(keys.get("LOCAL_SEND_SIZE", 0)) > 0 else ""
    return float(keys["THROUGHPUT"]) * _RATES[unit], demands[0], demands[1], what


def _classic(text: str) -> tuple[float, float | None, float | None, str]:
    rows = [line.split() for line in text.splitlines() if re.fullmatch(r"[\s\d.-]+", line) and line.strip()]
    if len(rows) != 1 or len(rows[0]) not in (5, 9):
        raise ValueError("has no row of figures that is known (run netperf with -c -C, without -P 0)")
    unit = re.search(r"10\^[369]bits/s|[KMG]?Bytes/s", text)
    _, _, message, _, rate, *more = rows[0]
    demands = [_demand(more[2]), _demand(more[3])] if more else [None, None]
    return float(rate) * _RATES[unit[0] if unit else "10^6bits/s"], demands[0], demands[1], f"sends of {message} B"


def _demand(text: str) -> float | None:
    """Return a service demand in s/GB; a negative one means that it was not measured."""
    return float(text) * PER_GB if float(text) > 0 else None
