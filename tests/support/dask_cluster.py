"""A real Dask scheduler and workers on loopback, as processes of their own, quiet unless asked otherwise."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

DASK = Path(sys.executable).with_name("dask")
QUIET = ("--preload", "zcload.cluster.quiet")
START_S = 60


def free_port() -> int:
    """Return a TCP port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class DaskCluster:
    """A scheduler and named workers; *tls* is a directory of `zcload cluster keys`."""

    def __init__(self, directory: Path, tls: Path | None = None) -> None:
        self._directory, self._tls = directory, tls
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{free_port()}"

    def start_scheduler(self, *options: str) -> None:
        """Start the scheduler and wait until it listens."""
        host, _, port = self.address.rpartition(":")
        self._start("scheduler", "scheduler", "--host", host, "--port", port, *options)
        self._wait_for("scheduler", "Scheduler at:")

    def start_worker(self, name: str, *options: str, **environment: str) -> None:
        """Start a worker and wait until it is registered."""
        host = self.address.rpartition(":")[0]
        options = ("--host", host, "--nthreads", "1", "--no-nanny", "--death-timeout", "30", *options)
        self._start(name, "worker", self.address, "--name", name, *options, environment=environment)
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

    def _start(self, name: str, *command: str, environment: dict[str, str] | None = None) -> None:
        import os

        files = ["--tls-ca-file", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem"] if self._tls else []
        with open(self._directory / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [DASK, *command, "--no-dashboard", *files],
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
