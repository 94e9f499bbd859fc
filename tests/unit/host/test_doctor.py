"""Each check of the doctor on made-up hosts: its level, what it says, and what of it reaches a result."""

from __future__ import annotations

import gzip
import os
from dataclasses import fields, replace

import pytest

from zcload.host.copy_cost import CopyCost
from zcload.host.doctor import JUDGES, HostFinding, cautions, findings, measure_copying
from zcload.host.environment import LoadSample, foreign_processes, memlock_limit, memory, take_sample
from zcload.host.topology import Host
from zcload.model.cautions import Caution
from zcload.model.checks import CHECKS
from zcload.model.study import Point, Study, Variant

CPU = "/sys/devices/system/cpu"
CLOCK = "/sys/devices/system/clocksource/clocksource0"
NET = "/proc/sys/net"
ORDER = "/sys/module/page_reporting/parameters/page_reporting_order"
FEATURES = "/sys/bus/virtio/drivers/virtio_balloon/virtio0/features"
GROUP = {"/proc/self/cgroup": "0::/", "/proc/self/mountinfo": "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"}
PACKET = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode"


def config(*options):
    return {"/proc/config.gz": gzip.compress("\n".join(f"CONFIG_{option}" for option in options).encode())}


def stat(user, idle, iowait, steal):
    return f"cpu  {user} 0 0 {idle} {iowait} 0 0 {steal} 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\ncpu1 1 0 0 1 0 0 0 0 0 0\nintr 5"


IDLE = stat(0, 200, 0, 0)  # two CPUs, one second
STEADY = CopyCost(median=0.1, variation=0.02)

# A quiet, well set up machine of two cores, on which every check is content.
QUIET = {
    "/proc/self/status": "Cpus_allowed_list:\t0-1",
    f"{CPU}/online": "0-1",
    f"{CPU}/smt/active": "0",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance",
    f"{CPU}/cpufreq/boost": "0",
    "/proc/cpuinfo": "flags : fpu sse2",
    "/proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB",
    "/proc/self/limits": "Max locked memory         unlimited            unlimited            bytes",
    "/proc/stat": stat(0, 0, 0, 0),
    "/proc/net/packet": PACKET,
    "/proc/sys/fs/pipe-max-size": "1048576",
    "/proc/sys/kernel/io_uring_disabled": "0",
    "/sys/class/net/lo/mtu": "65536",
    f"{CLOCK}/current_clocksource": "tsc",
    f"{NET}/core/wmem_max": "4194304",
    f"{NET}/core/rmem_max": "4194304",
    f"{NET}/ipv4/tcp_available_congestion_control": "reno cubic",
    f"{NET}/ipv4/tcp_congestion_control": "cubic",
    f"{NET}/ipv4/tcp_available_ulp": "mptcp tls",
    **GROUP,
    **config("HZ=250", "TICK_CPU_ACCOUNTING=y"),
}


def make_host(root, files):
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
    return Host(root)


def study(**point):
    return Study("s", "read_send", (Variant("read_send", "read_send"),), (Point(**point),))


def examine(root, files=QUIET, study=None, after=IDLE, room=64 << 30, processes=dict, copying=STEADY):
    """The findings on a host made of *files* whose /proc/stat becomes *after* in the one second of the sample, by code."""
    host = make_host(root, files)

    def sleep(seconds):
        if "/proc/stat" in files:
            (root / "proc/stat").write_text(after)

    found = findings(
        host, study, clock=iter([1.0, 2.0]).__next__, sleep=sleep, processes=processes, room=lambda path: room, copying=copying
    )
    return {finding.code: finding for finding in found}


@pytest.fixture(autouse=True)
def _hundred_ticks_a_second(monkeypatch):
    real = os.sysconf
    monkeypatch.setattr("os.sysconf", lambda name: 100 if name == "SC_CLK_TCK" else real(name))


def test_a_quiet_host_has_nothing_to_report(tmp_path):
    """On a well set up machine every check is content, and no caution reaches the result."""
    found = examine(tmp_path)
    assert {code: finding.value for code, finding in found.items() if finding.level != "ok"} == {}
    assert cautions(found.values()) == []


def test_every_check_reports_once_and_in_full(tmp_path):
    """Each registered check gives exactly one finding, with no text left empty, on a good host and on one that says nothing."""
    for found in (examine(tmp_path / "quiet"), examine(tmp_path / "empty", files={})):
        assert list(found) == list(CHECKS)
        assert set(JUDGES) == set(CHECKS)
        assert all(getattr(finding, field.name) for finding in found.values() for field in fields(HostFinding) if field.name != "private")


def test_what_a_host_does_not_say_is_a_note_at_most(tmp_path):
    """Without any file no check raises or invents trouble; only an unknown accounting regime is a caution."""
    found = examine(tmp_path, files={}, study=study(placement="free"))
    assert {code for code, finding in found.items() if finding.level in ("caution", "problem")} == {"regime"}


CASES = [
    ("cpus", {"/proc/self/status": "Cpus_allowed_list:\t1"}, None, "problem", "1 of 2 CPUs"),
    ("cpus", {"/proc/self/status": "Cpus_allowed_list:\t1"}, {"placement": "same"}, "note", "1 of 2 CPUs"),
    ("smt_siblings", {f"{CPU}/smt/active": "1"}, None, "note", "2 workers on 2"),
    ("smt_siblings", {f"{CPU}/smt/active": "1"}, {"senders": 2}, "caution", "3 workers on 2"),
    ("smt_siblings", {f"{CPU}/smt/active": "1"}, {"senders": 2, "placement": "same"}, "note", "on"),
    ("quota", {"/sys/fs/cgroup/cpu.max": "50000 100000"}, None, "caution", "0.5 CPUs, throttled 0 times"),
    ("quota", {"/sys/fs/cgroup/cpu.max": "50000 100000", "/sys/fs/cgroup/cpu.stat": "nr_throttled 7"}, None, "problem", "throttled 7"),
    ("regime", config("HZ=250", "IRQ_TIME_ACCOUNTING=y"), None, "caution", "IRQ_TIME_ACCOUNTING yes"),
    ("regime", {"/proc/config.gz": b""}, None, "caution", "IRQ_TIME_ACCOUNTING unknown"),
    ("clock_tick", {"/proc/config.gz": b""}, None, "note", "HZ unknown"),
    ("clocksource", {f"{CLOCK}/current_clocksource": "acpi_pm"}, None, "caution", "acpi_pm"),
    ("clocksource", {f"{CLOCK}/current_clocksource": "xen"}, None, "note", "xen"),
    ("governor", {f"{CPU}/cpu1/cpufreq/scaling_governor": "schedutil"}, None, "caution", "performance, schedutil"),
    ("governor", {f"{CPU}/cpufreq/boost": "1"}, None, "note", "turbo on"),
    ("virtual_machine", {"/proc/cpuinfo": "flags : fpu hypervisor", "/.dockerenv": ""}, None, "note", "unknown, in a container (docker)"),
    ("free_page_reporting", {ORDER: "9", FEATURES: "0110010"}, None, "caution", "given back to the host, in blocks of 2 MiB and more"),
    ("free_page_reporting", {ORDER: "9", FEATURES: "0110000"}, None, "ok", "not given back"),  # the device does not take them
    ("free_page_reporting", {ORDER: "11", FEATURES: "0110010"}, None, "ok", "not given back"),  # no block is that large
    ("free_page_reporting", {FEATURES: "0110010"}, None, "ok", "not given back"),
    ("memory", {"/proc/meminfo": "MemAvailable: 1048576 kB"}, None, "caution", "1 GiB available"),
    ("memory", {"/proc/meminfo": "MemAvailable: 1048576 kB"}, {"file_size": 1 << 30}, "problem", "1 GiB available"),
    ("memory", {"/proc/meminfo": "MemAvailable: 1048576 kB"}, {"file_size": 1 << 20}, "ok", "1 GiB available"),
    ("memory", {"/sys/fs/cgroup/memory.max": "1048576", "/sys/fs/cgroup/memory.current": "524288"}, None, "caution", "512 KiB available"),
    ("socket_buffers", {f"{NET}/core/wmem_max": "212992"}, None, "caution", "wmem_max 208 KiB"),
    ("socket_buffers", {f"{NET}/core/wmem_max": "212992"}, {"socket_buffer": 65536}, "ok", "wmem_max 208 KiB"),
    ("socket_buffers", {f"{NET}/core/rmem_max": "212992"}, {"socket_buffer": None}, "ok", "rmem_max 208 KiB"),
    ("congestion", {f"{NET}/ipv4/tcp_congestion_control": "bbr"}, None, "caution", "default bbr"),
    ("congestion", {}, {"congestion": "bbr"}, "problem", "not bbr"),
    ("pipe_size", {"/proc/sys/fs/pipe-max-size": "65536"}, None, "note", "64 KiB"),
    ("pipe_size", {"/proc/sys/fs/pipe-max-size": "65536"}, {"chunk": 65536}, "ok", "64 KiB"),
    ("memlock", {"/proc/self/limits": "Max locked memory         65536   65536   bytes"}, None, "note", "64 KiB"),
    ("io_uring", {"/proc/sys/kernel/io_uring_disabled": "2"}, None, "note", "disabled"),
    ("ktls", {f"{NET}/ipv4/tcp_available_ulp": "mptcp"}, None, "note", "not loaded"),
    ("loopback_mtu", {"/sys/class/net/lo/mtu": "1500"}, None, "caution", "1500 bytes"),
    ("packet_sockets", {"/proc/net/packet": f"{PACKET}\n0 3 3 0003 0 1 0 0 9"}, None, "caution", "1 see loopback, 1 in all"),
    ("packet_sockets", {"/proc/net/packet": f"{PACKET}\n0 3 3 0003 1 1 0 0 9"}, None, "caution", "1 see loopback, 1 in all"),
    ("packet_sockets", {"/proc/net/packet": f"{PACKET}\n0 3 3 0003 2 1 0 0 9"}, None, "ok", "0 see loopback, 1 in all"),  # on a NIC
    ("packet_sockets", {"/proc/net/packet": f"{PACKET}\n0 3 3 888e 0 1 0 0 9"}, None, "ok", "0 see loopback, 1 in all"),  # no IP
]


@pytest.mark.parametrize(("code", "files", "point", "level", "value"), CASES)
def test_a_check_finds_what_it_is_for(tmp_path, code, files, point, level, value):
    """On an otherwise quiet host the fault in question, judged for the study at hand, has this level and is named in the value."""
    found = examine(tmp_path, QUIET | files, study(**point) if point is not None else None)
    assert (found[code].level, value in found[code].value) == (level, True), found[code]
    assert level in ("ok", *CHECKS[code].levels)


@pytest.mark.parametrize(
    ("code", "after", "level", "value"),
    [
        ("steal", stat(0, 190, 0, 3), "ok", "1.5%"),
        ("steal", stat(0, 190, 0, 5), "caution", "2.5%"),
        ("background_load", stat(0, 192, 0, 0), "ok", "0.08 of 2 CPUs (4%), rsync 0.40"),
        ("background_load", stat(0, 188, 0, 0), "caution", "0.12 of 2 CPUs (6%), rsync 0.40"),
    ],
)
def test_other_work_is_measured_and_named(tmp_path, code, after, level, value):
    """Steal above 2 % and foreign CPU above 5 % are cautions, and the busiest process is named."""
    processes = iter([{7: ("rsync", 1.0)}, {7: ("rsync", 1.4)}])
    finding = examine(tmp_path, after=after, processes=lambda: next(processes))[code]
    assert (finding.level, (finding.value + finding.private).split(" of all")[0]) == (level, value)


@pytest.mark.parametrize(
    ("copying", "level", "value"),
    [
        (CopyCost(0.1, 0.049), "ok", "0.10 CPU s/GB, 40 ms windows vary by 4.9%"),
        (CopyCost(0.1, 0.123), "caution", "0.10 CPU s/GB, 40 ms windows vary by 12.3%"),
        (None, "note", "not measured"),
    ],
)
def test_unsteady_copying_is_told(tmp_path, copying, level, value):
    """Copies whose cost varies by more than 5 % are a caution, and the figure is there."""
    finding = examine(tmp_path, copying=copying)["copy_cost"]
    assert (finding.level, finding.value) == (level, value)


def test_copying_is_not_measured_where_memory_is_short(tmp_path):
    """The two buffers of 64 MiB do not take the last memory of a small host."""
    assert measure_copying(make_host(tmp_path, {"/proc/meminfo": "MemTotal: 524288 kB\nMemAvailable: 500000 kB"})) is None


def test_too_small_a_memory_file_system_is_a_note(tmp_path):
    """A /dev/shm too small for a workload.dir in it is told; the automatic file, a memfd, needs no room there."""
    assert examine(tmp_path / "there", room=1 << 20, study=study(dir="/dev/shm/x"))["shared_memory"].level == "note"
    assert examine(tmp_path / "auto", room=1 << 20)["shared_memory"].level == "ok"
    assert examine(tmp_path / "dir", room=1 << 20, study=study(dir="/data"))["shared_memory"].level == "ok"


def test_every_declared_level_is_given():
    """The levels that the table of checks declares are those that the cases above provoke, and a note where nothing is known."""
    seen = {code: {"note"} for code in CHECKS}
    for code, _, _, level, _ in CASES:
        seen[code].add(level)
    for code in ("steal", "background_load", "copy_cost"):
        seen[code].add("caution")
    assert not {(code, level) for code, check in CHECKS.items() for level in check.levels if level not in seen[code]}


def test_only_conditions_of_the_measurement_reach_a_result(tmp_path):
    """Cautions of a result are those findings of level caution or worse that describe its conditions, as code, message and remedy."""
    finding = examine(tmp_path)["steal"]
    assert cautions([finding, replace(finding, level="note")]) == []
    assert cautions([replace(finding, level="caution", code="pipe_size")]) == []
    (caution,) = cautions([replace(finding, level="caution", value="9.0% of all CPUs")])
    assert isinstance(caution, Caution)
    assert caution.code == "steal"
    assert "9.0% of all CPUs" in caution.message
    assert finding.spoils in caution.message
    assert caution.remedy == finding.remedy


def test_the_real_host_can_be_examined():
    """On this machine every check gives a finding of a known level without sleeping."""
    found = findings(interval_s=0.0)
    assert [finding.code for finding in found] == list(CHECKS)
    assert {finding.level for finding in found} <= {"ok", "note", "caution", "problem"}


def test_this_process_is_not_foreign():
    """The list of foreign processes has names and CPU seconds, and leaves this one out."""
    seen = foreign_processes()
    assert os.getpid() not in seen
    assert all(name and cpu_s >= 0 for name, cpu_s in seen.values())


@pytest.mark.parametrize(
    ("after", "busy", "steal"),
    [
        (stat(100, 200, 0, 0), 0.0, 0.0),
        (stat(100, 150, 50, 0), 0.0, 0.0),  # waiting for a disk is not being busy
        (stat(0, 50, 0, 0), 1.5, 0.0),  # the tick saw none of it, the missing idle time tells
        (stat(0, 0, 0, 20), 2.0, 0.1),
        (stat(0, 900, 0, 0), 0.0, 0.0),  # never less than nothing
    ],
)
def test_load_is_what_was_neither_idle_nor_waiting(tmp_path, after, busy, steal):
    """Busy CPUs come from wall time less idle and iowait, steal is a share of all CPUs, and names come with their CPUs."""
    host = make_host(tmp_path, {"/proc/stat": stat(0, 0, 0, 0)})
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        (tmp_path / "proc/stat").write_text(after)

    processes = iter([{1: ("init", 5.0), 2: ("rsync", 1.0)}, {1: ("init", 5.0), 2: ("rsync", 1.5), 3: ("new", 0.75)}])
    sample = take_sample(host, 0.25, iter([10.0, 11.0]).__next__, sleep, lambda: next(processes))
    assert slept == [0.25]
    assert sample == LoadSample(2, pytest.approx(busy), pytest.approx(steal), (("new", 0.75), ("rsync", 0.5)))


def test_no_sample_without_counters(tmp_path):
    """A host without a readable /proc/stat gives no sample rather than a made-up one."""
    assert take_sample(Host(tmp_path), 0.0, iter([1.0, 2.0]).__next__, lambda seconds: None, dict) is None


@pytest.mark.parametrize(("text", "limit"), [("unlimited", None), ("65536", 65536)])
def test_the_soft_memlock_limit_is_read(tmp_path, text, limit):
    """The soft limit counts, in bytes, and unlimited is None."""
    host = make_host(tmp_path, {"/proc/self/limits": f"Max locked memory         {text}                99                bytes"})
    assert memlock_limit(host) == limit


def test_memory_is_given_in_bytes(tmp_path):
    """The kB of /proc/meminfo are KiB, and a key that is not there is None."""
    host = make_host(tmp_path, {"/proc/meminfo": "MemAvailable:    8192 kB\nHugePages_Total:       0"})
    assert (memory(host, "MemAvailable"), memory(host, "MemTotal")) == (8 << 20, None)


def test_no_result_holds_the_names_of_other_processes(tmp_path):
    """Who else works on a host is told to its user and kept out of results."""
    processes = iter([{7: ("rsync", 1.0)}, {7: ("rsync", 1.4)}])
    found = examine(tmp_path, after=stat(0, 188, 0, 0), processes=lambda: next(processes))
    assert "rsync" in found["background_load"].private
    told = [caution.message for caution in cautions(found.values()) if caution.code == "background_load"]
    assert told
    assert "rsync" not in told[0]
