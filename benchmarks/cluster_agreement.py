"""Does a study say the same on several hosts as on one machine? Measure it over veth and through the cluster, in turn, on one machine.

Two network namespaces joined by a veth pair stand for two hosts, with a Dask worker in each. The same pair is what `network = "veth"` makes
on one machine. Each worker has half of the CPUs, so that sender and receiver never share one, as on one machine. Needs root and ip(8):

    python benchmarks/cluster_agreement.py --into agreement --rounds 1 --time 30s

Runs are kept in the folder: another call adds to them, and the table at the end is of all.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from series import Kept, both_ends, half_width, keep, kept

from zcload.cluster.keys import CA, CERTIFICATE, KEY, make_keys

CONFIG = """
[study]
name = "agreement"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "256MiB"
{workload}
{cluster}
"""
HOSTS = {"tx": "10.77.91.1", "rx": "10.77.91.2"}
START_S = 60.0


def main() -> None:
    """Measure the rounds that are asked for, and print what all kept runs say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--into", type=Path, required=True, help="keep the runs in this folder")
    parser.add_argument("--rounds", type=int, default=1, help="of one run over veth and one through the cluster each; 0: print only")
    parser.add_argument("--time", default="30s", help="of each run")
    chosen = parser.parse_args()
    into = chosen.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    for number in range(chosen.rounds):
        turns = [on_one_machine, through_the_cluster]
        for turn in turns if number % 2 == 0 else turns[::-1]:
            turn(into, ["--time", chosen.time])
    show(kept(into))


def on_one_machine(into: Path, options: list[str]) -> None:
    """Measure over the veth pair that zcload makes itself."""
    keep(CONFIG.format(workload='network = "veth"', cluster=""), into, "none", options, cluster=0.0)


def through_the_cluster(into: Path, options: list[str]) -> None:
    """Measure between two namespaces, with an agent in each."""
    with namespaces() as prefix, scheduler(prefix, into) as address:
        files = {"tls_ca": CA, "tls_cert": CERTIFICATE, "tls_key": KEY}
        section = "\n".join(
            ["[cluster]", f'scheduler = "{address}"', *(f'{key} = "{into / "keys" / name}"' for key, name in files.items())]
        )
        keep(CONFIG.format(workload="", cluster=section), into, "none", options, inside=inside(prefix, "tx"), cluster=1.0)


def inside(prefix: str, host: str) -> tuple[str, ...]:
    """Return the command that runs another one on *host*."""
    return ("ip", "netns", "exec", f"{prefix}{host}")


@contextlib.contextmanager
def namespaces() -> Iterator[str]:
    """Make two namespaces joined by a veth pair; their names begin with what is yielded."""
    prefix = f"zca{os.getpid()}"
    tx, rx = f"{prefix}tx", f"{prefix}rx"
    try:
        for name in (tx, rx):
            ip(f"netns add {name}")
        ip(f"link add eth0 netns {tx} type veth peer name eth0 netns {rx}")
        for name, address in zip((tx, rx), HOSTS.values(), strict=True):
            ip(f"-n {name} addr add {address}/24 dev eth0")
            for device in ("lo", "eth0"):
                ip(f"-n {name} link set {device} up")
        yield prefix
    finally:
        for name in (tx, rx):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def ip(arguments: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *arguments.split()], check=True)


@contextlib.contextmanager
def scheduler(prefix: str, into: Path) -> Iterator[str]:
    """Run a quiet scheduler and a worker on each host, with half of the CPUs each; yield the scheduler's address."""
    if not (into / "keys").exists():
        make_keys(into / "keys", days=30)
    address = f"tls://{HOSTS['tx']}:8786"
    dask = [str(Path(sys.executable).with_name("dask"))]
    common = shlex.split(f"--preload zcload.cluster.quiet --no-dashboard --tls-ca-file {CA} --tls-cert {CERTIFICATE} --tls-key {KEY}")
    cpus = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as running:
        started = [(inside(prefix, "tx"), ["scheduler", "--host", f"tls://{HOSTS['tx']}", "--port", "8786"], "Scheduler at:")]
        for number, (host, role) in enumerate((("tx", "sender"), ("rx", "receiver"))):
            own = ",".join(map(str, cpus[number::2]))
            options = f"worker {address} --name {host} --resources {role}=1 --host tls://{HOSTS[host]} --nthreads 1 --no-nanny"
            started.append(((*inside(prefix, host), "taskset", "-c", own), options.split(), "Registered to:"))
        for place, options, ready in started:
            running.enter_context(process([*place, *dask, *options, *common], into / "keys", ready))
        yield address


@contextlib.contextmanager
def process(command: Sequence[str], folder: Path, ready: str) -> Iterator[None]:
    """Run *command* in *folder* for the length of the block, which begins when it has said *ready*."""
    log = folder / "dask.log"
    with log.open("wb") as output, subprocess.Popen(command, cwd=folder, stdout=output, stderr=output) as running:
        try:
            deadline = time.monotonic() + START_S
            while ready not in log.read_text():
                if running.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{' '.join(command)}\n{log.read_text()}")
                time.sleep(0.05)
            yield
        finally:
            running.kill()


def show(runs: Sequence[Kept]) -> None:
    """Print the saving of each run, both means, and whether they agree within the intervals."""
    means, widths = [], []
    for through in (0.0, 1.0):
        mine = [both_ends(run.point(), "sendfile") for run in runs if run.facts["cluster"] == through]
        where = "through the cluster" if through else "on one machine"
        for found in mine:
            ratio = found["ratio"]
            saving = "no interval" if ratio["low"] is None else f"{100 * (1 - ratio['high']):.1f} .. {100 * (1 - ratio['low']):.1f} %"
            print(f"{where:20} saves {saving}")
        estimates = [100 * (1 - e) for found in mine if (e := found["ratio"]["estimate"]) is not None]
        if not estimates:
            return
        means.append(statistics.mean(estimates))
        widths.append(math.sqrt(sum(half_width(found) ** 2 for found in mine)) / len(mine))
        print(f"{where:20} saves {means[-1]:.1f} % +- {widths[-1]:.1f} in {len(mine)} runs")
    apart, allowed = abs(means[0] - means[1]), math.hypot(*widths)
    print(f"{apart:.1f} points apart; the intervals allow {allowed:.1f}: {'agree' if apart <= allowed else 'DISAGREE'}")


if __name__ == "__main__":
    main()
