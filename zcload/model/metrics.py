"""Table of the metrics: each is a ratio of two counters, summed over a window or over a generation.

`windows`: paired and robust, from the exact clocks of each window. `sums`: ratios of sums over generations, for counts and for
counters of the scheduler's tick, where single windows hold too few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

GOODPUT_BPS: Final = "goodput_bps"
SENDER_CPU_S_PER_GB: Final = "sender_cpu_s_per_gb"
RECEIVER_CPU_S_PER_GB: Final = "receiver_cpu_s_per_gb"
TOTAL_CPU_S_PER_GB: Final = "total_cpu_s_per_gb"
SYSTEM_CPU_S_PER_GB: Final = "system_cpu_s_per_gb"
TOTAL_CPU_CORES: Final = "total_cpu_cores"

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
    perf: bool = False  # counted by perf events, where the host has them


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("goodput_bps", "goodput", "bit/s", "higher", "windows", "bits", "elapsed_s",
               "payload bits the receivers took / (their last byte - gate opening)"),
        Metric("sender_cpu_s_per_gb", "sender CPU", "s/GB", "lower", "windows", "sender_cpu_s", "gb",
               "CPU clocks of the sender processes / 10^9 bytes received"),
        Metric("receiver_cpu_s_per_gb", "receiver CPU", "s/GB", "lower", "windows", "receiver_cpu_s", "gb",
               "CPU clocks of the receiver processes / 10^9 bytes received"),
        Metric("total_cpu_s_per_gb", "both ends' CPU", "s/GB", "lower", "windows", "total_cpu_s", "gb",
               "CPU clocks of senders and receivers / 10^9 bytes received"),
        Metric("system_cpu_s_per_gb", "machine CPU", "s/GB", "lower", "sums", "machine_cpu_s", "machine_gb",
               "(CPUs x wall - idle - iowait, less the idle machine's) / 10^9 bytes received"),
        Metric("sender_cpu_cores", "sender cores", "cores", "none", "windows", "sender_cpu_s", "elapsed_s",
               "CPU clocks of the sender processes / (last byte - gate opening)"),
        Metric("receiver_cpu_cores", "receiver cores", "cores", "none", "windows", "receiver_cpu_s", "elapsed_s",
               "CPU clocks of the receiver processes / (last byte - gate opening)"),
        Metric("total_cpu_cores", "both ends' cores", "cores", "none", "windows", "total_cpu_s", "elapsed_s",
               "CPU clocks of senders and receivers / (last byte - gate opening)"),
        Metric("system_cpu_cores", "machine cores", "cores", "none", "sums", "machine_cpu_s", "machine_elapsed_s",
               "(CPUs x wall - idle - iowait, less the idle machine's) / (last byte - gate opening)"),
        Metric("sender_user_s_per_gb", "sender user CPU", "s/GB", "lower", "sums", "sender_user_s", "sampled_gb",
               "psutil cpu_times().user of the senders / 10^9 bytes; split by the tick", ticks=True),
        Metric("sender_system_s_per_gb", "sender system CPU", "s/GB", "lower", "sums", "sender_system_s", "sampled_gb",
               "psutil cpu_times().system of the senders / 10^9 bytes; split by the tick", ticks=True),
        Metric("receiver_user_s_per_gb", "receiver user CPU", "s/GB", "lower", "sums", "receiver_user_s", "sampled_gb",
               "psutil cpu_times().user of the receivers / 10^9 bytes; split by the tick", ticks=True),
        Metric("receiver_system_s_per_gb", "receiver system CPU", "s/GB", "lower", "sums", "receiver_system_s", "sampled_gb",
               "psutil cpu_times().system of the receivers / 10^9 bytes; split by the tick", ticks=True),
        Metric("sender_voluntary_switches_per_gb", "sender voluntary switches", "1/GB", "none", "sums", "sender_voluntary", "sampled_gb",
               "voluntary context switches of all sender threads, less the gate's own / 10^9 bytes"),
        Metric("sender_involuntary_switches_per_gb", "sender involuntary switches", "1/GB", "none", "sums", "sender_involuntary",
               "sampled_gb",
               "involuntary context switches of all sender threads / 10^9 bytes"),
        Metric("receiver_voluntary_switches_per_gb", "receiver voluntary switches", "1/GB", "none", "sums", "receiver_voluntary",
               "sampled_gb",
               "voluntary context switches of all receiver threads, less the gate's own / 10^9 bytes"),
        Metric("receiver_involuntary_switches_per_gb", "receiver involuntary switches", "1/GB", "none", "sums", "receiver_involuntary",
               "sampled_gb",
               "involuntary context switches of all receiver threads / 10^9 bytes"),
        Metric("sender_syscalls_per_gb", "sender system calls", "1/GB", "none", "sums", "sender_syscalls", "gb",
               "system calls counted in the senders' loop / 10^9 bytes"),
        Metric("receiver_syscalls_per_gb", "receiver system calls", "1/GB", "none", "sums", "receiver_syscalls", "gb",
               "system calls counted in the receivers' loop / 10^9 bytes"),
        Metric("sender_minor_faults_per_gb", "sender minor faults", "1/GB", "none", "sums", "sender_minor_faults", "sampled_gb",
               "page faults of the senders served without a read / 10^9 bytes"),
        Metric("sender_major_faults_per_gb", "sender major faults", "1/GB", "none", "sums", "sender_major_faults", "sampled_gb",
               "page faults of the senders that waited for a read / 10^9 bytes"),
        Metric("receiver_minor_faults_per_gb", "receiver minor faults", "1/GB", "none", "sums", "receiver_minor_faults", "sampled_gb",
               "page faults of the receivers served without a read / 10^9 bytes"),
        Metric("receiver_major_faults_per_gb", "receiver major faults", "1/GB", "none", "sums", "receiver_major_faults", "sampled_gb",
               "page faults of the receivers that waited for a read / 10^9 bytes"),
        Metric("sender_completions_per_gb", "completions", "1/GB", "none", "sums", "completions", "completed_gb",
               "zero-copy sends that the kernel has completed / 10^9 bytes sent in all of a generation"),
        Metric("sender_pinned_pages_per_gb", "pages pinned", "1/GB", "none", "sums", "pinned_pages", "completed_gb",
               "pages of 4 KiB pinned for zero-copy sends / 10^9 bytes sent in all of a generation"),
        Metric("sender_retransmits_per_gb", "retransmissions", "1/GB", "none", "sums", "retransmits", "reported_gb",
               "segments that TCP sent again / 10^9 bytes sent in all of a generation"),
        Metric("sender_cycles_per_byte", "sender cycles", "1/B", "lower", "sums", "sender_cycles", "sender_cycles_bytes",
               "CPU cycles of the senders, by perf, in a window of its own / bytes received", perf=True),
        Metric("receiver_cycles_per_byte", "receiver cycles", "1/B", "lower", "sums", "receiver_cycles", "receiver_cycles_bytes",
               "CPU cycles of the receivers, by perf, in a window of its own / bytes received", perf=True),
        Metric("sender_instructions_per_byte", "sender instructions", "1/B", "lower", "sums", "sender_instructions",
               "sender_instructions_bytes",
               "instructions of the senders, by perf, in a window of its own / bytes received", perf=True),
        Metric("receiver_instructions_per_byte", "receiver instructions", "1/B", "lower", "sums", "receiver_instructions",
               "receiver_instructions_bytes",
               "instructions of the receivers, by perf, in a window of its own / bytes received", perf=True),
        Metric("sender_migrations_per_gb", "sender migrations", "1/GB", "none", "sums", "sender_migrations", "sender_migrations_gb",
               "moves of sender threads to another CPU, by perf, in a window of its own / 10^9 bytes received", perf=True),
        Metric("receiver_migrations_per_gb", "receiver migrations", "1/GB", "none", "sums", "receiver_migrations",
               "receiver_migrations_gb",
               "moves of receiver threads to another CPU, by perf, in a window of its own / 10^9 bytes received", perf=True),
        Metric("sender_read_bytes_per_gb", "sender bytes read", "B/GB", "none", "sums", "sender_read_bytes", "read_gb",
               "bytes that the senders had the disk read, read-ahead included / 10^9 bytes"),
        Metric("transfers_per_s", "transfers", "1/s", "higher", "windows", "transfers", "transfer_span_s",
               "transfers received / (their last byte, or the window's end where arrivals are scheduled - gate opening)"),
        Metric("sender_cpu_s_per_transfer", "sender CPU", "s", "lower", "windows", "sender_cpu_s", "transfers",
               "CPU clocks of the sender processes / transfers"),
        Metric("receiver_cpu_s_per_transfer", "receiver CPU", "s", "lower", "windows", "receiver_cpu_s", "transfers",
               "CPU clocks of the receiver processes / transfers"),
        Metric("total_cpu_s_per_transfer", "both ends' CPU", "s", "lower", "windows", "total_cpu_s", "transfers",
               "CPU clocks of senders and receivers / transfers"),
        Metric("system_cpu_s_per_transfer", "machine CPU", "s", "lower", "sums", "machine_cpu_s", "machine_transfers",
               "(CPUs x wall - idle - iowait, less the idle machine's) / transfers"),
        Metric("sender_syscalls_per_transfer", "sender system calls", "1", "none", "sums", "sender_syscalls", "transfers",
               "system calls counted in the senders' loop / transfers"),
        Metric("receiver_syscalls_per_transfer", "receiver system calls", "1", "none", "sums", "receiver_syscalls", "transfers",
               "system calls counted in the receivers' loop / transfers"),
    )
}  # fmt: skip

TOTAL, MACHINE = "total_cpu_s_per_gb", "system_cpu_s_per_gb"


def headline(irq_time_accounting: str | None, schedule: str) -> str:
    """Return the key of the headline metric: both ends' CPU, or the machine's where the kernel accounts interrupts apart from processes.

    Lanes that run together share the machine, so then there is no machine ledger to take.
    """
    return MACHINE if irq_time_accounting == "yes" and schedule != "together" else TOTAL
