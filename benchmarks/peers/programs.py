"""The programs that zcload is compared with: what each is started with, and how much it says it moved.

Each sends from memory or a file to a receiver of its own over loopback, for whole seconds. Senders run on CPU 0, receivers on CPU 1. CPU
time is what the kernel counted of the two processes when they ended (wait4(2)), their start and end included.

    iperf3   -Z: sendfile(2) of a file of one chunk, again and again; -F: read(2) of a file, then write(2), once through the file
    netperf  TCP_SENDFILE: sendfile(2) of as many chunks of a file as its ring has (-W), again and again, the last chunk first
    neper    tcp_stream: write(2) of one buffer, again and again; -Z: the same with MSG_ZEROCOPY
"""

from __future__ import annotations

import csv
import json
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SENDER_CPU, RECEIVER_CPU = 0, 1
LISTENS_WITHIN_S = 30.0  # a busy machine may start a program late
OFFSETS = 2 << 30  # of 32 bits: beyond this netperf 2.7 sends from a negative offset, which fails (seen with strace)
CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


@dataclass(frozen=True)
class Run:
    """What one run gave: payload bits per second, and CPU seconds per GB of each end."""

    goodput_bps: float
    sender: float
    receiver: float


@dataclass(frozen=True)
class Load:
    """What is asked of a program: its own *mode*, sizes in bytes, *path* of the file; *discard*: receive without a copy."""

    mode: str
    chunk: int
    senders: int
    seconds: int
    socket_buffer: int
    path: str
    file_size: int
    discard: bool = False


@dataclass(frozen=True)
class Moved:
    """What a program says it moved: *received* bytes, and payload bits per second."""

    received: float
    goodput_bps: float


class Program(Protocol):
    """One peer: `commands` start its receiver and its sender, `moved` reads what they printed."""

    @property
    def name(self) -> str: ...

    @property
    def ends(self) -> bool:
        """Whether the receiver ends after one transfer."""

    @property
    def buffers(self) -> bool:
        """Whether it sets the sizes of socket buffers."""

    @property
    def congestion(self) -> str:
        """The congestion control of its sender."""

    def version(self) -> str:
        """Return its name and version, as it prints them."""

    def check(self, load: Load) -> str | None:
        """Return why this program cannot do *load* here and what to type; None if it can."""

    def commands(self, load: Load, ports: tuple[int | str, int | str], log: str) -> tuple[list[str], list[str]]:
        """Return the words of receiver and sender; *log* is a file that the receiver may write to."""

    def moved(self, sender: str, receiver: str, log: str) -> Moved:
        """Return what was moved, by what both printed and what is in *log*; raises ValueError, LookupError, OSError if they do not say."""


def _missing(program: str, option: str, package: str) -> str | None:
    """Return the remedy where there is no *program*."""
    if shutil.which(program) is not None:
        return None
    return f"{program!r} is not on PATH; install it ({package}) or name it: {option} PROGRAM"


def _printed(program: str, option: str, name: str) -> str:
    """Return the first words that *program* prints about its version; *name* if it prints none."""
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    first = (done.stdout or done.stderr).partition("\n")[0].partition(" (")[0]
    return first if first.lower().startswith(name[:5]) else name


@dataclass(frozen=True)
class Iperf3:
    """iperf3, whose server serves one client with -1."""

    program: str
    name = "iperf3"
    ends = buffers = True
    congestion = "cubic"

    def version(self) -> str:
        return _printed(self.program, "--version", self.name)

    def check(self, load: Load) -> str | None:
        if missing := _missing(self.program, "--iperf3", "Debian, Ubuntu: apt install iperf3"):
            return missing
        usage = subprocess.run([self.program, "--help"], capture_output=True, text=True)
        if load.discard and "--skip-rx-copy" not in usage.stdout + usage.stderr:
            return f"this {self.program} has no --skip-rx-copy (iperf 3.19 has); name a newer one: --iperf3 PROGRAM"
        return None

    def commands(self, load: Load, ports: tuple[int | str, int | str], log: str) -> tuple[list[str], list[str]]:
        server = [self.program, "-s", "-1", "-B", "127.0.0.1", "-p", str(ports[0])]
        client = [self.program, "-c", "127.0.0.1", "-p", str(ports[0]), "-t", str(load.seconds), "-J", "-l", str(load.chunk)]
        client += ["-P", str(load.senders), "-w", str(load.socket_buffer), "-C", "cubic"]
        client += [load.path if word == "FILE" else word for word in load.mode.split()]
        return server, client + (["--skip-rx-copy"] if load.discard else [])

    def moved(self, sender: str, receiver: str, log: str) -> Moved:
        report = json.loads(sender)
        if "error" in report:
            raise ValueError(report["error"])
        received = report["end"]["sum_received"]
        if not received["bytes"]:
            raise ValueError("it moved nothing: iperf3 -F ends with the file, so give a larger --file-size")
        return Moved(received["bytes"], received["bits_per_second"])


@dataclass(frozen=True)
class Netperf:
    """netperf's TCP_SENDFILE; netserver is the program beside it."""

    program: str
    name = "netperf"
    ends, buffers = False, True

    @property
    def congestion(self) -> str:
        return CONGESTION.read_text().strip()  # it has no option for TCP_SENDFILE

    def version(self) -> str:
        return _printed(self.program, "-V", self.name)

    @property
    def server(self) -> str:
        return str(Path(shutil.which(self.program) or self.program).with_name("netserver"))

    def check(self, load: Load) -> str | None:
        package = "Debian: apt install netperf, in non-free"
        if missing := _missing(self.program, "--netperf", package) or _missing(self.server, "--netperf", package):
            return missing
        if load.discard:
            return "netperf cannot drop bytes unread; leave out its cases, or --sink discard"
        return "netperf is run with one sender only: --senders 1" if load.senders > 1 else None

    def commands(self, load: Load, ports: tuple[int | str, int | str], log: str) -> tuple[list[str], list[str]]:
        ring = min(load.file_size, OFFSETS) // load.chunk if load.mode == "whole file" else 1
        server = [self.server, "-D", "-f", "-L", "127.0.0.1", "-p", str(ports[0])]
        client = [self.program, "-H", "127.0.0.1", "-p", str(ports[0]), "-t", "TCP_SENDFILE", "-F", load.path, "-l", str(load.seconds)]
        client += ["-P", "0", "-v", "2", "-W", f"{ring},1", "--", "-m", str(load.chunk), "-M", f",{load.chunk}"]
        return server, [*client, "-s", str(load.socket_buffer), "-S", str(load.socket_buffer)]

    def moved(self, sender: str, receiver: str, log: str) -> Moved:
        lines = [line.split() for line in sender.splitlines() if line.strip()]
        summary = next(line for line in lines if len(line) == 5 and line[0].isdigit())  # buffers, message, seconds, 10^6 bit/s
        detail = next(line for line in lines if len(line) == 9 and line[0].isdigit())  # ..., bytes a receive, receives
        return Moved(float(detail[7]) * float(detail[8]), float(summary[4]) * 1e6)


@dataclass(frozen=True)
class Neper:
    """neper's tcp_stream, which leaves socket buffers to the kernel."""

    program: str
    name = "neper"
    ends, buffers = True, False
    congestion = "cubic"

    def version(self) -> str:
        return self.name  # it has no option that prints one

    def check(self, load: Load) -> str | None:
        return _missing(self.program, "--neper", "build it: github.com/google/neper")

    def commands(self, load: Load, ports: tuple[int | str, int | str], log: str) -> tuple[list[str], list[str]]:
        both = [self.program, "--nolog", "-C", str(ports[0]), "-P", str(ports[1]), "-F", str(load.senders), "-B", str(load.chunk)]
        server = [*both, "-A" + log, *(["--skip-rx-copy"] if load.discard else [])]
        client = [*both, "-c", "-H", "127.0.0.1", "-l", str(load.seconds), "--congestion-control", "cubic"]
        return server, client + (["-Z"] if load.mode == "-Z" else [])

    def moved(self, sender: str, receiver: str, log: str) -> Moved:
        throughput = dict(line.split("=", 1) for line in receiver.splitlines() if "=" in line)["local_throughput"]
        with open(log, newline="") as samples:
            flows = {(row["tid"], row["flow_id"]): float(row["bytes_read"]) for row in csv.DictReader(samples)}
        return Moved(sum(flows.values()), float(throughput))


def run(program: Program, load: Load) -> Run:
    """Run *program* once; exits with its message if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        log, said = str(Path(folder) / "log"), Path(folder) / "receiver"
        ports = _free_ports()
        server_words, client_words = pinned(program.commands(load, ports, log))
        with said.open("w") as out:
            server = subprocess.Popen(server_words, stdout=out)
        try:
            _wait_for_listener(program, ports[0])
            client = subprocess.Popen(client_words, stdout=subprocess.PIPE, text=True)
            assert client.stdout is not None
            printed = client.stdout.read()
            sender_s = _cpu_s(client)
            if not program.ends:
                server.send_signal(signal.SIGTERM)
            receiver_s = _cpu_s(server)
        finally:
            if server.returncode is None:
                server.kill()
                server.wait()
        try:
            moved = program.moved(printed, said.read_text(), log)
        except (ValueError, LookupError, StopIteration, OSError) as error:
            sys.exit(f"{shlex.join(client_words)} failed: {error!r}, it printed:\n{printed}")
    gb = moved.received / 1e9
    return Run(moved.goodput_bps, sender_s / gb, receiver_s / gb)


def pinned(commands: tuple[Sequence[str], Sequence[str]]) -> tuple[list[str], list[str]]:
    """Return the *commands* of receiver and sender, each on its CPU."""
    server, client = commands
    return ["taskset", "-c", str(RECEIVER_CPU), *server], ["taskset", "-c", str(SENDER_CPU), *client]


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait_for_listener(program: Program, port: int) -> None:
    """Wait until something listens on *port*, without connecting: `iperf3 -1` serves one connection only."""
    wanted = f":{port:04X}"
    deadline = time.monotonic() + LISTENS_WITHIN_S
    while not any(
        words[1].endswith(wanted) and words[3] == "0A"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for words in map(str.split, Path(table).read_text().splitlines()[1:])
    ):
        if time.monotonic() > deadline:
            sys.exit(f"the receiver of {program.name} did not listen on port {port} within {LISTENS_WITHIN_S:g} s")
        time.sleep(0.01)


def _cpu_s(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> float:
    """Reap *process* and return its CPU time in seconds."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_utime + usage.ru_stime
