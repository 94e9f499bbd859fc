"""A real Dask scheduler and workers as processes of their own, on loopback or in network namespaces, quiet only where asked."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

DASK = Path(sys.executable).with_name("dask")
QUIET = ("--preload", "zcload.cluster.quiet")
START_S = 180


def free_port() -> int:
    """Return a TCP port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class DaskCluster:
    """A scheduler at *host* and *port* (None: a free one of loopback) and named workers; *tls* is a directory of `zcload cluster keys`."""

    def __init__(self, directory: Path, tls: Path | None = None, host: str = "127.0.0.1", port: int | None = None) -> None:
        self._directory, self._tls = directory, tls
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.protocol = "tls" if tls else "tcp"
        self.address = f"{self.protocol}://{host}:{port or free_port()}"

    def start_scheduler(self, *options: str) -> None:
        """Start the scheduler and wait until it listens."""
        host, _, port = self.address.rpartition(":")
        self._start("scheduler", "scheduler", "--host", host, "--port", port, *options)
        self._wait_for("scheduler", "Scheduler at:")

    def start_worker(self, name: str, *options: str, host: str | None = None, inside: Sequence[str] = (), **environment: str) -> None:
        """Start a worker at *host* (None: the scheduler's) by the command *inside*, and wait until it is registered."""
        self.launch_worker(name, *options, host=host, inside=inside, **environment)
        self.wait_for_worker(name)

    def launch_worker(self, name: str, *options: str, host: str | None = None, inside: Sequence[str] = (), **environment: str) -> None:
        """Start a worker as `start_worker` does, and do not wait."""
        place = f"{self.protocol}://{host}" if host else self.address.rpartition(":")[0]
        options = ("--host", place, "--nthreads", "1", "--no-nanny", "--death-timeout", "150", *options)
        self._start(name, "worker", self.address, "--name", name, *options, inside=inside, environment=environment)

    def wait_for_worker(self, name: str) -> None:
        """Wait until a worker is registered."""
        self._wait_for(name, "Registered to:")

    def kill(self, name: str) -> None:
        """Kill the scheduler or a worker with SIGKILL."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        """End all that still runs."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        """Return what the scheduler or a worker has printed."""
        return (self._directory / f"{name}.log").read_text()

    def _start(self, name: str, *command: str, inside: Sequence[str] = (), environment: dict[str, str] | None = None) -> None:
        files = ["--tls-ca-file", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem"] if self._tls else []
        with open(self._directory / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [*inside, DASK, *command, "--no-dashboard", *files],
                stdout=log,
                stderr=log,
                cwd=self._tls or self._directory,
                env={**os.environ, **(environment or {})},
            )

    def _wait_for(self, name: str, words: str) -> None:
        deadline = time.monotonic() + START_S
        while words not in self.log(name):
            assert self.processes[name].poll() is None, self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.05)


@contextlib.contextmanager
def sender_and_receiver(directory: Path, tls: Path) -> Iterator[DaskCluster]:
    """Run a quiet scheduler with the quiet worker tx-1, a sender, and the worker rx-1, a receiver that is not quiet."""
    with contextlib.closing(DaskCluster(directory, tls)) as cluster:
        cluster.start_scheduler(*QUIET)
        cluster.start_worker("tx-1", "--resources", "sender=1", *QUIET)
        cluster.start_worker("rx-1", "--resources", "receiver=1")
        yield cluster


def with_zcload(version: str | None, directory: Path) -> Path:
    """Return *directory*, now one that in the path of a Python makes it say that its zcload is *version* (None: that it has none)."""
    answer = "raise m.PackageNotFoundError(name)" if version is None else f"return {version!r}"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "def version(name):\n"
        "    if name != 'zcload':\n"
        "        return real(name)\n"
        f"    {answer}\n"
        "m.version = version\n"
    )
    return directory
