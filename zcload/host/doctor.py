"""Checks of the host, one small function each. What a check means and its remedy are in zcload/model/checks.py."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zcload.host.copy_cost import BUFFER_BYTES, WINDOW_S, CopyCost, copy_cost
from zcload.host.environment import LoadSample, Processes, describe, foreign_processes, memory, take_sample
from zcload.host.topology import HERE, CgroupLimits, Host, cgroup_limits
from zcload.linux import uring
from zcload.model.cautions import Caution, caution
from zcload.model.checks import CHECKS, Level
from zcload.model.study import Point, Study
from zcload.model.units import human_bytes

Judgement = tuple[Level, str] | tuple[Level, str, str]  # the level, what was found, and what of it is for this host's user alone

SAMPLE_S = 0.5  # on two CPUs 100 ticks of /proc/stat: a resolution of 1 %
STEAL_LIMIT = 0.02  # of all CPUs; below it steal hides in the noise of short windows
COPYING_LIMIT = 0.05  # of the cost: where copying 64 MiB varied by 10 %, copies within the CPU's own cache varied by 2 %
BACKGROUND_LIMIT = 0.05  # of all CPUs: blocks with more foreign CPU than this are repeated
SEED_FILE_BYTES = 2_400_000_000  # the largest file of the shipped configs
HEADROOM_BYTES = 512 << 20  # interpreters, socket buffers and mappings of the workers beside the file
SPARE_BUFFERS = 8  # the room for that many is there before copying is measured with two: a small container is not brought to its limit
MEMLOCK_BYTES = 8 << 20  # the kernel's default since 5.16 (include/uapi/linux/resource.h); it was 64 KiB


@dataclass(frozen=True, slots=True)
class HostFinding:
    """The outcome of one check: *value* is what was found, *spoils* what that (or its bad form, if all is well) does to a result."""

    code: str
    level: Level
    title: str
    value: str
    spoils: str
    remedy: str
    private: str = ""  # what no result may hold, such as the names of others' processes

    def caution(self) -> Caution:
        """Return this finding as a result's caution."""
        return caution(self.code, found=self.value)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """All that the checks look at; *room* returns the free bytes of the file system that holds a path, and may raise OSError.

    *copying* is None where nobody measured it.
    """

    host: Host
    environment: Mapping[str, Any]
    limits: CgroupLimits
    sample: LoadSample | None
    study: Study | None
    room: Callable[[Path], int]
    copying: CopyCost | None

    @property
    def points(self) -> tuple[Point, ...]:
        """The study's points; without a study, one that stands for the shipped configs."""
        return (self.study and self.study.points) or (Point(file_size=SEED_FILE_BYTES, chunk=1 << 20),)


Judge = Callable[[HostFacts], Judgement]

JUDGES: dict[str, Judge] = {}


def check(code: str) -> Callable[[Judge], Judge]:
    """Register the decorated function as the one that judges the check *code*: it returns a level and what was found."""

    def register(judge: Judge) -> Judge:
        JUDGES[code] = judge
        return judge

    return register


def findings(
    host: Host = HERE,
    study: Study | None = None,
    *,
    interval_s: float = SAMPLE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    processes: Processes | None = None,
    sample: LoadSample | None = None,
    room: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    copying: CopyCost | None = None,
) -> list[HostFinding]:
    """Return one finding per check of *host*, judged for *study* if there is one.

    Without a *sample* of what the machine does it takes one, which lasts *interval_s* seconds. What *copying* memory costs is not measured
    here: that keeps a CPU busy.
    """
    sample = sample or take_sample(host, interval_s, clock, sleep, processes or foreign_processes)
    facts = HostFacts(host, describe(host=host), cgroup_limits(host), sample, study, room, copying)
    return [_finding(code, *JUDGES[code](facts)) for code in CHECKS]


def measure_copying(host: Host = HERE) -> CopyCost | None:
    """Return what copying memory costs, after half a second with a busy CPU; None where memory is too short for the buffers."""
    available = _available(host, cgroup_limits(host))
    return None if available is not None and available < SPARE_BUFFERS * BUFFER_BYTES else copy_cost()


def _finding(code: str, level: Level, value: str, private: str = "") -> HostFinding:
    check = CHECKS[code]
    return HostFinding(code, level, check.title, value, check.spoils, check.remedy, private)


def cautions(found: Iterable[HostFinding]) -> list[Caution]:
    """Return the cautions that belong in a result: those about the conditions it was measured under."""
    return [finding.caution() for finding in found if CHECKS[finding.code].in_result and finding.level in ("caution", "problem")]


def _bytes(count: int | None) -> str:
    return "unknown" if count is None else human_bytes(count)


def _available(host: Host, limits: CgroupLimits) -> int | None:
    """Return how much memory can still be had, in bytes; None if nothing says so."""
    return min((room for room in (memory(host, "MemAvailable"), limits.memory_free_bytes) if room is not None), default=None)


def _at_least(count: int | None, needed: int, otherwise: Level) -> Level:
    return "note" if count is None else "ok" if count >= needed else otherwise


@check("cpus")
def _cpus(facts: HostFacts) -> Judgement:
    allowed, cores = len(facts.environment["cpus_allowed"]), facts.environment["physical_cores"]
    spread = any(point.placement in ("auto", "spread") for point in facts.points)
    level: Level = "ok" if allowed > 1 else "problem" if spread else "note"
    return level, f"{allowed} of {facts.environment['cpus_online'] or '?'} CPUs allowed, on {cores} physical cores"


@check("smt_siblings")
def _smt_siblings(facts: HostFacts) -> Judgement:
    if not facts.environment["smt"]:
        return "ok", "off, or hidden by a hypervisor"
    cores = facts.environment["physical_cores"]
    workers = max((point.senders + point.receiver_count for point in facts.points if point.placement != "same"), default=1)
    return ("caution" if cores < workers else "note"), f"on; {workers} workers on {cores} physical cores"


@check("quota")
def _quota(facts: HostFacts) -> Judgement:
    if facts.limits.cpus is None:
        return "ok", "none"
    text = f"{facts.limits.cpus:g} CPUs, throttled {facts.limits.throttled} times so far"
    return ("problem" if facts.limits.throttled else "caution"), text


@check("steal")
def _steal(facts: HostFacts) -> Judgement:
    if facts.sample is None:
        return "note", "unknown"
    return ("caution" if facts.sample.steal > STEAL_LIMIT else "ok"), f"{facts.sample.steal:.1%} of all CPUs"


@check("background_load")
def _background_load(facts: HostFacts) -> Judgement:
    if facts.sample is None:
        return "note", "unknown"
    top = "".join(f", {name} {cpus:.2f}" for name, cpus in facts.sample.top)
    share = facts.sample.busy_cpus / facts.sample.cpus
    level: Level = "caution" if share > BACKGROUND_LIMIT else "ok"
    return level, f"{facts.sample.busy_cpus:.2f} of {facts.sample.cpus} CPUs ({share:.0%})", top


@check("copy_cost")
def _copy_cost(facts: HostFacts) -> Judgement:
    if facts.copying is None:
        return "note", "not measured"
    level: Level = "caution" if facts.copying.variation > COPYING_LIMIT else "ok"
    return level, f"{facts.copying.median:.2f} CPU s/GB, {1000 * WINDOW_S:.0f} ms windows vary by {facts.copying.variation:.1%}"


@check("regime")
def _regime(facts: HostFacts) -> Judgement:
    kind, paravirt = facts.environment["cpu_accounting"], facts.environment["paravirt_time_accounting"]
    irq = facts.environment["irq_time_accounting"]
    return ("ok" if irq == "no" else "caution"), f"IRQ_TIME_ACCOUNTING {irq}, PARAVIRT_TIME_ACCOUNTING {paravirt}, {kind}"


@check("clock_tick")
def _clock_tick(facts: HostFacts) -> Judgement:
    hz, user_hz = facts.environment["scheduler_hz"], facts.environment["clock_tick_hz"]
    return ("ok" if hz else "note"), f"HZ {hz or 'unknown'}, CPU ticks of /proc {1000 / user_hz:g} ms"


@check("clocksource")
def _clocksource(facts: HostFacts) -> Judgement:
    slow = facts.environment["clocksource_is_syscall"]
    return ("note" if slow is None else "caution" if slow else "ok"), str(facts.environment["clocksource"] or "unknown")


@check("governor")
def _governor(facts: HostFacts) -> Judgement:
    governor, turbo = facts.environment["cpufreq_governor"], facts.environment["turbo"]
    if governor is None:
        return "note", "not visible, as in most virtual machines"
    level: Level = "caution" if governor != "performance" else "note" if turbo else "ok"
    return level, f"governor {governor}, turbo {'unknown' if turbo is None else 'on' if turbo else 'off'}"


@check("virtual_machine")
def _virtual_machine(facts: HostFacts) -> Judgement:
    kind, container = facts.environment["virtualisation"], facts.environment["container"]
    return ("ok" if kind == "none" else "note"), f"{kind or 'unknown'}{f', in a container ({container})' if container else ''}"


@check("free_page_reporting")
def _free_page_reporting(facts: HostFacts) -> Judgement:
    block = facts.environment["free_page_reporting_bytes"]
    if block is None:
        return "ok", "not given back to a host"
    return "caution", f"given back to the host, in blocks of {human_bytes(block)} and more"


@check("memory")
def _memory(facts: HostFacts) -> Judgement:
    needed = max(point.file_size for point in facts.points) + HEADROOM_BYTES
    available = _available(facts.host, facts.limits)
    level = _at_least(available, needed, "problem" if facts.study else "caution")
    return level, f"{_bytes(available)} available, {_bytes(needed)} needed"


@check("shared_memory")
def _shared_memory(facts: HostFacts) -> Judgement:
    there = [point for point in facts.points if point.file is None and (point.dir or "").startswith("/dev/shm")]
    needed = max((point.file_size for point in there), default=0)
    try:
        free = facts.room(facts.host.path("/dev/shm"))
    except OSError:
        return "note", "not there"
    return _at_least(free, needed, "note"), f"{_bytes(free)} free"


@check("socket_buffers")
def _socket_buffers(facts: HostFacts) -> Judgement:
    send, receive = facts.environment["wmem_max_bytes"], facts.environment["rmem_max_bytes"]
    needed = max(point.socket_buffer or 0 for point in facts.points)
    least = None if send is None or receive is None else min(send, receive)
    return _at_least(least, needed, "caution"), f"wmem_max {_bytes(send)}, rmem_max {_bytes(receive)}"


@check("congestion")
def _congestion(facts: HostFacts) -> Judgement:
    default, available = facts.environment["congestion_default"], facts.environment["congestion_available"]
    missing = {point.congestion for point in facts.points} - {"auto"} - set(available or ())
    text = f"default {default or 'unknown'}, available {' '.join(available or ['unknown'])}"
    if available and missing:
        return "problem", f"{text}, not {' '.join(sorted(missing))}"
    return ("caution" if default == "bbr" else "ok" if default else "note"), text


@check("pipe_size")
def _pipe_size(facts: HostFacts) -> Judgement:
    size = facts.environment["pipe_max_size_bytes"]
    return _at_least(size, max(point.chunk for point in facts.points), "note"), _bytes(size)


@check("memlock")
def _memlock(facts: HostFacts) -> Judgement:
    limit = facts.environment["memlock_limit_bytes"]
    return _at_least(limit if limit is not None else MEMLOCK_BYTES, MEMLOCK_BYTES, "note"), "no limit" if limit is None else _bytes(limit)


@check("io_uring")
def _io_uring(facts: HostFacts) -> Judgement:
    disabled = facts.environment["io_uring_disabled"]
    texts = {None: "no switch before Linux 6.6", 0: "allowed", 1: "only for CAP_SYS_ADMIN and kernel.io_uring_group", 2: "disabled"}
    why = uring.why_not(()) if not disabled and facts.host == HERE else None  # a filter refuses what the switch allows
    if why is not None:
        return "note", f"refused: {why[0]}"
    return ("note" if disabled else "ok"), texts.get(disabled, str(disabled))


@check("ktls")
def _ktls(facts: HostFacts) -> Judgement:
    there = facts.environment["ktls_available"]
    return ("ok" if there else "note"), "unknown" if there is None else "loaded" if there else "not loaded"


@check("loopback_mtu")
def _loopback_mtu(facts: HostFacts) -> Judgement:
    mtu = facts.environment["loopback_mtu_bytes"]
    return _at_least(mtu, 65536, "caution"), f"{'unknown' if mtu is None else mtu} bytes"


@check("packet_sockets")
def _packet_sockets(facts: HostFacts) -> Judgement:
    # Columns of net/packet/af_packet.c: sk RefCnt Type Proto Iface R Rmem ...; protocol 3 is "all", interface 0 is "any".
    rows = [line.split() for line in (facts.host.text("/proc/net/packet") or "").splitlines()[1:]]
    loopback = str(facts.host.number("/sys/class/net/lo/ifindex") or 1)
    taps = [row for row in rows if len(row) > 5 and row[3] in ("0003", "0800", "86dd") and row[4] in ("0", loopback) and row[5] == "1"]
    return ("caution" if taps else "ok"), f"{len(taps)} see loopback, {len(rows)} in all"
