"""Table of the cautions: for each code its level, its message, its remedy and what it means for a result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Literal

from zcload.model.checks import CHECKS

if TYPE_CHECKING:
    from zcload.model.records.values import CautionRecord

CautionLevel = Literal["note", "caution", "problem"]
WORST_FIRST: tuple[CautionLevel, ...] = ("problem", "caution", "note")


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that spoils or limits a result, as it is stored and shown."""

    code: str
    message: str
    remedy: str = ""

    def as_dict(self) -> CautionRecord:
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class CautionKind:
    """One line of the table. *message* and *remedy* are templates of str.format; *meaning* is Markdown for docs/metrics.md.

    *level*: problem: do not use the figures that it names; caution: they are off or less sure; note: they are right, within limits.
    """

    level: CautionLevel
    message: str
    remedy: str
    meaning: str

    def fields(self) -> set[str]:
        """Return the names that the templates need."""
        return {name for text in (self.message, self.remedy) for _, name, _, _ in Formatter().parse(text) if name}


# A code with a second message has a line for each, "code:case".
_OWN: dict[str, CautionKind] = {
    "partial": CautionKind(
        "caution",
        "this result is partial: {reason}",
        "zcload run --resume RESULT_DIR measures the rest",
        "the run was interrupted, failed or killed before its end; what was measured stands",
    ),
    "aa_differs": CautionKind(
        "caution",
        "A/A: {variant} against {baseline} gives {estimate:.3f} ({low:.3f}..{high:.3f})",
        "1 in 20 such intervals misses 1.0 by chance; if it happens again, run zcload doctor",
        "the interval of the baseline against itself does not contain 1, so differences of that size mean nothing",
    ),
    "outlying": CautionKind(
        "note",
        "{variant}: {far} of {of} measured ratios lie far from the others and hardly count: {values} against {estimate:.2f}",
        "zcload report --full shows what each replicate said; zcload doctor names what makes a machine change its state",
        "some replicates (or generations) of a comparison lie more than five robust standard deviations from the others. The estimate is a "
        "trimmed mean, so they hardly move it; but the machine has a state in which the answer is another",
    ),
    "contaminated": CautionKind(
        "caution",
        "{blocks} ({percent:.0f} %) had foreign CPU time or steal above 5 % and had to be kept",
        "stop what else runs on this machine; the estimates with and without these blocks are both in summary.json",
        "blocks with foreign CPU time or steal above 5 % were kept, because a quarter had been repeated already. "
        "`ratio` contains the kept blocks, `with_contaminated` the repeated ones too",
    ),
    "loaded": CautionKind(
        "problem",
        "measured while other work used {cores:.1f} of {cpus} CPUs: do not quote these figures",
        "stop the other work (zcload doctor lists it) and run it again",
        "other work used more than 10 % of the machine's CPUs, on average over the blocks that count. Verdicts stay only where the blocks "
        "without it alone say the same",
    ),
    "clocks_disagree": CautionKind(
        "problem",
        "{lane}: psutil gives the {role}s {ticked:.2f} s of CPU, the exact clocks {exact:.2f} s",
        "do not use either figure before you know the cause",
        "psutil's CPU times and the exact clocks differ by more than ticks explain (2 %, and 20 ms for each process and generation)",
    ),
    "copied": CautionKind(
        "problem",
        "{variant}: the kernel copied 100 % after all: not a zero-copy result",
        "use a network path that allows it: loopback and veth do not (docs/mechanisms.md)",
        "the kernel reports 100 % of the zero-copy sends as copied, or zcload sent all bytes as plain copies: not a zero-copy result",
    ),
    "copied:unpinned": CautionKind(
        "problem",
        "{variant}: {reason}: not a zero-copy result",
        "raise RLIMIT_MEMLOCK (ulimit -l) and net.core.optmem_max",
        "",
    ),
    "not_quiet": CautionKind(
        "caution",
        "{who} used {percent:.1f} % of a core on a measured host while gates were open",
        "give it a CPU that no worker has, or start the engine with the settings of docs/cluster.md",
        "on one host of several, the agent or the engine used more than 1 % of a core in windows",
    ),
    "engine_not_quiet": CautionKind(
        "caution",
        "the cluster's engine, {engine}, uses the CPUs of the measured hosts: {reasons}",
        "start its scheduler and workers with the settings of docs/cluster.md",
        "the engine's processes wake up on the measured hosts more often than they need to; what they used is in the ledger of each host",
    ),
    "fallback": CautionKind(
        "caution",
        "{variant}: {percent:.1f} % of the bytes were sent as plain copies: no more memory could be pinned for them",
        "raise RLIMIT_MEMLOCK (ulimit -l) and net.core.optmem_max",
        "more than 1 % of a variant's bytes were sent as plain copies, because no more memory could be pinned: "
        "the figures describe a mixture",
    ),
    "retransmits": CautionKind(
        "caution",
        "{variant}: {percent:.1f} % of the segments were sent again, {per_gb:.0f} per GB: receive buffers overflowed",
        'use larger buffers (socket_buffer = "4MiB") or a smaller chunk',
        "more than 1 % of the segments were sent again. On one machine only overflowing receive buffers lose data, "
        "and those of MSG_ZEROCOPY senders overflow early",
    ),
    "estimators_disagree": CautionKind(
        "caution",
        "{variant}: the paired estimate is {paired:.3f}, the ratio of sums {sums:.3f}",
        "a few windows cost far more than the rest; look at them in windows.jsonl",
        "the paired estimate and the ratio of sums lie outside each other's intervals",
    ),
    "few_chunks": CautionKind(
        "caution",
        "a window of {window_s:g} s holds fewer than {least} chunks, or {each} of a sender: the rate cannot be kept exactly",
        "use windows of {needed_s:g} s (stop.window), a smaller chunk, or a smaller file for a server that ignores ranges",
        "at a rate, windows hold fewer than 200 chunks, or 20 of a sender, because `stop.window` or a cold cache makes them short",
    ),
    "few_huge_pages": CautionKind(
        "caution",
        "only {percent:.0f} % of the file of {size} lies in huge pages",
        "join free memory as root: echo 1 > /proc/sys/vm/compact_memory; before Linux 6.1 use a file of yours on a disk (workload.file)",
        "memory was too scattered for huge pages, or the kernel cannot give a file in memory any. The rest of the file lies in pages of "
        "4 KiB, which [differ from run to run](performance.md#where-the-files-pages-lie)",
    ),
    "few_generations": CautionKind(
        "caution",
        "only {measured} measured",
        "give it more time (--max-time)",
        "the intervals are over fewer than 6 replicates (generations of a run in one process), too few to know how much they differ",
    ),
    "own_cost": CautionKind(
        "caution",
        "{variant}: zcload's own code takes {s_per_gb:.3f} s/GB of it, which shifts it by {points:.1f} points against {baseline}: "
        "{ns_per_call:.0f} ns a call",
        "compare at larger chunks, where there are fewer calls",
        "zcload's own code, above all its io_uring binding, shifts the comparison by more than the margin: "
        "one of the two pays for it on every call and the other does not",
    ),
    "own_cost_unknown": CautionKind(
        "caution",
        "zcload's own cost could not be measured: {reason}",
        "run it again: no figure is corrected for that cost, but nothing says how large it is",
        "the lane that measures what zcload's own loop costs failed during calibration; the figures of the variants stand",
    ),
    "observer_cost": CautionKind(
        "caution",
        "the coordinator used {percent:.1f} % of the lanes' CPU time",
        "use longer windows (stop.window)",
        "the coordinator used more than 1 % of the lanes' CPU time inside windows",
    ),
    "point_failed": CautionKind(
        "problem",
        "{reason}; the other points were measured",
        "remove the cause and run it again",
        "the baseline of a point failed, so the point could not be measured, or not to its end",
    ),
    "rate_missed": CautionKind(
        "note",
        "{reason}",
        "compare at rates that all lanes reach; at the others, goodput shows what each can do",
        "a lane stayed more than 2 % below the rate that was asked for, with its whole interval. This is a finding, not an error. "
        "Its CPU is not compared with that of lanes that moved more",
    ),
    "rate_unequal": CautionKind(
        "caution",
        "{lanes}: more than 2 % apart",
        "use longer windows (stop.window), more time, or a quieter machine",
        "lanes are more than 2 % off the rate or apart from each other, and zcload cannot tell whether they could reach it",
    ),
    "receiver_bound": CautionKind(
        "caution",
        "{variant}: the receiver's CPU is the bottleneck, so its goodput describes the receiver",
        'compare CPU per GB, use more receivers, or discard what arrives (sink = "discard")',
        "the receivers' CPU is the bottleneck, so the goodput is theirs and not the mechanism's",
    ),
    "resumed": CautionKind(
        "note",
        "this run was resumed: {times}",
        "if the host changed in between, repeat it: zcload run RESULT_DIR",
        "the run was interrupted, or finished, and resumed: what changed on the host in between is in its figures",
    ),
    "one_cpu": CautionKind(
        "note",
        "this process may use one CPU: senders and receivers share it",
        'allow two CPUs (taskset, the cpuset of the container) for goodput and for placement = "spread"',
        "senders and receivers share the only CPU: CPU per GB can be compared, goodput is that of one CPU for both ends",
    ),
    "small_file": CautionKind(
        "caution",
        "a file of {size} is under 4 times the last-level cache ({cache}): part of it is sent from the cache",
        'use file_size = "{mebibytes}MiB" or more, unless you ask about the cached case',
        "the file is under 4 times the last-level cache: part of it is sent from the cache, which costs less than memory",
    ),
    "arrivals_missed": CautionKind(
        "caution",
        "{variant}: {served:.0f} small files a second were served, {asked:g} were asked for",
        "lower transfer_rate: now the latencies are those of a queue that grows until the window ends",
        "the lane served under 98 % of the small files that were due in a second: its latencies grow with the window",
    ),
    "throttled": CautionKind(
        "problem",
        "the CPU quota stopped this run in {throttled} of {periods} periods while it measured",
        "lift cpu.max (or cpu.cfs_quota_us) of the control group",
        "the control group's CPU quota was used up while windows were open: goodput and latency are those of the quota. "
        "Looked at before the first window and after the last",
    ),
    "strangers": CautionKind(
        "note",
        "{count} connections without the run's secret were refused",
        "another program connects to this port: use another, or port = 0",
        "connections without the run's secret came to its port and were refused",
    ),
    "machine_ledger": CautionKind(
        "problem",
        "{variant}: the machine's CPU ({machine:.3f} s/GB) is below both ends' ({ends:.3f}): something else ran at rest",
        "stop what else runs and repeat; do not use this run's figures of the machine",
        "the machine's CPU per GB is below both ends': something else ran while the lanes were parked, so too much was subtracted",
    ),
    "machine_ledger:negative": CautionKind(
        "problem",
        "{variant}: no figure of the machine's CPU, it would not be above 0: something else ran at rest",
        "stop what else runs and repeat",
        "",
    ),
    "target_missed": CautionKind(
        "caution",
        "the interval of {variant} is still +-{half_width:.1f} points wide at the time limit",
        "give it more time (--max-time), or a quieter machine (zcload doctor)",
        "the time limit came before the target half-width; the message names the widest interval",
    ),
    "cold_not_cold": CautionKind(
        "caution",
        "{lane}: {warm:.0f} of {windows:.0f} windows were not cold",
        "use a larger file or shorter windows (stop.window), and see that no other program reads the file or maps it",
        "at the start of windows that should have had a cold cache, more than 5 % of the file, or of what they sent, was in it; "
        "they are counted all the same. [What makes them warm](workload.md#cold)",
    ),
    "not_resident": CautionKind(
        "caution",
        "only {percent:.1f} % of the file's {size} stay in the page cache: not warm",
        'use more memory or a smaller file; if it never fits, ask about cache = "cold"',
        "less than 99.9 % of the file is in the page cache after it was read: not warm",
    ),
    "warm_read": CautionKind(
        "caution",
        "{lane}: {percent:.1f} % of the bytes sent were read from the disk: not warm throughout",
        'use a file in memory (dir = "auto"), a smaller one, or more free memory',
        "more than 0.1 % of the bytes sent came from the disk in windows that should have found the file in the page cache",
    ),
    "cache_unverified": CautionKind(
        "caution",
        "the kernel does not say whether the file is in the page cache: {state} is not verified",
        "send a file that you own or may write to, on Linux 6.5 or newer",
        "the kernel does not say what is cached of a file that you neither own nor may write to, or is too old to ask",
    ),
    "host_cache": CautionKind(
        "note",
        "this is a virtual machine ({machine}): a file that is cold here may be warm in the hypervisor's cache",
        "do not quote times and goodput of cold reads for other machines; CPU per GB holds",
        "in a virtual machine a cold file may be warm in the hypervisor's cache",
    ),
    "server_ledger": CautionKind(
        "problem",
        "the processes of {variant} used {clocks_s:.3f} s of CPU time by their own clocks and {group_s:.3f} s by their control group's",
        "do not use its CPU figures: some of its processes end unseen or leave the group",
        "the clocks of a server's processes and the `cpu.stat` of their control group differ by more than 2 %",
    ),
    "server_restless": CautionKind(
        "caution",
        "{variant} was still at work {loose} of {rests} times when nothing moved any more",
        "switch off what it does beside serving: that work is in its figures",
        "at more than 5 % of the rests a server was still at work after 100 ms without a byte: "
        "see [rest of a server](servers.md#how-a-server-is-measured)",
    ),
    "server_end": CautionKind(
        "note",
        "{variant}: {reason}",
        "set stop_signal and grace (docs/servers.md)",
        "a server did not end when asked and was killed, or left processes that could not be killed. "
        "See `stop_signal` and `grace` in [servers](servers.md#keys)",
    ),
    "veth_settings": CautionKind(
        "caution",
        "the veth pair's namespaces have other settings than this host: {settings}",
        "run as root, or set the host's to the kernel's defaults: else loopback and veth differ in more than the device",
        "settings of the veth pair's namespaces could not be made those of the host: see [veth](workload.md#veth)",
    ),
    "windows_disagree": CautionKind(
        "problem",
        "windows of {window_s:g} s give another ratio for {variants}",
        "set stop.window to the longer windows and look for what the short ones miss",
        "windows of 2 s give another ratio than the short ones (`--check-windows`)",
    ),
    "congestion": CautionKind(
        "caution",
        "neither cubic nor reno may be set: the system's {system} is used, and one that paces, such as bbr, costs CPU",
        "sysctl -w net.ipv4.tcp_allowed_congestion_control='reno cubic'",
        "all lanes use the system's congestion control: neither cubic nor reno may be set, or a server is measured. "
        "One that paces, such as bbr, costs CPU in every lane",
    ),
    "congestion:servers": CautionKind(
        "caution",
        "beside a server all lanes use the system's congestion control, and {system} may pace, which costs CPU",
        "sysctl -w net.ipv4.tcp_congestion_control=cubic, unless {system} is what you run",
        "",
    ),
}

CAUTIONS: dict[str, CautionKind] = _OWN | {
    code: CautionKind("caution", f"{check.title}: {{found}}; {check.spoils}", check.remedy, f"{check.looks_at}: {check.spoils}")
    for code, check in CHECKS.items()
    if check.in_result
}


def caution(code: str, where: str = "", /, **fields: object) -> Caution:
    """Return the caution *code* of the table with its *fields* filled in; *where* names the point, in front of the message."""
    kind = CAUTIONS[code]
    return Caution(code.partition(":")[0], where + kind.message.format(**fields), kind.remedy.format(**fields))


def documented() -> Iterator[tuple[str, CautionKind]]:
    """Yield every code once, with the line of the table that says what it means."""
    return ((code, kind) for code, kind in CAUTIONS.items() if ":" not in code)


def level_of(code: str) -> CautionLevel:
    """Return how bad the caution *code* is; a code of another version is a caution."""
    return CAUTIONS[code].level if code in CAUTIONS else "caution"
