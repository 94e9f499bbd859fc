"""Table of the metrics: each is a ratio of two counters, summed over a window or over a generation.

`windows`: paired and robust, from the exact clocks of each window. `sums`: ratios of sums over generations, for counts and for
counters of the scheduler's tick, where single windows hold too few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

# The keys of the metrics. Everything that names a metric names it by one of these.
GOODPUT_BPS: Final = "goodput_bps"
SENDER_CPU_S_PER_GB: Final = "sender_cpu_s_per_gb"
RECEIVER_CPU_S_PER_GB: Final = "receiver_cpu_s_per_gb"
TOTAL_CPU_S_PER_GB: Final = "total_cpu_s_per_gb"
SYSTEM_CPU_S_PER_GB: Final = "system_cpu_s_per_gb"
RELAY_CPU_S_PER_GB: Final = "relay_cpu_s_per_gb"
SENDER_CPU_CORES: Final = "sender_cpu_cores"
RECEIVER_CPU_CORES: Final = "receiver_cpu_cores"
RELAY_CPU_CORES: Final = "relay_cpu_cores"
TOTAL_CPU_CORES: Final = "total_cpu_cores"
SYSTEM_CPU_CORES: Final = "system_cpu_cores"
SENDER_USER_S_PER_GB: Final = "sender_user_s_per_gb"
SENDER_SYSTEM_S_PER_GB: Final = "sender_system_s_per_gb"
RECEIVER_USER_S_PER_GB: Final = "receiver_user_s_per_gb"
RECEIVER_SYSTEM_S_PER_GB: Final = "receiver_system_s_per_gb"
RELAY_USER_S_PER_GB: Final = "relay_user_s_per_gb"
RELAY_SYSTEM_S_PER_GB: Final = "relay_system_s_per_gb"
SENDER_VOLUNTARY_SWITCHES_PER_GB: Final = "sender_voluntary_switches_per_gb"
SENDER_INVOLUNTARY_SWITCHES_PER_GB: Final = "sender_involuntary_switches_per_gb"
RECEIVER_VOLUNTARY_SWITCHES_PER_GB: Final = "receiver_voluntary_switches_per_gb"
RECEIVER_INVOLUNTARY_SWITCHES_PER_GB: Final = "receiver_involuntary_switches_per_gb"
RELAY_VOLUNTARY_SWITCHES_PER_GB: Final = "relay_voluntary_switches_per_gb"
RELAY_INVOLUNTARY_SWITCHES_PER_GB: Final = "relay_involuntary_switches_per_gb"
SENDER_SYSCALLS_PER_GB: Final = "sender_syscalls_per_gb"
RECEIVER_SYSCALLS_PER_GB: Final = "receiver_syscalls_per_gb"
RELAY_SYSCALLS_PER_GB: Final = "relay_syscalls_per_gb"
SENDER_MINOR_FAULTS_PER_GB: Final = "sender_minor_faults_per_gb"
SENDER_MAJOR_FAULTS_PER_GB: Final = "sender_major_faults_per_gb"
RECEIVER_MINOR_FAULTS_PER_GB: Final = "receiver_minor_faults_per_gb"
RECEIVER_MAJOR_FAULTS_PER_GB: Final = "receiver_major_faults_per_gb"
RELAY_MINOR_FAULTS_PER_GB: Final = "relay_minor_faults_per_gb"
SENDER_COMPLETIONS_PER_GB: Final = "sender_completions_per_gb"
SENDER_PINNED_PAGES_PER_GB: Final = "sender_pinned_pages_per_gb"
SENDER_RETRANSMITS_PER_GB: Final = "sender_retransmits_per_gb"
SENDER_CYCLES_PER_BYTE: Final = "sender_cycles_per_byte"
RECEIVER_CYCLES_PER_BYTE: Final = "receiver_cycles_per_byte"
SENDER_INSTRUCTIONS_PER_BYTE: Final = "sender_instructions_per_byte"
RECEIVER_INSTRUCTIONS_PER_BYTE: Final = "receiver_instructions_per_byte"
SENDER_MIGRATIONS_PER_GB: Final = "sender_migrations_per_gb"
RECEIVER_MIGRATIONS_PER_GB: Final = "receiver_migrations_per_gb"
RELAY_CYCLES_PER_BYTE: Final = "relay_cycles_per_byte"
RELAY_INSTRUCTIONS_PER_BYTE: Final = "relay_instructions_per_byte"
RELAY_MIGRATIONS_PER_GB: Final = "relay_migrations_per_gb"
SENDER_READ_BYTES_PER_GB: Final = "sender_read_bytes_per_gb"
TRANSFERS_PER_S: Final = "transfers_per_s"
SENDER_CPU_S_PER_TRANSFER: Final = "sender_cpu_s_per_transfer"
RECEIVER_CPU_S_PER_TRANSFER: Final = "receiver_cpu_s_per_transfer"
TOTAL_CPU_S_PER_TRANSFER: Final = "total_cpu_s_per_transfer"
SYSTEM_CPU_S_PER_TRANSFER: Final = "system_cpu_s_per_transfer"
SENDER_SYSCALLS_PER_TRANSFER: Final = "sender_syscalls_per_transfer"
RECEIVER_SYSCALLS_PER_TRANSFER: Final = "receiver_syscalls_per_transfer"
SENDER_SEGMENTS_PER_TRANSFER: Final = "sender_segments_per_transfer"

TICK_MINIMUM = 20  # fewer ticks than this are no figure: one more or less would change it by over 5 %


@dataclass(frozen=True, slots=True)
class Metric:
    """One reported number. *better* is lower, higher or none; *ticks* says that the numerator counts ticks of 10 ms."""

    key: str
    label: str
    unit: str
    better: Literal["lower", "higher", "none"]
    kind: Literal["windows", "sums"]
    numerator: str
    denominator: str
    definition: str
    ticks: bool = False
    missing: str = "no payload was moved"  # the reason where nothing was counted in the denominator
    uncounted: str | None = None  # the reason where the numerator is something that nobody counted


# Why a metric may be missing.
NO_TRANSFERS = "a stream has no transfers to count"
NO_SEGMENTS = "a stream, or fresh connections, or a server: TCP_INFO is read of zcload's own connections that stay"
NO_MACHINE_TRANSFERS = "a stream, or no machine ledger"
NO_MACHINE = "no machine ledger: lanes ran together, or no payload was moved"
NO_READS = "the kernel does not count what a process has the disk read"
NO_COMPLETIONS = "the mechanism gets no completions"
NO_REPORTS = "no sender reported what it sent: a server does not, nor does a run that was cut short or is of an older version"
NO_SAMPLES = "no sample was taken at rest, or no payload was moved"
NO_PERF = "perf did not count it here: see how it was measured"
NO_SERVER_CALLS = "nobody counts the system calls of a server or of an event loop"
NO_RELAY_PERF = "perf counted no relay here: see how it was measured"
NO_RELAY = "no relay is between sender and receiver"
NO_TLS_CALLS = "nobody counts the system calls of the TLS library"

METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(GOODPUT_BPS, "goodput", "bit/s", "higher", "windows", "bits", "elapsed_s",
               "payload bits the receivers took / (their last byte - gate opening)"),
        Metric(SENDER_CPU_S_PER_GB, "sender CPU", "s/GB", "lower", "windows", "sender_cpu_s", "gb",
               "CPU clocks of the sender processes / 10^9 bytes received"),
        Metric(RECEIVER_CPU_S_PER_GB, "receiver CPU", "s/GB", "lower", "windows", "receiver_cpu_s", "gb",
               "CPU clocks of the receiver processes / 10^9 bytes received"),
        Metric(TOTAL_CPU_S_PER_GB, "both ends' CPU", "s/GB", "lower", "windows", "total_cpu_s", "gb",
               "CPU clocks of senders, receivers and relays / 10^9 bytes received"),
        Metric(RELAY_CPU_S_PER_GB, "relay CPU", "s/GB", "lower", "windows", "relay_cpu_s", "relay_gb",
               "CPU clocks of the relay processes / 10^9 bytes received", missing=NO_RELAY),
        Metric(SYSTEM_CPU_S_PER_GB, "machine CPU", "s/GB", "lower", "sums", "machine_cpu_s", "machine_gb",
               "(CPUs x wall - idle - iowait, less the idle machine's) / 10^9 bytes received", missing=NO_MACHINE),
        Metric(SENDER_CPU_CORES, "sender cores", "cores", "none", "windows", "sender_cpu_s", "elapsed_s",
               "CPU clocks of the sender processes / (last byte - gate opening)"),
        Metric(RECEIVER_CPU_CORES, "receiver cores", "cores", "none", "windows", "receiver_cpu_s", "elapsed_s",
               "CPU clocks of the receiver processes / (last byte - gate opening)"),
        Metric(TOTAL_CPU_CORES, "both ends' cores", "cores", "none", "windows", "total_cpu_s", "elapsed_s",
               "CPU clocks of senders, receivers and relays / (last byte - gate opening)"),
        Metric(RELAY_CPU_CORES, "relay cores", "cores", "none", "windows", "relay_cpu_s", "relay_elapsed_s",
               "CPU clocks of the relay processes / (last byte - gate opening)", missing=NO_RELAY),
        Metric(SYSTEM_CPU_CORES, "machine cores", "cores", "none", "sums", "machine_cpu_s", "machine_elapsed_s",
               "(CPUs x wall - idle - iowait, less the idle machine's) / (last byte - gate opening)", missing=NO_MACHINE),
        Metric(SENDER_USER_S_PER_GB, "sender user CPU", "s/GB", "lower", "sums", "sender_user_s", "sampled_gb",
               "psutil cpu_times().user of the senders / 10^9 bytes; split by the tick", ticks=True, missing=NO_SAMPLES),
        Metric(SENDER_SYSTEM_S_PER_GB, "sender system CPU", "s/GB", "lower", "sums", "sender_system_s", "sampled_gb",
               "psutil cpu_times().system of the senders / 10^9 bytes; split by the tick", ticks=True, missing=NO_SAMPLES),
        Metric(RECEIVER_USER_S_PER_GB, "receiver user CPU", "s/GB", "lower", "sums", "receiver_user_s", "sampled_gb",
               "psutil cpu_times().user of the receivers / 10^9 bytes; split by the tick", ticks=True, missing=NO_SAMPLES),
        Metric(RECEIVER_SYSTEM_S_PER_GB, "receiver system CPU", "s/GB", "lower", "sums", "receiver_system_s", "sampled_gb",
               "psutil cpu_times().system of the receivers / 10^9 bytes; split by the tick", ticks=True, missing=NO_SAMPLES),
        Metric(RELAY_USER_S_PER_GB, "relay user CPU", "s/GB", "lower", "sums", "relay_user_s", "relay_sampled_gb",
               "psutil cpu_times().user of the relays / 10^9 bytes; split by the tick", ticks=True, missing=NO_RELAY),
        Metric(RELAY_SYSTEM_S_PER_GB, "relay system CPU", "s/GB", "lower", "sums", "relay_system_s", "relay_sampled_gb",
               "psutil cpu_times().system of the relays / 10^9 bytes; split by the tick", ticks=True, missing=NO_RELAY),
        Metric(SENDER_VOLUNTARY_SWITCHES_PER_GB, "sender voluntary switches", "1/GB", "none", "sums", "sender_voluntary", "sampled_gb",
               "voluntary context switches of all sender threads, less the gate's own / 10^9 bytes", missing=NO_SAMPLES),
        Metric(SENDER_INVOLUNTARY_SWITCHES_PER_GB, "sender involuntary switches", "1/GB", "none", "sums", "sender_involuntary",
               "sampled_gb",
               "involuntary context switches of all sender threads / 10^9 bytes", missing=NO_SAMPLES),
        Metric(RECEIVER_VOLUNTARY_SWITCHES_PER_GB, "receiver voluntary switches", "1/GB", "none", "sums", "receiver_voluntary",
               "sampled_gb",
               "voluntary context switches of all receiver threads, less the gate's own / 10^9 bytes", missing=NO_SAMPLES),
        Metric(RECEIVER_INVOLUNTARY_SWITCHES_PER_GB, "receiver involuntary switches", "1/GB", "none", "sums", "receiver_involuntary",
               "sampled_gb",
               "involuntary context switches of all receiver threads / 10^9 bytes", missing=NO_SAMPLES),
        Metric(RELAY_VOLUNTARY_SWITCHES_PER_GB, "relay voluntary switches", "1/GB", "none", "sums", "relay_voluntary", "relay_sampled_gb",
               "voluntary context switches of all relay threads, less the gate's own / 10^9 bytes", missing=NO_RELAY),
        Metric(RELAY_INVOLUNTARY_SWITCHES_PER_GB, "relay involuntary switches", "1/GB", "none", "sums", "relay_involuntary",
               "relay_sampled_gb",
               "involuntary context switches of all relay threads / 10^9 bytes", missing=NO_RELAY),
        Metric(SENDER_SYSCALLS_PER_GB, "sender system calls", "1/GB", "none", "sums", "sender_syscalls", "gb",
               "system calls counted in the senders' loop / 10^9 bytes", uncounted=NO_SERVER_CALLS),
        Metric(RECEIVER_SYSCALLS_PER_GB, "receiver system calls", "1/GB", "none", "sums", "receiver_syscalls", "gb",
               "system calls counted in the receivers' loop / 10^9 bytes", uncounted=NO_TLS_CALLS),
        Metric(RELAY_SYSCALLS_PER_GB, "relay system calls", "1/GB", "none", "sums", "relay_syscalls", "relay_gb",
               "system calls counted in the relays' loop / 10^9 bytes", missing=NO_RELAY),
        Metric(SENDER_MINOR_FAULTS_PER_GB, "sender minor faults", "1/GB", "none", "sums", "sender_minor_faults", "sampled_gb",
               "page faults of the senders served without a read / 10^9 bytes", missing=NO_SAMPLES),
        Metric(SENDER_MAJOR_FAULTS_PER_GB, "sender major faults", "1/GB", "none", "sums", "sender_major_faults", "sampled_gb",
               "page faults of the senders that waited for a read / 10^9 bytes", missing=NO_SAMPLES),
        Metric(RECEIVER_MINOR_FAULTS_PER_GB, "receiver minor faults", "1/GB", "none", "sums", "receiver_minor_faults", "sampled_gb",
               "page faults of the receivers served without a read / 10^9 bytes", missing=NO_SAMPLES),
        Metric(RECEIVER_MAJOR_FAULTS_PER_GB, "receiver major faults", "1/GB", "none", "sums", "receiver_major_faults", "sampled_gb",
               "page faults of the receivers that waited for a read / 10^9 bytes", missing=NO_SAMPLES),
        Metric(RELAY_MINOR_FAULTS_PER_GB, "relay minor faults", "1/GB", "none", "sums", "relay_minor_faults", "relay_sampled_gb",
               "page faults of the relays served without a read / 10^9 bytes", missing=NO_RELAY),
        Metric(SENDER_COMPLETIONS_PER_GB, "completions", "1/GB", "none", "sums", "completions", "completed_gb",
               "zero-copy sends that the kernel has completed / 10^9 bytes sent in all of a generation", missing=NO_COMPLETIONS),
        Metric(SENDER_PINNED_PAGES_PER_GB, "pages pinned", "1/GB", "none", "sums", "pinned_pages", "completed_gb",
               "pages of 4 KiB pinned for zero-copy sends / 10^9 bytes sent in all of a generation", missing=NO_COMPLETIONS),
        Metric(SENDER_RETRANSMITS_PER_GB, "retransmissions", "1/GB", "none", "sums", "retransmits", "reported_gb",
               "segments that TCP sent again / 10^9 bytes sent in all of a generation", missing=NO_REPORTS),
        Metric(SENDER_CYCLES_PER_BYTE, "sender cycles", "1/B", "lower", "sums", "sender_cycles", "sender_cycles_bytes",
               "CPU cycles of the senders, by perf, in a window of its own / bytes received", missing=NO_PERF),
        Metric(RECEIVER_CYCLES_PER_BYTE, "receiver cycles", "1/B", "lower", "sums", "receiver_cycles", "receiver_cycles_bytes",
               "CPU cycles of the receivers, by perf, in a window of its own / bytes received", missing=NO_PERF),
        Metric(SENDER_INSTRUCTIONS_PER_BYTE, "sender instructions", "1/B", "lower", "sums", "sender_instructions",
               "sender_instructions_bytes",
               "instructions of the senders, by perf, in a window of its own / bytes received", missing=NO_PERF),
        Metric(RECEIVER_INSTRUCTIONS_PER_BYTE, "receiver instructions", "1/B", "lower", "sums", "receiver_instructions",
               "receiver_instructions_bytes",
               "instructions of the receivers, by perf, in a window of its own / bytes received", missing=NO_PERF),
        Metric(SENDER_MIGRATIONS_PER_GB, "sender migrations", "1/GB", "none", "sums", "sender_migrations", "sender_migrations_gb",
               "moves of sender threads to another CPU, by perf, in a window of its own / 10^9 bytes received", missing=NO_PERF),
        Metric(RECEIVER_MIGRATIONS_PER_GB, "receiver migrations", "1/GB", "none", "sums", "receiver_migrations",
               "receiver_migrations_gb",
               "moves of receiver threads to another CPU, by perf, in a window of its own / 10^9 bytes received", missing=NO_PERF),
        Metric(RELAY_CYCLES_PER_BYTE, "relay cycles", "1/B", "lower", "sums", "relay_cycles", "relay_cycles_bytes",
               "CPU cycles of the relays, by perf, in a window of its own / bytes received", missing=NO_RELAY_PERF),
        Metric(RELAY_INSTRUCTIONS_PER_BYTE, "relay instructions", "1/B", "lower", "sums", "relay_instructions", "relay_instructions_bytes",
               "instructions of the relays, by perf, in a window of its own / bytes received", missing=NO_RELAY_PERF),
        Metric(RELAY_MIGRATIONS_PER_GB, "relay migrations", "1/GB", "none", "sums", "relay_migrations", "relay_migrations_gb",
               "moves of relay threads to another CPU, by perf, in a window of its own / 10^9 bytes received", missing=NO_RELAY_PERF),
        Metric(SENDER_READ_BYTES_PER_GB, "sender bytes read", "B/GB", "none", "sums", "sender_read_bytes", "read_gb",
               "bytes that the senders had the disk read, read-ahead included / 10^9 bytes", missing=NO_READS),
        Metric(TRANSFERS_PER_S, "transfers", "1/s", "higher", "windows", "transfers", "transfer_span_s",
               "transfers received / (their last byte, or the window's end where arrivals are scheduled - gate opening)",
               missing=NO_TRANSFERS),
        Metric(SENDER_CPU_S_PER_TRANSFER, "sender CPU", "s", "lower", "windows", "sender_cpu_s", "transfers",
               "CPU clocks of the sender processes / transfers", missing=NO_TRANSFERS),
        Metric(RECEIVER_CPU_S_PER_TRANSFER, "receiver CPU", "s", "lower", "windows", "receiver_cpu_s", "transfers",
               "CPU clocks of the receiver processes / transfers", missing=NO_TRANSFERS),
        Metric(TOTAL_CPU_S_PER_TRANSFER, "both ends' CPU", "s", "lower", "windows", "total_cpu_s", "transfers",
               "CPU clocks of senders and receivers / transfers", missing=NO_TRANSFERS),
        Metric(SYSTEM_CPU_S_PER_TRANSFER, "machine CPU", "s", "lower", "sums", "machine_cpu_s", "machine_transfers",
               "(CPUs x wall - idle - iowait, less the idle machine's) / transfers", missing=NO_MACHINE_TRANSFERS),
        Metric(SENDER_SYSCALLS_PER_TRANSFER, "sender system calls", "1", "none", "sums", "sender_syscalls", "transfers",
               "system calls counted in the senders' loop / transfers", missing=NO_TRANSFERS, uncounted=NO_SERVER_CALLS),
        Metric(RECEIVER_SYSCALLS_PER_TRANSFER, "receiver system calls", "1", "none", "sums", "receiver_syscalls", "transfers",
               "system calls counted in the receivers' loop / transfers", missing=NO_TRANSFERS, uncounted=NO_TLS_CALLS),
        Metric(SENDER_SEGMENTS_PER_TRANSFER, "sender segments", "1", "none", "sums", "segments", "reported_transfers",
               "TCP segments with data that the senders sent (TCP_INFO, data_segs_out) / transfers, of all of a generation",
               missing=NO_SEGMENTS),
    )
}  # fmt: skip

# The metrics of the first release, which every result has. Later ones are missing from older results.
FIRST_METRICS = (
    GOODPUT_BPS,
    SENDER_CPU_S_PER_GB,
    RECEIVER_CPU_S_PER_GB,
    TOTAL_CPU_S_PER_GB,
    SYSTEM_CPU_S_PER_GB,
    SENDER_CPU_CORES,
    RECEIVER_CPU_CORES,
    SENDER_USER_S_PER_GB,
    SENDER_SYSTEM_S_PER_GB,
    RECEIVER_USER_S_PER_GB,
    RECEIVER_SYSTEM_S_PER_GB,
    SENDER_VOLUNTARY_SWITCHES_PER_GB,
    SENDER_INVOLUNTARY_SWITCHES_PER_GB,
    RECEIVER_VOLUNTARY_SWITCHES_PER_GB,
    RECEIVER_INVOLUNTARY_SWITCHES_PER_GB,
    SENDER_SYSCALLS_PER_GB,
    RECEIVER_SYSCALLS_PER_GB,
    SENDER_MINOR_FAULTS_PER_GB,
    SENDER_MAJOR_FAULTS_PER_GB,
    SENDER_READ_BYTES_PER_GB,
)

# By role, where a figure of either side is asked for.
CPU_S_PER_GB = {"sender": SENDER_CPU_S_PER_GB, "receiver": RECEIVER_CPU_S_PER_GB, "relay": RELAY_CPU_S_PER_GB}
SYSCALLS_PER_GB = {"sender": SENDER_SYSCALLS_PER_GB, "receiver": RECEIVER_SYSCALLS_PER_GB, "relay": RELAY_SYSCALLS_PER_GB}
MINOR_FAULTS_PER_GB = {"sender": SENDER_MINOR_FAULTS_PER_GB, "receiver": RECEIVER_MINOR_FAULTS_PER_GB, "relay": RELAY_MINOR_FAULTS_PER_GB}
VOLUNTARY_SWITCHES_PER_GB = {
    "sender": SENDER_VOLUNTARY_SWITCHES_PER_GB,
    "receiver": RECEIVER_VOLUNTARY_SWITCHES_PER_GB,
    "relay": RELAY_VOLUNTARY_SWITCHES_PER_GB,
}
INVOLUNTARY_SWITCHES_PER_GB = {
    "sender": SENDER_INVOLUNTARY_SWITCHES_PER_GB,
    "receiver": RECEIVER_INVOLUNTARY_SWITCHES_PER_GB,
    "relay": RELAY_INVOLUNTARY_SWITCHES_PER_GB,
}
SYSCALLS_PER_TRANSFER = {"sender": SENDER_SYSCALLS_PER_TRANSFER, "receiver": RECEIVER_SYSCALLS_PER_TRANSFER}
CPU_S_PER_TRANSFER = {
    "sender": SENDER_CPU_S_PER_TRANSFER,
    "receiver": RECEIVER_CPU_S_PER_TRANSFER,
    "total": TOTAL_CPU_S_PER_TRANSFER,
    "system": SYSTEM_CPU_S_PER_TRANSFER,
}


def headline(irq_time_accounting: str | None, schedule: str, serves: bool = False, relays: bool = False, devices: bool = False) -> str:
    """Return the key of the headline metric: both ends' CPU, or the machine's where interrupts are not charged to the ends.

    That is where the kernel accounts interrupts apart from processes, and where the payload goes over *devices*, between machines: there
    receive work is done in interrupts and charged to whichever process they interrupt. Of a study that *serves*, the server's own CPU: the
    other end is zcload's receiver, which is not what one asks about. Of *relays* their own: both ends do the same in all lanes. Lanes that
    run together share the machine, so then there is no machine ledger to take.
    """
    if serves:
        return SENDER_CPU_S_PER_GB
    if (irq_time_accounting == "yes" or devices) and schedule != "together":
        return SYSTEM_CPU_S_PER_GB
    return RELAY_CPU_S_PER_GB if relays else TOTAL_CPU_S_PER_GB
