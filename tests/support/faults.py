"""Generated faults: every study, kind of process, phase and signal that there can be, as frozen records without a clock or a process."""

from __future__ import annotations

import random
import signal
import zlib
from dataclasses import dataclass

from support.paths import SUPPORT

STUDY = """
[study]
name = "faults"
baseline = "read_send"
variants = {variants}
best_chunk = false
schedule = "{schedule}"
[workload]
file_size = "{size}"
placement = "free"
{workload}
[stop]
max_time = "60s"
target = "0.01%"
replicates = {replicates}
min_generations = 2
window = "20ms"
"""
# Its first process waits for a child that serves, and takes one along that leaves its session, as daemons do.
SERVER = """
[[variant]]
name = "served"
kind = "server"
command = ["sh", "-c", 'setsid sleep 700 & "$0" "$@" & wait', "{{python}}", "{program}", "{{port}}", "{{root}}"]
grace = "300ms"
"""
# Two hosts that are this machine: the fork server starts their agents without a scheduler.
HOSTS = """
[cluster]
scheduler = "tcp://127.0.0.1:1"
control = "127.0.0.1"
senders = ["a"]
receivers = ["b"]
"""
# Loads that leave the machine idle most of the time, so that many runs fit side by side.
PACED = 'rate = "20MB/s"\nchunk = "64KiB"'
FILES = 'transfer = "per-file"\ntransfer_size = "16KiB"\narrivals = "poisson"\ntransfer_rate = "300/s"\nconnection = "{connection}"'


@dataclass(frozen=True)
class Kind:
    """A kind of study: its *workload*, how many processes measure it, and which roles of processes it has beside the usual ones."""

    workload: str
    replicates: int = 2
    schedule: str = "alternate"
    more: tuple[str, ...] = ()
    variants: str = '["read_send", "sendfile"]'

    @property
    def serves(self):
        return "server" in self.more

    @property
    def on_hosts(self):
        return "agent" in self.more


KINDS = {
    "paced": Kind(PACED),
    "in-process": Kind(PACED, replicates=1),
    "together": Kind(PACED, schedule="together"),
    "two-senders": Kind(PACED + "\nsenders = 2\nreceivers = 2"),
    "fresh": Kind(FILES.format(connection="fresh")),
    "persistent": Kind(FILES.format(connection="persistent"), replicates=1),
    "veth": Kind(PACED + '\nnetwork = "veth"', more=("keeper",)),
    "served": Kind(PACED, more=("server", "child", "supervisor", "janitor", "tracer"), variants='["read_send"]'),
    "served-in-process": Kind(PACED, replicates=1, more=("server", "child", "supervisor", "janitor"), variants='["read_send"]'),
    "hosts": Kind(PACED, replicates=1, more=("agent",)),
}
MAKING = ("run", "replicate", "maker", "group", "everything")
MEASURING = ("calibrating", "window", "between")
# Phases of the run's own process before there is any other, in seconds after its start, which are the same in all kinds of study;
# "making", "evaluating" and "writing" are stretched.
EARLY = ("0.02s", "0.1s", "0.3s", "0.6s")
EARLY_IN = "paced"
LATE = ("evaluating", "writing")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGSTOP)
DEADLY = (signal.SIGKILL, signal.SIGSEGV)


@dataclass(frozen=True)
class Fault:
    """*signum* to a process of *role* in *phase* of a study of *kind*; "group": the run's own process group, "everything": all."""

    kind: str
    role: str
    phase: str
    signum: signal.Signals

    def __str__(self):
        return f"{self.kind}-{self.role}-{self.phase}-{self.signum.name}"

    @property
    def early(self):
        """Whether it comes in the first moments of the command, when nothing of zcload may have been imported."""
        return self.phase[0].isdigit()

    @property
    def own(self):
        """Whether it meets the run's own process."""
        return self.role in ("run", "group", "everything")

    @property
    def deadly(self):
        """Whether a process is killed that the run cannot do without: a lane, or the run, must say so."""
        return self.signum in DEADLY and not self.own and self.role not in ("janitor", "tracer")

    @property
    def seed(self):
        """A number of this fault's own, for moments that are chosen at random."""
        return zlib.crc32(str(self).encode())


def config_of(fault):
    """Return the config of a study that stays in the phase of *fault* for long."""
    kind = KINDS[fault.kind]
    size = "48MiB" if fault.phase == "making" else "1MiB" if kind.serves else "4MiB"
    text = STUDY.format(variants=kind.variants, schedule=kind.schedule, size=size, workload=kind.workload, replicates=kind.replicates)
    text += HOSTS * kind.on_hosts
    return text + SERVER.format(program=SUPPORT / "range_server.py") * kind.serves


def _phases(name, role):
    """Return the phases of a study of the kind *name* in which there is a process of *role*."""
    if role == "tracer":
        return ("tracing",)
    if role == "maker":
        return ("making",)
    phases = ("joining", "making", *MEASURING) if role == "agent" else MEASURING
    if role in MAKING:
        phases = ("making", *phases)
    if role in ("run", "group", "everything"):
        phases = (*(EARLY if name == EARLY_IN else ()), *phases, *LATE)
    return phases


def groups():
    """Return all faults, those of one kind, role and phase together: they differ in the signal."""
    found = {}
    for name, kind in KINDS.items():
        usual = ("run", *(("replicate",) if kind.replicates > 1 else ()), "maker", "sender", "receiver", "group", "everything")
        for role in (*usual, *kind.more):
            if role == "sender" and kind.serves:
                continue  # of the baseline only, which "paced" has too
            if role == "maker" and kind.on_hosts:
                continue  # the agent's own, below it: what is killed with the agent is tried there
            for phase in _phases(name, role):
                found[f"{name}-{role}-{phase}"] = [Fault(name, role, phase, signum) for signum in SIGNALS]
    return found


def sample(count):
    """Return *count* faults, the same ones each time: of each role in each phase one at least, but none of the stops of ten seconds."""
    faults = [fault for each in groups().values() for fault in each if fault.signum != signal.SIGSTOP]
    random.Random(count).shuffle(faults)
    first = {(fault.role, fault.phase): fault for fault in reversed(faults)}.values()
    return [*first, *(fault for fault in faults if fault not in first)][:count]
