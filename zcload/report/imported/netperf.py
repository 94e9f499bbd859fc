"""Read netperf's bulk tests (https://github.com/HewlettPackard/netperf): classic tables with -c -C, or omni with -k.

Service demand is in microseconds per KB of 1024 bytes, of the whole machine at each end (doc/netperf.texi, "CPU Utilization").
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from zcload.report.imported.result import ImportedResult, NotOurs, checked

PER_GB = 1e-6 * 1e9 / 1024  # from microseconds per KB to seconds per GB
MOST_CPUS = 8192  # of a Linux machine: NR_CPUS at most, arch/x86/Kconfig
_RATES = {"10^3bits/s": 1e3, "10^6bits/s": 1e6, "10^9bits/s": 1e9, "Bytes/s": 8.0, "KBytes/s": 8192.0, "MBytes/s": 8.0 * (1 << 20),
          "GBytes/s": 8.0 * (1 << 30)}  # fmt: skip
_UNIT = re.compile(r"10\^[369]bits/s|\b[KMG]?Bytes */s")
_TITLE = re.compile(r"^(?:MIGRATED )?(\w[\w /]*?) TEST from (\S+).*? to (\S+)(?: \(([^)\s]*)\))?", re.MULTILINE)
_BULK = {"TCP STREAM": True, "TCP SENDFILE": True, "TCP MAERTS": False, "OMNI Send": True, "OMNI Receive": False}  # whether this end sends
_LOCAL = re.compile(r"127\.|::1$|localhost")
_MACHINES = "CPU of whole machines, whatever else ran on them"
_ONE_OR_TWO = "no sum: the file does not prove that the two ends are two machines, and one would count twice"
_HEADER = re.compile(r"^\s*(?:bytes\s+){3}secs\.\s", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Ends:
    """What one run says: throughput in bit/s, s/GB of each end, what it did; *machines* is how many are proven, None: not known."""

    bps: float
    local: float | None
    remote: float | None
    what: str
    machines: int | None = None
    notes: tuple[str, ...] = ()


def read_netperf(text: str) -> ImportedResult:
    """Read one test's output; raises NotOurs, and ValueError for a test that cannot be told."""
    titles = _TITLE.findall(text)
    pairs = re.findall(r"^([A-Z_0-9]+)=(.*)$", text, re.MULTILINE)
    keys = dict(pairs)
    if not titles and "THROUGHPUT_UNITS" not in keys:
        raise _without_title(text)
    if len(titles) > 1 or max(Counter(key for key, _ in pairs).values(), default=1) > 1:
        raise ValueError("netperf output, but of several runs: give each a file of its own")
    kind, _, *peers = titles[0] if titles else (f"OMNI {keys.get('DIRECTION', '')}".strip(), "", keys.get("DEST_ADDR", ""))
    if kind not in _BULK:
        raise ValueError(f"netperf output, but of a {kind} test: only bulk tests can be told ({', '.join(_BULK)})")
    try:
        ends = _omni(keys) if keys else _classic(text)
    except ValueError as error:
        raise ValueError(f"netperf output, but {error}") from None
    sends = keys.get("DIRECTION", "Send") == "Send" if keys else _BULK[kind]
    tool = f"netperf {kind.replace(' ', '_')}"
    notes = (_MACHINES, *ends.notes, *_warnings(text))
    if any(_LOCAL.match(peer) for peer in (*peers, keys.get("DEST_ADDR", ""))):
        return ImportedResult(tool, ends.what, ends.bps, None, None, ends.local if ends.local is not None else ends.remote, notes)
    sender, receiver = (ends.local, ends.remote) if sends else (ends.remote, ends.local)
    proven = ends.machines == 2
    if not proven and None not in (sender, receiver):
        notes = (*notes, _ONE_OR_TWO)
    return ImportedResult(tool, ends.what, ends.bps, sender, receiver, None, notes, one_sum=proven)


def _without_title(text: str) -> Exception:
    """Return what is wrong with a text that has no title: it may be netperf's all the same."""
    if any(len(row) in (5, 9) for row in _rows(text)) and len(text) < 10_000:
        return ValueError("figures without a header, as netperf -P 0 prints them: their units are not in the file; run it without -P 0")
    if re.search(r"^(?:Throughput|Elapsed Time|THROUGHPUT|ELAPSED_TIME),|,(?:Throughput Units|THROUGHPUT_UNITS)\b", text, re.MULTILINE):
        return ValueError("netperf output, but as CSV (-o): run it with -k, which names each figure")
    return NotOurs()


def _rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if re.fullmatch(r"[\s\d.-]+", line) and line.strip()]


def _omni(keys: dict[str, str]) -> _Ends:
    unit = re.sub(r"\s", "", keys.get("THROUGHPUT_UNITS", ""))
    if unit not in _RATES:
        raise ValueError(f"it counts in {unit!r}: only bytes and bits per second can be told")
    bps = checked(keys.get("THROUGHPUT"), "THROUGHPUT") * _RATES[unit]
    notes: list[str] = []
    demands: list[float | None] = [None, None]
    if keys.get("SD_UNITS", "usec/KB") != "usec/KB":
        notes.append(f"no CPU: its service demand is in {keys['SD_UNITS'][:20]!r}, and usec/KB is known")
    else:
        for n, side in enumerate(("LOCAL", "REMOTE")):
            cpus = int(count) if (count := keys.get(f"{side}_CPU_COUNT", "")).isdecimal() and len(count) < 6 and int(count) else MOST_CPUS
            demands[n] = _demand(keys.get(f"{side}_SD", "-1"), bps, cpus, side.lower(), notes)
    counts = {keys.get("LOCAL_CPU_COUNT"), keys.get("REMOTE_CPU_COUNT")} - {None, "-1", "0"}
    size = keys.get("LOCAL_SEND_SIZE", "")
    what = f"sends of {int(size)} B" if size.isdecimal() and int(size) else ""
    return _Ends(bps, demands[0], demands[1], what, 2 if len(counts) == 2 else None, tuple(notes))


def _classic(text: str) -> _Ends:
    rows = _rows(text)
    if "," in text and not rows:
        raise ValueError("as CSV (-o): run it with -k, which names each figure")
    if len(rows) != 1 or len(rows[0]) not in (5, 9):
        raise ValueError(f"it has {len(rows)} rows of figures where one of 5 or 9 is expected: run it with -c -C, one test a file")
    found = _UNIT.search(text)
    if found is None or not _HEADER.search(text):
        raise ValueError("the unit of its throughput is not in the file: run it without -P 0")
    _, _, message, _, rate, *more = rows[0]
    bps = checked(rate, "its throughput") * _RATES[re.sub(r" ", "", found[0])]
    notes: list[str] = []
    demands: list[float | None] = [None, None]
    if more and len(re.findall(r"us/KB", text)) != 2:
        notes.append("no CPU: the header does not say that its service demand is in us/KB")
    elif more:
        for n, side in enumerate(("local", "remote")):
            if checked(more[n] if not more[n].startswith("-") else 0, "its CPU utilization") > 100:
                notes.append(f"no CPU of the {side} end: {more[n]} % of a machine")
            else:
                demands[n] = _demand(more[2 + n], bps, MOST_CPUS, side, notes)
    return _Ends(bps, demands[0], demands[1], f"sends of {message} B", None, tuple(notes))


def _demand(text: str, bps: float, cpus: int, side: str, notes: list[str]) -> float | None:
    """Return a service demand in s/GB; a negative one means that it was not measured, and one beyond all *cpus* that it cannot be."""
    if text.strip().startswith("-"):
        return None
    demand = checked(text.strip(), f"the service demand of the {side} end") * PER_GB
    used = demand * bps / 8e9
    if used > cpus * 1.05:
        notes.append(f"no CPU of the {side} end: its service demand would be {used:.1f} CPUs at work, of {cpus}")
        return None
    return demand or None


def _warnings(text: str) -> list[str]:
    """Return netperf's own warning on confidence as a note, with the widths that it reports."""
    lines = [re.sub(r"^!+ *", "", line).strip() for line in text.splitlines() if line.startswith("!!!")]
    words = [" ".join(line.split()) for line in lines if line and line != "WARNING"]
    return [f"netperf warns: {' '.join(words)[:300]}"] if words else []
