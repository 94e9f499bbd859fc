"""The facts that a result stores about its host, and how busy the host is with other work.

No environment variables, user names, home paths or cgroup names, and the host name only when asked for. Missing files give None.
"""

from __future__ import annotations

import os
import platform
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zcload import __version__
from zcload.host.topology import CPUS, HERE, NODES, Host, allowed_cpus, cgroup_limits, online_cpus, parse_cpus, read_cores

Processes = Callable[[], Mapping[int, tuple[str, float]]]  # pid -> name and CPU seconds so far

NET = "/proc/sys/net"
CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0"
BALLOON = "/sys/bus/virtio/drivers/virtio_balloon"
LARGEST_ORDER = 10  # of a free block (MAX_PAGE_ORDER, include/linux/mmzone.h): a larger one never comes to be, so none is reported

# Clock sources with a vDSO reader, and those without (arch/*/include/asm/vdso/clocksource.h); others, such as xen, depend on the host.
VDSO_CLOCKS = frozenset({"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase", "tod", "riscv_clocksource"})
SYSCALL_CLOCKS = frozenset({"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies", "hyperv_clocksource_msr"})

# How hypervisors name themselves in DMI's vendor and product, or by the clock source they offer.
HYPERVISORS = {
    "kvm": "kvm",
    "qemu": "kvm",
    "amazon ec2": "amazon ec2",
    "google": "google compute engine",
    "vmware": "vmware",
    "microsoft": "hyper-v",
    "hyperv": "hyper-v",
    "virtualbox": "virtualbox",
    "xen": "xen",
}
HARDWARE_VENDORS = frozenset({"microsoft", "google", "amazon ec2"})


def describe(*, host_name: bool = False, host: Host = HERE) -> dict[str, Any]:
    """Return the facts of *host* that bear on a result, ready for JSON; reads files only and takes milliseconds."""
    config = kernel_config(host)
    limits = cgroup_limits(host)
    facts: dict[str, Any] = {
        "zcload_version": __version__,
        "python_version": platform.python_version(),
        "kernel_release": host.text("/proc/sys/kernel/osrelease"),
        # Not /proc/version, which names the user and the machine that built the kernel.
        "kernel_version": host.text("/proc/sys/kernel/version"),
        "architecture": platform.machine(),
        **_processor(host),
        "memory_bytes": memory(host, "MemTotal"),
        "virtualisation": virtualisation(host),
        "container": container(host),
        "scheduler_hz": int(config["CONFIG_HZ"]) if config.get("CONFIG_HZ", "").isdigit() else None,
        "cpu_accounting": _cpu_accounting(config),
        "irq_time_accounting": _irq_time_accounting(host, config),
        "paravirt_time_accounting": _built(config, "CONFIG_PARAVIRT_TIME_ACCOUNTING"),
        "clock_tick_hz": os.sysconf("SC_CLK_TCK"),
        **_clocksource(host),
        **_frequency(host),
        "cgroup_cpu_quota_cpus": limits.cpus,
        "cgroup_memory_limit_bytes": limits.memory_bytes,
        **_network(host),
        "transparent_hugepages": _bracketed(host.words("/sys/kernel/mm/transparent_hugepage/enabled")),
        "transparent_hugepages_shmem": _bracketed(host.words("/sys/kernel/mm/transparent_hugepage/shmem_enabled")),
        "free_page_reporting_bytes": free_page_reporting(host),
        "memlock_limit_bytes": memlock_limit(host),
        "pipe_max_size_bytes": host.number("/proc/sys/fs/pipe-max-size"),
        "io_uring_disabled": host.number("/proc/sys/kernel/io_uring_disabled"),
    }
    if host_name:
        facts["host_name"] = host.text("/proc/sys/kernel/hostname")
    return facts


def kernel_config(host: Host = HERE) -> dict[str, str]:
    """Return the options the kernel was built with ("CONFIG_X": "y", ...); empty where neither /proc nor /boot has them."""
    release = host.text("/proc/sys/kernel/osrelease")
    try:
        text: str | None = zlib.decompress(host.path("/proc/config.gz").read_bytes(), wbits=31).decode(errors="replace")  # 31: gzip
    except (OSError, zlib.error):
        text = host.text(f"/boot/config-{release}") or host.text(f"/lib/modules/{release}/config")
    pairs = (line.split("=", 1) for line in (text or "").splitlines() if line.startswith("CONFIG_") and "=" in line)
    return {key: value.strip('"') for key, value in pairs}


def memory(host: Host, key: str) -> int | None:
    """Return the value of *key* in /proc/meminfo in bytes (the file's "kB" are KiB)."""
    amount = host.fields("/proc/meminfo").get(key, "").partition(" ")[0]
    return int(amount) << 10 if amount.isdigit() else None


def free_page_reporting(host: Host = HERE) -> int | None:
    """Return the least size in bytes of a free block of memory that this virtual machine gives back to its host; None: it gives none.

    Bit 5 of a balloon device, VIRTIO_BALLOON_F_REPORTING, says that the host takes them (virtio 1.2, 5.5.3); the module's parameter is
    the order of a block (mm/page_reporting.c).
    """
    takes = [host.text(f"{BALLOON}/{device.name}/features") or "" for device in host.path(BALLOON).glob("virtio*")]
    order = host.number("/sys/module/page_reporting/parameters/page_reporting_order")
    if order is None or not 0 <= order <= LARGEST_ORDER or not any(features[5:6] == "1" for features in takes):
        return None
    return os.sysconf("SC_PAGE_SIZE") << order


def memlock_limit(host: Host = HERE) -> int | None:
    """Return this process's soft RLIMIT_MEMLOCK in bytes; None: unlimited or unknown."""
    for line in (host.text("/proc/self/limits") or "").splitlines():
        if line.startswith("Max locked memory"):
            soft = line.removeprefix("Max locked memory").split()[0]
            return int(soft) if soft.isdigit() else None
    return None


def virtualisation(host: Host = HERE) -> str | None:
    """Return the hypervisor's name, "unknown" if it hides its name, "none" if nothing shows one, None if nothing can be read.

    x86 has a CPU flag for it; elsewhere a name must do, and vendors that also sell hardware do not count.
    """
    cpu = host.fields("/proc/cpuinfo")
    flagged = "hypervisor" in cpu.get("flags", "").split()
    if "flags" not in cpu or flagged:
        dmi = " ".join(host.text(f"/sys/class/dmi/id/{name}") or "" for name in ("sys_vendor", "product_name"))
        for text in (dmi, host.text(f"{CLOCKSOURCE}/available_clocksource"), host.text("/sys/hypervisor/type")):
            for sign, name in HYPERVISORS.items():
                if sign in (text or "").lower() and (flagged or sign not in HARDWARE_VENDORS):
                    return name
    return "unknown" if flagged else "none" if cpu else None


def container(host: Host = HERE) -> str | None:
    """Return the container engine this process seems to run under, None if nothing hints at one."""
    for name, engine in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if host.text(name) is not None:
            return engine
    groups = host.text("/proc/1/cgroup") or ""
    return next((engine for engine in ("kubepods", "docker", "libpod", "containerd", "lxc") if engine in groups), None)


def _processor(host: Host) -> dict[str, Any]:
    cores = read_cores(host)
    active = host.number(f"{CPUS}/smt/active")
    nodes = parse_cpus(host.text(f"{NODES}/online"))
    return {
        "cpu_model": _cpu_model(host),
        "cpus_online": len(online_cpus(host)) or None,
        "cpus_allowed": sorted(allowed_cpus(host)),
        "cpus_isolated": sorted(parse_cpus(host.text(f"{CPUS}/isolated"))),
        "cpus_nohz_full": sorted(parse_cpus(host.text(f"{CPUS}/nohz_full"))),
        "physical_cores": len(cores) or None,
        "smt": bool(active) if active is not None else any(len(core.siblings) > 1 for core in cores),
        "l2_bytes": next((core.l2_bytes for core in cores), None),
        "last_level_cache_bytes": next((core.cache_bytes for core in cores), None),
        "numa_nodes": len(nodes) or None,
    }


def _cpu_model(host: Host) -> str | None:
    cpu = host.fields("/proc/cpuinfo")
    name = cpu.get("model name") or cpu.get("cpu") or cpu.get("Hardware")
    if not name and "CPU part" in cpu:  # Arm gives numbers only
        name = f"Arm implementer {cpu.get('CPU implementer')} part {cpu['CPU part']}"
    return name or None


def _built(config: dict[str, str], option: str) -> str:
    return "unknown" if not config else "yes" if config.get(option) == "y" else "no"


def _cpu_accounting(config: dict[str, str]) -> str:
    """Return which of the three ways of init/Kconfig tells user from system time; the generic one is live on nohz_full CPUs only."""
    options = ("TICK_CPU_ACCOUNTING", "VIRT_CPU_ACCOUNTING_GEN", "VIRT_CPU_ACCOUNTING_NATIVE")
    return next((option for option in options if config.get(f"CONFIG_{option}") == "y"), "unknown")


def _irq_time_accounting(host: Host, config: dict[str, str]) -> str:
    """Return "yes", "no" or "unknown": whether interrupt time is kept out of processes' CPU time (kernel/sched/cputime.c).

    A kernel built with it does so only where its clock allows; tsc=noirqtime (kernel-parameters.txt) turns it off at boot.
    """
    if "tsc=noirqtime" in (host.text("/proc/cmdline") or "").split():
        return "no"
    return _built(config, "CONFIG_IRQ_TIME_ACCOUNTING")


def _clocksource(host: Host) -> dict[str, Any]:
    name = host.text(f"{CLOCKSOURCE}/current_clocksource")
    is_syscall = True if name in SYSCALL_CLOCKS else False if name in VDSO_CLOCKS else None
    return {"clocksource": name, "clocksource_is_syscall": is_syscall}


def _frequency(host: Host) -> dict[str, Any]:
    """Return governor, driver and turbo (Documentation/admin-guide/pm/cpufreq.rst, intel_pstate.rst); None in most virtual machines."""
    allowed = sorted(allowed_cpus(host))
    governors = {host.text(f"{CPUS}/cpu{cpu}/cpufreq/scaling_governor") for cpu in allowed}
    no_turbo, boost = host.number(f"{CPUS}/intel_pstate/no_turbo"), host.number(f"{CPUS}/cpufreq/boost")
    turbo = not no_turbo if no_turbo is not None else None if boost is None else bool(boost)
    return {
        "cpufreq_governor": ", ".join(sorted(filter(None, governors))) or None,
        "cpufreq_driver": host.text(f"{CPUS}/cpu{allowed[0]}/cpufreq/scaling_driver"),
        "turbo": turbo,
    }


def _network(host: Host) -> dict[str, Any]:
    """Return the limits and defaults that sockets of this network namespace get (Documentation/networking/ip-sysctl.rst)."""
    ulps = host.words(f"{NET}/ipv4/tcp_available_ulp")
    return {
        "loopback_mtu_bytes": host.number("/sys/class/net/lo/mtu"),
        "tcp_wmem_max_bytes": _last(host.words(f"{NET}/ipv4/tcp_wmem")),
        "tcp_rmem_max_bytes": _last(host.words(f"{NET}/ipv4/tcp_rmem")),
        "wmem_max_bytes": host.number(f"{NET}/core/wmem_max"),
        "rmem_max_bytes": host.number(f"{NET}/core/rmem_max"),
        "optmem_max_bytes": host.number(f"{NET}/core/optmem_max"),
        "congestion_available": host.words(f"{NET}/ipv4/tcp_available_congestion_control"),
        "congestion_allowed": host.words(f"{NET}/ipv4/tcp_allowed_congestion_control"),
        "congestion_default": host.text(f"{NET}/ipv4/tcp_congestion_control"),
        "qdisc_default": host.text(f"{NET}/core/default_qdisc"),
        "ktls_available": None if ulps is None else "tls" in ulps,
    }


def _last(words: list[str] | None) -> int | None:
    return int(words[-1]) if words and words[-1].isdigit() else None


def _bracketed(words: list[str] | None) -> str | None:
    return next((word.strip("[]") for word in words or [] if word.startswith("[")), None)


@dataclass(frozen=True, slots=True)
class LoadSample:
    """What the machine did while zcload slept: *busy_cpus* and *top* (name, CPUs) in CPUs, *steal* as a fraction of all *cpus*."""

    cpus: int
    busy_cpus: float
    steal: float
    top: tuple[tuple[str, float], ...] = ()


def take_sample(
    host: Host, interval_s: float, clock: Callable[[], float], sleep: Callable[[float], None], processes: Processes
) -> LoadSample | None:
    """Return what the machine does in *interval_s* seconds, or None without a readable /proc/stat.

    Busy is wall time less idle and iowait: user, system and softirq are sampled by the tick and see half of it at times
    (Documentation/admin-guide/cpu-load.rst).
    """
    before = processes()
    first, started = _machine(host), clock()
    sleep(interval_s)
    last, wall_s = _machine(host), clock() - started
    if first is None or last is None or wall_s <= 0:
        return None
    used = ((name, (cpu_s - before.get(pid, ("", 0.0))[1]) / wall_s) for pid, (name, cpu_s) in processes().items())
    top = sorted((item for item in used if item[1] >= 0.01), key=lambda item: -item[1])[:3]
    cpus, idle_s, steal_s = last[0], last[1] - first[1], last[2] - first[2]
    return LoadSample(cpus, min(max(cpus - idle_s / wall_s, 0.0), cpus), max(steal_s / wall_s / cpus, 0.0), tuple(top))


def _machine(host: Host) -> tuple[int, float, float] | None:
    """Return CPUs, idle + iowait seconds and steal seconds of /proc/stat (Documentation/filesystems/proc.rst, section 1.7)."""
    lines = [line.split() for line in (host.text("/proc/stat") or "").splitlines() if line.startswith("cpu")]
    if len(lines) < 2 or len(lines[0]) < 9:
        return None
    ticks, tick_hz = [int(word) for word in lines[0][1:]], os.sysconf("SC_CLK_TCK")
    return len(lines) - 1, (ticks[3] + ticks[4]) / tick_hz, ticks[7] / tick_hz


def foreign_processes() -> dict[int, tuple[str, float]]:
    """Return name and CPU seconds so far of every process but this one; those we may not see are left out."""
    import psutil

    seen = ((process.pid, process.info) for process in psutil.process_iter(["name", "cpu_times"]) if process.pid != os.getpid())
    return {pid: (info["name"] or "?", info["cpu_times"].user + info["cpu_times"].system) for pid, info in seen if info["cpu_times"]}
