"""What is said about a made-up host, and about the real one."""

from __future__ import annotations

import gzip
import json
import socket

import pytest

import zcload
from zcload.host.environment import container, describe, kernel_config, virtualisation
from zcload.host.topology import CgroupLimits, Host, cgroup_directories, cgroup_limits

CPU = "/sys/devices/system/cpu"
CLOCK = "/sys/devices/system/clocksource/clocksource0"
NET = "/proc/sys/net"
V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"

HOST = {
    "/proc/sys/kernel/osrelease": "6.1.0-18-amd64",
    "/proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1",
    "/proc/sys/kernel/hostname": "wonderland",
    "/proc/sys/kernel/io_uring_disabled": "2",
    "/proc/version": "Linux version 6.1.0-18-amd64 (alice@wonderland) (gcc 12.2.0)",
    "/proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC 9654\nflags\t\t: fpu vme sse2\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 9654",
    "/proc/meminfo": "MemTotal:       16384 kB\nMemFree:         4096 kB\nMemAvailable:    8192 kB",
    "/proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-1",
    "/proc/self/limits": "Limit    Soft Limit  Hard Limit  Units\nMax locked memory         8388608      unlimited      bytes",
    "/proc/self/cgroup": "0::/user.slice/alice.slice",
    "/proc/self/mountinfo": V2,
    "/proc/cmdline": "root=/dev/sda quiet",
    "/proc/sys/fs/pipe-max-size": "1048576",
    "/boot/config-6.1.0-18-amd64": "# header\nCONFIG_HZ=250\nCONFIG_TICK_CPU_ACCOUNTING=y\nCONFIG_PARAVIRT_TIME_ACCOUNTING=y\n"
    "# CONFIG_IRQ_TIME_ACCOUNTING is not set",
    "/sys/fs/cgroup/user.slice/cpu.max": "150000 100000",
    "/sys/fs/cgroup/user.slice/alice.slice/memory.max": "8388608",
    "/sys/devices/system/node/online": "0",
    "/sys/devices/system/node/node0/cpulist": "0-3",
    f"{CPU}/online": "0-3",
    f"{CPU}/isolated": "3",
    f"{CPU}/nohz_full": "(null)",
    f"{CPU}/smt/active": "1",
    f"{CPU}/cpu0/topology/core_cpus_list": "0-1",
    f"{CPU}/cpu0/cache/index2/level": "2",  # never reached: index0 is missing
    f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance",
    f"{CPU}/cpu0/cpufreq/scaling_driver": "intel_pstate",
    f"{CPU}/intel_pstate/no_turbo": "0",
    f"{CLOCK}/current_clocksource": "hpet",
    f"{CLOCK}/available_clocksource": "hpet acpi_pm",
    "/sys/class/net/lo/mtu": "65536",
    f"{NET}/ipv4/tcp_wmem": "4096\t16384\t4194304",
    f"{NET}/ipv4/tcp_rmem": "4096\t131072\t6291456",
    f"{NET}/core/wmem_max": "212992",
    f"{NET}/core/rmem_max": "212993",
    f"{NET}/core/optmem_max": "131072",
    f"{NET}/core/default_qdisc": "fq_codel",
    f"{NET}/ipv4/tcp_available_congestion_control": "reno cubic bbr",
    f"{NET}/ipv4/tcp_allowed_congestion_control": "reno cubic",
    f"{NET}/ipv4/tcp_congestion_control": "cubic",
    f"{NET}/ipv4/tcp_available_ulp": "espintcp mptcp tls",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "/sys/module/page_reporting/parameters/page_reporting_order": "9",
    "/sys/bus/virtio/drivers/virtio_balloon/virtio0/features": "0110010100",
    "/sys/kernel/mm/transparent_hugepage/shmem_enabled": "always within_size advise [never] deny force",
}

EXPECTED = {
    "zcload_version": zcload.__version__,
    "kernel_release": "6.1.0-18-amd64",
    "kernel_version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1",
    "cpu_model": "AMD EPYC 9654",
    "cpus_online": 4,
    "cpus_allowed": [0, 1],
    "cpus_isolated": [3],
    "cpus_nohz_full": [],
    "physical_cores": 1,
    "smt": True,
    "numa_nodes": 1,
    "memory_bytes": 16 << 20,
    "virtualisation": "none",
    "container": None,
    "scheduler_hz": 250,
    "cpu_accounting": "TICK_CPU_ACCOUNTING",
    "irq_time_accounting": "no",
    "paravirt_time_accounting": "yes",
    "clocksource": "hpet",
    "clocksource_is_syscall": True,
    "cpufreq_governor": "performance, powersave",
    "cpufreq_driver": "intel_pstate",
    "turbo": True,
    "cgroup_cpu_quota_cpus": 1.5,
    "cgroup_memory_limit_bytes": 8 << 20,
    "loopback_mtu_bytes": 65536,
    "tcp_wmem_max_bytes": 4194304,
    "tcp_rmem_max_bytes": 6291456,
    "wmem_max_bytes": 212992,
    "rmem_max_bytes": 212993,
    "optmem_max_bytes": 131072,
    "congestion_available": ["reno", "cubic", "bbr"],
    "congestion_allowed": ["reno", "cubic"],
    "congestion_default": "cubic",
    "qdisc_default": "fq_codel",
    "ktls_available": True,
    "transparent_hugepages": "madvise",
    "transparent_hugepages_shmem": "never",
    "free_page_reporting_bytes": 2 << 20,
    "memlock_limit_bytes": 8 << 20,
    "pipe_max_size_bytes": 1 << 20,
    "io_uring_disabled": 2,
}


def make_host(root, files):
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
    return Host(root)


def test_every_fact_is_read_from_its_file(tmp_path):
    """Each fact of the environment has the value and unit that the files of the host give it."""
    facts = describe(host=make_host(tmp_path, HOST))
    assert {key: facts[key] for key in EXPECTED} == EXPECTED
    assert set(facts) - set(EXPECTED) == {"python_version", "architecture", "clock_tick_hz", "l2_bytes", "last_level_cache_bytes"}


def test_an_empty_host_gives_unknowns_and_no_error(tmp_path):
    """With no file at all nothing is raised, nothing is invented, and the facts are still JSON."""
    facts = describe(host=Host(tmp_path))
    assert facts.keys() == describe(host=make_host(tmp_path / "full", HOST)).keys()
    given = {"zcload_version", "python_version", "architecture", "clock_tick_hz", "cpus_allowed", "physical_cores"}
    unknown = {key: value for key, value in facts.items() if key not in given}
    assert set(map(str, unknown.values())) == {"None", "unknown", "[]", "False"}
    assert json.loads(json.dumps(facts)) == facts


def test_no_name_of_user_or_host_gets_into_a_result(tmp_path):
    """User and host names, which several of the files hold, are nowhere in the facts; the host's is there when asked for."""
    host = make_host(tmp_path, HOST)
    text = json.dumps(describe(host=host))
    assert "alice" not in text
    assert "wonderland" not in text
    assert describe(host_name=True, host=host)["host_name"] == "wonderland"


def test_the_real_host_can_be_described():
    """On this machine the facts are JSON, hold no host name, and agree with one another."""
    facts = describe()
    assert json.loads(json.dumps(facts)) == facts
    assert "host_name" not in facts
    assert 1 <= facts["physical_cores"] <= len(facts["cpus_allowed"])
    assert facts["kernel_release"]
    assert describe(host_name=True)["host_name"] == socket.gethostname()


@pytest.mark.parametrize(
    "files",
    [
        {"/proc/config.gz": gzip.compress(b"CONFIG_HZ=1000\nCONFIG_IRQ_TIME_ACCOUNTING=y\n")},
        {"/boot/config-6.9": "CONFIG_HZ=1000\nCONFIG_IRQ_TIME_ACCOUNTING=y"},
        {"/lib/modules/6.9/config": "CONFIG_HZ=1000\nCONFIG_IRQ_TIME_ACCOUNTING=y"},
        {"/proc/config.gz": b"not gzip", "/boot/config-6.9": "CONFIG_HZ=1000\nCONFIG_IRQ_TIME_ACCOUNTING=y"},
    ],
    ids=["proc", "boot", "modules", "damaged"],
)
def test_the_kernel_config_is_found_wherever_distributions_put_it(tmp_path, files):
    """The kernel's options are read from /proc, /boot or /lib/modules, and a damaged file is passed over."""
    host = make_host(tmp_path, {"/proc/sys/kernel/osrelease": "6.9"} | files)
    assert kernel_config(host) == {"CONFIG_HZ": "1000", "CONFIG_IRQ_TIME_ACCOUNTING": "y"}
    facts = describe(host=host)
    assert (facts["scheduler_hz"], facts["irq_time_accounting"], facts["paravirt_time_accounting"]) == (1000, "yes", "no")


def test_interrupt_accounting_turned_off_at_boot_counts_as_off(tmp_path):
    """A kernel built with IRQ_TIME_ACCOUNTING and booted with tsc=noirqtime does not account it."""
    files = {"/proc/config.gz": gzip.compress(b"CONFIG_IRQ_TIME_ACCOUNTING=y\n"), "/proc/cmdline": "quiet tsc=noirqtime"}
    assert describe(host=make_host(tmp_path, files))["irq_time_accounting"] == "no"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"/proc/cpuinfo": "flags : fpu hypervisor sse2"}, "unknown"),
        ({"/proc/cpuinfo": "flags : fpu hypervisor", f"{CLOCK}/available_clocksource": "tsc kvm-clock"}, "kvm"),
        ({"/proc/cpuinfo": "flags : fpu hypervisor", "/sys/class/dmi/id/sys_vendor": "VMware, Inc."}, "vmware"),
        ({"/proc/cpuinfo": "flags : fpu hypervisor", "/sys/class/dmi/id/sys_vendor": "Microsoft Corporation"}, "hyper-v"),
        ({"/proc/cpuinfo": "flags : fpu hypervisor", "/sys/hypervisor/type": "xen"}, "xen"),
        ({"/proc/cpuinfo": "flags : fpu", "/sys/class/dmi/id/sys_vendor": "Microsoft Corporation"}, "none"),  # a Surface
        ({"/proc/cpuinfo": "CPU implementer : 0x41", "/sys/class/dmi/id/sys_vendor": "QEMU"}, "kvm"),
        ({"/proc/cpuinfo": "CPU implementer : 0x41", "/sys/class/dmi/id/sys_vendor": "Microsoft Corporation"}, "none"),
        ({}, None),
    ],
)
def test_virtual_machines_are_told_from_real_ones(tmp_path, files, kind):
    """The hypervisor flag and the names in DMI, the clock sources and /sys/hypervisor decide; a hardware vendor's name alone does not."""
    assert virtualisation(make_host(tmp_path, files)) == kind


@pytest.mark.parametrize(
    ("files", "engine"),
    [
        ({"/.dockerenv": ""}, "docker"),
        ({"/run/.containerenv": ""}, "podman"),
        ({"/proc/1/cgroup": "0::/kubepods/burstable/pod1"}, "kubepods"),
        ({"/proc/1/cgroup": "0::/init.scope"}, None),
    ],
)
def test_containers_are_recognised_by_their_marks(tmp_path, files, engine):
    """Marker files and the first process's cgroup hint at the container engine."""
    assert container(make_host(tmp_path, files)) == engine


@pytest.mark.parametrize(("name", "is_syscall"), [("tsc", False), ("hpet", True), ("xen", None)])
def test_clock_sources_that_need_a_system_call_are_known(tmp_path, name, is_syscall):
    """tsc is read without a system call, hpet with one, and for others it is left open."""
    assert describe(host=make_host(tmp_path, {f"{CLOCK}/current_clocksource": name}))["clocksource_is_syscall"] is is_syscall


def test_an_arm_cpu_is_named_by_its_numbers(tmp_path):
    """Where cpuinfo has no model name the implementer and part numbers stand in."""
    host = make_host(tmp_path, {"/proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c"})
    assert describe(host=host)["cpu_model"] == "Arm implementer 0x41 part 0xd0c"


V2_GROUP = {"/proc/self/cgroup": "0::/a/b", "/proc/self/mountinfo": V2}
V1_GROUP = {"/proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/c\n0::/", "/proc/self/mountinfo": f"{V1_CPU}\n{V1_MEMORY}"}


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({}, CgroupLimits()),
        (V2_GROUP | {"/sys/fs/cgroup/a/b/cpu.max": "max 100000", "/sys/fs/cgroup/a/b/memory.max": "max"}, CgroupLimits()),
        (  # the parent's quota is tighter than our own
            V2_GROUP
            | {
                "/sys/fs/cgroup/a/b/cpu.max": "200000 100000",
                "/sys/fs/cgroup/a/b/cpu.stat": "nr_periods 9\nnr_throttled 2",
                "/sys/fs/cgroup/a/cpu.max": "50000 100000",
                "/sys/fs/cgroup/a/cpu.stat": "nr_periods 9\nnr_throttled 5",
            },
            CgroupLimits(cpus=0.5, throttled=7, periods=18),
        ),
        (  # pages of files out of use are room
            V2_GROUP
            | {
                "/sys/fs/cgroup/a/memory.max": "1000",
                "/sys/fs/cgroup/a/memory.current": "900",
                "/sys/fs/cgroup/a/memory.stat": "anon 500\ninactive_file 300",
            },
            CgroupLimits(memory_bytes=1000, memory_free_bytes=400),
        ),
        (
            V1_GROUP
            | {
                "/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us": "300000",
                "/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000",
                "/sys/fs/cgroup/memory/m/memory.limit_in_bytes": "4096",
                "/sys/fs/cgroup/memory/m/memory.usage_in_bytes": "8192",
            },
            CgroupLimits(cpus=3.0, throttled=0, periods=0, memory_bytes=4096, memory_free_bytes=0),
        ),
        (
            V1_GROUP
            | {
                "/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us": "-1",
                "/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000",
                "/sys/fs/cgroup/memory/m/memory.limit_in_bytes": "9223372036854771712",
            },
            CgroupLimits(),
        ),
    ],
    ids=["none", "v2-max", "v2-parent", "v2-memory", "v1", "v1-unlimited"],
)
def test_the_tightest_limit_of_cgroup_and_parents_counts(tmp_path, files, limits):
    """Quota and memory limit are the tightest from the own cgroup up, in both versions, and the words for "no limit" are none."""
    assert cgroup_limits(make_host(tmp_path, files)) == limits


@pytest.mark.parametrize(
    ("group", "root", "directories"),
    [
        ("/a/b", "/", ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"]),
        ("/docker/1", "/docker/1", ["/sys/fs/cgroup"]),  # the container's own part is mounted
        ("/docker/1/x", "/docker/1", ["/sys/fs/cgroup/x", "/sys/fs/cgroup"]),
        ("/elsewhere", "/docker/1", ["/sys/fs/cgroup"]),
        ("/../other", "/", ["/sys/fs/cgroup"]),  # outside of this cgroup namespace
    ],
)
def test_the_cgroup_is_found_below_its_mount(tmp_path, group, root, directories):
    """The cgroup's directory is sought relative to what is mounted, and never above the mount."""
    files = {"/proc/self/cgroup": f"0::{group}", "/proc/self/mountinfo": V2.replace("0:26 / ", f"0:26 {root} ")}
    assert cgroup_directories(make_host(tmp_path, files), "cpu") == directories
