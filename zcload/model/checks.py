"""Table of the host checks: what each looks at, what it spoils, and its remedy. zcload/host/doctor.py runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "caution", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the host. *levels* are those that a finding may have besides ok; *in_result*: a caution or problem is stored too."""

    title: str
    looks_at: str  # for docs/metrics.md
    spoils: str
    remedy: str
    levels: tuple[Level, ...]
    in_result: bool = False


CHECKS: dict[str, Check] = {
    "cpus": Check(
        title="CPUs",
        looks_at="the CPUs that this process may use",
        spoils="with one CPU, sender and receiver take turns: CPU per byte can be measured, throughput cannot",
        remedy="allow more CPUs: taskset, or the cpuset of the container",
        levels=("note", "problem"),
    ),
    "smt_siblings": Check(
        title="hardware threads",
        looks_at="hardware threads, and physical cores for the workers",
        spoils="threads of one core slow each other, so CPU seconds are inflated",
        remedy="use fewer workers, or allow as many physical cores as there are workers",
        levels=("note", "caution"),
        in_result=True,
    ),
    "quota": Check(
        title="CPU quota",
        looks_at="the cgroup's CPU quota, and how often it has throttled",
        spoils="throttling stops workers in the middle of a window",
        remedy="lift cpu.max (or cpu.cfs_quota_us) of the cgroup",
        levels=("caution", "problem"),
        in_result=True,
    ),
    "steal": Check(
        title="stolen CPU time",
        looks_at="stolen time in half a second; over 2 % is a caution",
        spoils="the hypervisor ran other virtual machines, and CPU time may include that",
        remedy="use a quiet or dedicated host",
        levels=("note", "caution"),
        in_result=True,
    ),
    "background_load": Check(
        title="background load",
        looks_at="what other processes use in half a second, the busiest three by name; over 5 % is a caution",
        spoils="other processes take CPU and cache, and count in the machine ledger",
        remedy="stop the other processes",
        levels=("note", "caution"),
        in_result=True,
    ),
    "copy_cost": Check(
        title="cost of copying",
        looks_at="the standard deviation of what copying 64 MiB costs in windows of 40 ms of CPU time; over 5 % is a caution",
        spoils="other programs, or other guests of this machine's host, share its memory and cache: intervals get wide",
        remedy="measure for longer (--max-time), at another time, or on a host of your own",
        levels=("note", "caution"),
    ),
    "regime": Check(
        title="CPU accounting",
        looks_at="IRQ_TIME_ACCOUNTING, PARAVIRT_TIME_ACCOUNTING, and how the kernel counts CPU time",
        spoils="with IRQ_TIME_ACCOUNTING, softirq time is charged to no process: sums over processes are incomplete",
        remedy="compare the machine's CPU, or boot with tsc=noirqtime",
        levels=("caution",),
        in_result=True,
    ),
    "clock_tick": Check(
        title="scheduler tick",
        looks_at="HZ, and the tick of /proc",
        spoils="the CPU clock of a running process is late by up to one tick",
        remedy="nothing to do: zcload reads the clocks at rest, where they are exact",
        levels=("note",),
    ),
    "clocksource": Check(
        title="clock source",
        looks_at="whether reading the clock is a system call",
        spoils="each time stamp is a system call",
        remedy="boot with a stable TSC; dmesg says why it is not used",
        levels=("note", "caution"),
        in_result=True,
    ),
    "governor": Check(
        title="CPU frequency",
        looks_at="frequency governor and turbo, where they are visible",
        spoils="CPU seconds change with the clock rate",
        remedy="cpupower frequency-set -g performance, and turbo off",
        levels=("note", "caution"),
        in_result=True,
    ),
    "virtual_machine": Check(
        title="virtualisation",
        looks_at="hypervisor and container",
        spoils="what the hypervisor does for this machine is invisible",
        remedy="repeat the measurement on bare metal",
        levels=("note",),
    ),
    "free_page_reporting": Check(
        title="free pages",
        looks_at="whether this virtual machine gives free memory back to its host (free page reporting of the virtio balloon)",
        spoils="memory that was given back is dear to use again: sends that copy cost up to four times as much CPU, for parts of a second",
        remedy="trust only intervals over several replicates, or have the host switch free page reporting off",
        levels=("caution",),
        in_result=True,
    ),
    "memory": Check(
        title="memory",
        looks_at="memory available, and memory needed",
        spoils="a file that does not stay in memory is read from the disk",
        remedy="use a smaller file, or free memory",
        levels=("note", "caution", "problem"),
        in_result=True,
    ),
    "shared_memory": Check(
        title="/dev/shm",
        looks_at="free space in /dev/shm",
        spoils="a file of workload.dir there may not fit; the automatic file is a memfd and does not need /dev/shm",
        remedy="mount -o remount,size=4G /dev/shm, or set another workload.dir",
        levels=("note",),
    ),
    "socket_buffers": Check(
        title="socket buffer limits",
        looks_at="wmem_max and rmem_max: the kernel silently grants less than was asked for (socket(7))",
        spoils="smaller buffers than asked for cost receivers up to 50 % more CPU",
        remedy="sysctl -w net.core.wmem_max=4194304 net.core.rmem_max=4194304",
        levels=("note", "caution"),
    ),
    "congestion": Check(
        title="congestion control",
        looks_at="default and available congestion controls",
        spoils="bbr paces every sender, which costs far more CPU per byte",
        remedy='workload.congestion = "cubic"',
        levels=("note", "caution", "problem"),
    ),
    "pipe_size": Check(
        title="largest pipe",
        looks_at="fs.pipe-max-size (pipe(7))",
        spoils="splice moves at most one pipe full per call",
        remedy="sysctl -w fs.pipe-max-size=1048576",
        levels=("note",),
    ),
    "memlock": Check(
        title="locked memory",
        looks_at="RLIMIT_MEMLOCK",
        spoils="MSG_ZEROCOPY and io_uring buffers fail with ENOBUFS or ENOMEM, and mechanisms that pin pages fall back to copies",
        remedy="ulimit -l unlimited",
        levels=("note",),
    ),
    "io_uring": Check(
        title="io_uring",
        looks_at="kernel.io_uring_disabled, and whether a ring can be made",
        spoils="mechanisms that use io_uring are skipped",
        remedy="sysctl -w kernel.io_uring_disabled=0; in a container allow io_uring in its seccomp profile",
        levels=("note",),
    ),
    "ktls": Check(
        title="kernel TLS",
        looks_at="whether TLS is among the available upper layer protocols",
        spoils="ktls_sendfile is skipped",
        remedy="modprobe tls",
        levels=("note",),
    ),
    "loopback_mtu": Check(
        title="loopback MTU",
        looks_at="MTU of lo",
        spoils="smaller segments cost more CPU per byte",
        remedy="ip link set lo mtu 65536",
        levels=("note", "caution"),
    ),
    "packet_sockets": Check(
        title="packet sockets",
        looks_at="/proc/net/packet: tcpdump and the like that listen on loopback",
        spoils="the kernel clones each packet for them, and copies zero-copy buffers",
        remedy="stop tcpdump and other programs that capture packets",
        levels=("caution",),
        in_result=True,
    ),
}
