"""What can go wrong with a run on several hosts: each fault is one line that names its host, and leaves a result and no process."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.command_line import invoke
from support.dask_cluster import QUIET, DaskCluster, with_zcload
from support.namespace_hosts import NAMES, NamespaceHosts, missing

from zcload.cluster import keys
from zcload.store.reader import Result

pytestmark = [pytest.mark.serial, pytest.mark.slow]

STUDY = """
[study]
name = "faults"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file_size = "4MiB"
[stop]
max_time = "60s"
min_generations = 60
replicates = 1
[cluster]
scheduler = "{scheduler}"
control = "{control}"
senders = ["a"]
receivers = ["b"]
"""
JOIN_S = 6  # how long the coordinator waits for an agent that comes too late; for all others it has the time of a busy machine
LATE_S = 3.0  # a slow joiner comes as late as this
GONE_S = 10.0  # within which every process on every host has ended
PORT = 8786  # the addresses are the test's own
ZCLOAD = (
    "import sys, zcload.cluster.session as s; s.JOIN_S = float(sys.argv.pop(1))\n"
    "from zcload.main import main; sys.argv = ['zcload', *sys.argv[1:]]; sys.exit(main())"
)


WORKERS = {  # by name: the host, and what its agents are like
    "a": "a",
    "b": "b",
    "doomed": "c",  # killed by a test
    "spare": "c",  # for the test that kills the scheduler
    "old": "c",
    "slow": "c",
    "late": "c",
}


class Stage:
    """Hosts a, b and c with workers, over TLS, and schedulers beside them: one, and one whose certificate has expired."""

    def __init__(self, hosts: NamespaceHosts, place: Path) -> None:
        self.hosts, self.place = hosts, place
        for name, days in (("zcload-keys", 1), ("others", 1), ("expired", -1)):
            keys.make_keys(place / name, days)
        self.dask = DaskCluster(place, place / "zcload-keys", hosts.control, PORT)
        self.expired = DaskCluster(place / "expired", place / "expired", hosts.control, PORT + 10)
        (place / "study.toml").write_text(STUDY.format(scheduler=self.dask.address, control=hosts.control))
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        paths = {
            "old": with_zcload("0.0.1", self.place / "old-path"),
            "slow": starting_late(self.place / "slow-path", 300),
            "late": starting_late(self.place / "late-path", LATE_S),
        }
        self.dask.start_scheduler(*QUIET)
        for name, host in WORKERS.items():
            environment = {"PYTHONPATH": str(paths[name])} if name in paths else {}
            self.dask.launch_worker(name, *QUIET, host=self.hosts.address(host), inside=self.hosts.inside(host), **environment)
        self.expired.start_scheduler(*QUIET)
        for name in WORKERS:
            self.dask.wait_for_worker(name)

    def agents(self, *names: str) -> list[psutil.Process]:
        """Return the agents on the hosts *names* (none: on all), each before the workers that it has forked."""
        found = []
        for pid in (pid for name in names or NAMES for pid in self.hosts.pids(name)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if "_agent" in process.cmdline():
                    found.append(process)
        return sorted(found, key=lambda process: process.create_time())

    def run(self, *options: str, out: Path, join_s: float = 120.0) -> subprocess.Popen[str]:
        """Start `zcload run` of the study, whose coordinator waits *join_s* for agents."""
        command = [sys.executable, "-c", ZCLOAD, str(join_s), "run", "study.toml", "--out", str(out), "--no-wait", "--no-html", *options]
        return subprocess.Popen(command, cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def close(self) -> None:
        self.dask.close()
        self.expired.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    why = missing()
    if why:
        pytest.skip(why)
    with contextlib.closing(NamespaceHosts()) as hosts, contextlib.closing(Stage(hosts, tmp_path_factory.mktemp("faults"))) as made:
        yield made


def own_clock():
    """Yield how long this process has been able to run, seconds: time in which it was stopped, with all others, does not count."""
    total, last = 0.0, time.monotonic()
    while True:
        yield total
        time.sleep(0.05)
        now = time.monotonic()
        total, last = total + min(now - last, 0.5), now


# What happens in the middle of a run. Each takes the stage and the coordinator.


def kill_worker(stage, coordinator):
    stage.agents("a")[1].kill()


def kill_agent(stage, coordinator):
    stage.agents("b")[0].kill()


def kill_engine_worker(stage, coordinator):
    stage.dask.kill("doomed")


def cut_off(stage, coordinator):
    stage.hosts.cut_off("b")


def kill_scheduler(stage, coordinator):
    stage.dask.kill("scheduler")


def kill_coordinator(stage, coordinator):
    coordinator.kill()


def tls_files(directory):
    """Return the options that take the TLS files from *directory*."""
    files = {"tls_ca": "ca.pem", "tls_cert": "cert.pem", "tls_key": "key.pem"}
    return [word for key, name in files.items() for word in ("--set", f"cluster.{key}={directory}/{name}")]


def starting_late(directory, seconds):
    """Return a directory that, in the path of a Python, makes each agent start *seconds* late."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(f"import sys, time\nif '_agent' in sys.orig_argv:\n    time.sleep({seconds})\n")
    return directory


def receivers(names):
    """Return the options that make *names* the receivers."""
    return ["--set", f"cluster.receivers={names}"]


@dataclass(frozen=True)
class Fault:
    """What is done in the middle of a run, or the *options* with which it cannot begin.

    *says* is what the one line of the error holds (None: there is nobody left to say it), *code* the exit code.
    """

    says: str | None
    harm: Callable | None = None
    options: Sequence[str] = ()
    port: int = PORT
    code: int = 1
    join_s: float = 120.0


# The last one ends the scheduler of all.
FAULTS = {
    "other-version": Fault(r"host old: .*zcload 0\.0\.1.* there", options=receivers("old")),
    "slow-joiner": Fault(rf"host slow: no agent has joined within {JOIN_S} s", options=receivers("slow"), join_s=JOIN_S),
    "missing-role": Fault(r"cluster.receivers: 1 hosts with the role 'storage' are wanted", options=receivers("storage=1"), code=2),
    "missing-host": Fault(r"cluster.receivers: no host is called 'd'; there are: a, b", options=receivers("d"), code=2),
    "wrong-certificate": Fault(r"scheduler tls://[\d.]+:8786: its certificate is refused here", options=tls_files("others")),
    "expired-certificate": Fault(r"scheduler tls://[\d.]+:8796: .*certificate has expired", options=tls_files("expired"), port=PORT + 10),
    "no-scheduler": Fault(r"scheduler tls://[\d.]+:8788: cannot connect: connection refused", port=PORT + 2),
    "worker-killed": Fault(r"host a: lane read_send.*: .*killed by SIGKILL", kill_worker),
    "agent-killed": Fault(r"host b: the agent killed by SIGKILL", kill_agent),
    "coordinator-killed": Fault(None, kill_coordinator, code=-9),
    "engine-worker-killed": Fault(r"host doomed: its Dask worker has gone", kill_engine_worker, receivers("doomed")),
    "host-cut-off": Fault(r"host b: connection .*; can the host still be reached\?", cut_off),
    "scheduler-gone": Fault(r"scheduler tls://[\d.]+:8786 has gone", kill_scheduler, receivers("spare")),
}


def test_an_agent_that_joins_late_is_waited_for(stage, tmp_path):
    """A host whose agent starts late, and not too late, measures as the others do."""
    stop = ("--set", "stop.max_time=1s", "--set", "stop.min_generations=2")
    run = stage.run(*receivers("late"), *stop, out=tmp_path / "r")
    stdout, stderr = run.communicate(timeout=300)
    assert run.returncode == 0, stdout + stderr
    assert "pairs a -> late" in stdout


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_line_that_names_the_host(stage, tmp_path, fault, capsys):
    """Each fault ends the run with one line that names the host; the partial result can be read and within 10 s no process is left."""
    out = tmp_path / "r"
    coordinator = stage.run("--cluster", f"tls://{stage.hosts.control}:{fault.port}", *fault.options, out=out, join_s=fault.join_s)
    try:
        if fault.harm:
            assert wait_for_windows(out, coordinator), coordinator.communicate()
            fault.harm(stage, coordinator)
            gone_s = until_gone(stage)
        stdout, stderr = coordinator.communicate(timeout=300)
        if not fault.harm:
            gone_s = until_gone(stage)
    finally:
        coordinator.kill()
        coordinator.wait()
        if fault.harm is cut_off:
            stage.hosts.join_again("b")
    said = f"{stdout}\n{stderr}\nafter {gone_s:.1f} s"
    assert coordinator.returncode == fault.code, said
    errors = [line for line in stderr.splitlines() if line.startswith("zcload: error: ")]
    assert "Traceback" not in stderr, said
    if fault.says is None:
        assert not errors, said
    else:
        assert len(errors) == 1, said
        assert re.search(fault.says, errors[0]), said
    assert gone_s < GONE_S, said
    if fault.harm:
        assert not Result.load(out).summary["complete"]
        reported = invoke(capsys, "report", out)
        assert (reported.code, reported.err) == (0, ""), reported.err
    else:
        assert not out.exists(), said
    print(f"{coordinator.returncode} after {gone_s:.1f} s: {errors}")


def until_gone(stage):
    """Wait until no agent is left on any host; return how long that took, seconds."""
    return next(passed for passed in own_clock() if not stage.agents() or passed > 6 * GONE_S)


def wait_for_windows(out, coordinator):
    """Wait until windows are being measured; return whether the run still goes on."""
    for passed in own_clock():
        if coordinator.poll() is not None or passed > 200:
            return False
        with contextlib.suppress(OSError):
            if (out / "windows.jsonl").read_text().count('"kind":"window"') > 3:
                return True
    raise AssertionError
