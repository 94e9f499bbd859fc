"""The CPUs that this process may use, as physical cores with threads, node and caches, and the limits of its cgroup.

Everything is read from files under a root that may be a fake one; a file that is missing or odd gives None, never an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CPUS = "/sys/devices/system/cpu"
NODES = "/sys/devices/system/node"

# v1 says "no limit" with the largest page counter, close to 2^63 (mm/page_counter.c); no machine has 2^60 bytes.
UNLIMITED_BYTES = 1 << 60


@dataclass(frozen=True, slots=True)
class Host:
    """Where /proc, /sys, /boot and the like are read: *root* is "/" on the real host and a temporary directory in tests."""

    root: Path = Path("/")

    def path(self, name: str) -> Path:
        """Return where the file that the host calls *name* (absolute) really is."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """Return the stripped text of the file *name*, or None if it cannot be read."""
        try:
            return self.path(name).read_text(errors="replace").strip()
        except OSError:
            return None

    def number(self, name: str) -> int | None:
        """Return the whole number that the file *name* holds, or None if it holds none."""
        try:
            return int(self.text(name) or "")
        except ValueError:
            return None

    def words(self, name: str) -> list[str] | None:
        """Return the words of the file *name*, or None if it cannot be read."""
        text = self.text(name)
        return None if text is None else text.split()

    def fields(self, name: str) -> dict[str, str]:
        """Return the "key: value" lines of the file *name*, the first of each key; empty if it cannot be read."""
        fields: dict[str, str] = {}
        for line in (self.text(name) or "").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
        return fields


HERE = Host()


@dataclass(frozen=True, slots=True)
class Core:
    """One physical core: *cpus* are those of its hardware threads that this process may use, *siblings* all of them that are online.

    *cache_cpus* tells last-level caches apart: cores with the same set share one. *node*, *l2_bytes* and *cache_bytes* (the last
    level's) are None where the kernel does not say.
    """

    cpus: tuple[int, ...]
    siblings: tuple[int, ...]
    node: int | None = None
    l2_bytes: int | None = None
    cache_bytes: int | None = None
    cache_cpus: frozenset[int] = frozenset()


def parse_cpus(text: str | None) -> frozenset[int]:
    """Return the CPUs of a kernel list such as "0-3,8" (Documentation/admin-guide/cputopology.rst); empty if there is none."""
    cpus: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit():
            cpus.update(range(int(first), int(last if last.isdigit() else first) + 1))
    return frozenset(cpus)


def online_cpus(host: Host = HERE) -> frozenset[int]:
    """Return the CPUs that are switched on; empty if the kernel does not say."""
    return parse_cpus(host.text(f"{CPUS}/online"))


def allowed_cpus(host: Host = HERE) -> frozenset[int]:
    """Return the CPUs this process may run on now: its affinity mask, cpusets included, less those that are off.

    The mask in /proc/self/status may name CPUs that do not exist (Documentation/filesystems/proc.rst), hence the second cut.
    """
    allowed = parse_cpus(host.fields("/proc/self/status").get("Cpus_allowed_list"))
    return (allowed & online_cpus(host)) or allowed or frozenset(os.sched_getaffinity(0))


def read_cores(host: Host = HERE, allowed: frozenset[int] | None = None) -> tuple[Core, ...]:
    """Return the physical cores of the *allowed* CPUs (None: this process's own), by lowest CPU.

    A CPU whose siblings the kernel does not name counts as one core.
    """
    allowed = allowed_cpus(host) if allowed is None else allowed
    online = online_cpus(host)
    nodes = _nodes(host)
    cores = []
    placed: set[int] = set()
    for cpu in sorted(allowed):
        if cpu in placed:
            continue
        siblings = _siblings(host, cpu)
        siblings = (siblings & online) or siblings
        threads = tuple(sorted(siblings & allowed))
        placed.update(threads)
        caches = _caches(host, cpu)
        cache_bytes, cache_cpus = caches[max(caches)] if caches else (None, frozenset[int]())
        l2_bytes = caches[2][0] if 2 in caches else None
        cores.append(Core(threads, tuple(sorted(siblings)), nodes.get(cpu), l2_bytes, cache_bytes, cache_cpus))
    return tuple(cores)


def _siblings(host: Host, cpu: int) -> frozenset[int]:
    # core_cpus_list replaced thread_siblings_list in 5.2; the old name is still there (Documentation/admin-guide/cputopology.rst).
    for name in ("core_cpus_list", "thread_siblings_list"):
        siblings = parse_cpus(host.text(f"{CPUS}/cpu{cpu}/topology/{name}"))
        if cpu in siblings:
            return siblings
    return frozenset({cpu})


def _nodes(host: Host) -> dict[int, int]:
    """Return the NUMA node of each CPU; empty on a kernel without NUMA."""
    return {cpu: node for node in parse_cpus(host.text(f"{NODES}/online")) for cpu in parse_cpus(host.text(f"{NODES}/node{node}/cpulist"))}


def _caches(host: Host, cpu: int) -> dict[int, tuple[int | None, frozenset[int]]]:
    """Return size in bytes and sharing CPUs of the data caches of *cpu* by level (Documentation/ABI/testing/sysfs-devices-system-cpu)."""
    caches: dict[int, tuple[int | None, frozenset[int]]] = {}
    for index in range(16):  # five exist on the deepest machines so far; the bound only keeps a broken tree from looping
        directory = f"{CPUS}/cpu{cpu}/cache/index{index}"
        level = host.number(f"{directory}/level")
        if level is None:
            break
        if host.text(f"{directory}/type") != "Instruction":
            caches[level] = (_kib(host.text(f"{directory}/size")), parse_cpus(host.text(f"{directory}/shared_cpu_list")))
    return caches


def _kib(text: str | None) -> int | None:
    # drivers/base/cacheinfo.c prints every size as "%uK".
    digits = (text or "").removesuffix("K")
    return int(digits) << 10 if digits.isdigit() else None


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """The tightest limits of this process's cgroup and its visible parents; None: no limit, or none that can be seen.

    *cpus* is the CPU quota, *throttled* in how many of its *periods* it stopped us so far; *memory_free_bytes* is
    what is left below *memory_bytes*.
    """

    cpus: float | None = None
    throttled: int | None = None
    periods: int | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None


def cgroup_limits(host: Host = HERE) -> CgroupLimits:
    """Return the tightest CPU and memory limits from this process's cgroup upwards, of cgroup v1 and v2 alike.

    Files: Documentation/admin-guide/cgroup-v2.rst, Documentation/scheduler/sched-bwc.rst, cgroup-v1/memory.rst. In a container the
    parents outside its cgroup namespace cannot be seen.
    """
    quotas, limits, room, throttled, periods = [], [], [], [], []
    for directory in cgroup_directories(host, "cpu"):
        v1 = [host.text(f"{directory}/cpu.cfs_{part}_us") or "" for part in ("quota", "period")]
        quota, period = host.words(f"{directory}/cpu.max") or v1
        if quota.isdigit() and period.isdigit() and int(period):  # "max" and -1 are no limit
            quotas.append(int(quota) / int(period))
            throttled.append(_stat(host, f"{directory}/cpu.stat", "nr_throttled") or 0)
            periods.append(_stat(host, f"{directory}/cpu.stat", "nr_periods") or 0)
    for directory in cgroup_directories(host, "memory"):
        limit = _either(host, f"{directory}/memory.max", f"{directory}/memory.limit_in_bytes")
        if limit is None or limit >= UNLIMITED_BYTES:
            continue
        limits.append(limit)
        if (usage := _either(host, f"{directory}/memory.current", f"{directory}/memory.usage_in_bytes")) is not None:
            # File pages out of use are counted as usage but are given up at once when memory is asked for.
            idle = _stat(host, f"{directory}/memory.stat", "inactive_file") or 0
            room.append(max(limit - usage + idle, 0))
    return CgroupLimits(
        min(quotas, default=None),
        sum(throttled) if throttled else None,
        sum(periods) if periods else None,
        min(limits, default=None),
        min(room, default=None),
    )


def cgroup_directories(host: Host, controller: str) -> list[str]:
    """Return the directories of this process's cgroup and its parents, for v2 and for the v1 *controller*, as the host calls them."""
    own = {}
    for line in (host.text("/proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" or controller in controllers.split(","):
            own["cgroup" if controllers else "cgroup2"] = path
    found: list[str] = []
    for line in (host.text("/proc/self/mountinfo") or "").splitlines():  # fields: Documentation/filesystems/proc.rst, section 3.5
        fields, _, tail = line.partition(" - ")
        kind, _, options = tail.partition(" ")
        if kind in own and (kind == "cgroup2" or controller in options.split()[-1].split(",")):
            root, mount = fields.split()[3:5]
            found.extend(_upwards(own.pop(kind), root, mount))
    return found


def _upwards(path: str, root: str, mount: str) -> Iterable[str]:
    """Yield the directory of the cgroup *path* below *mount*, which shows the hierarchy from *root* down, and its parents to *mount*."""
    own, top = PurePosixPath(path), PurePosixPath(root)
    if ".." in own.parts or not own.is_relative_to(top):
        own = top  # our cgroup lies outside what is mounted: the mount's own limits are all that can be seen
    directory = PurePosixPath(mount) / own.relative_to(top)
    yield str(directory)
    for parent in directory.parents:
        if parent.is_relative_to(mount):
            yield str(parent)


def _stat(host: Host, name: str, key: str) -> int | None:
    lines = (line.split() for line in (host.text(name) or "").splitlines())
    return next((int(words[1]) for words in lines if words[:1] == [key] and words[1:2] and words[1].isdigit()), None)


def _either(host: Host, first: str, second: str) -> int | None:
    value = host.number(first)
    return host.number(second) if value is None else value
