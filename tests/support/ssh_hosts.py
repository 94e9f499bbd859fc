"""sshd in the namespaces of `NamespaceHosts`: own port, host key, authorized keys and home on each host, and a user who knows them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import asyncssh
from support.namespace_hosts import NamespaceHosts

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PORT = 2222  # in a namespace of the test's own
_SEPARATION = Path("/run/sshd")  # sshd wants this directory, which its package leaves to the service
_START_S = 30


def missing() -> str | None:
    """Return why sshd cannot be started here; None if it can."""
    return None if os.access(SSHD, os.X_OK) else "there is no sshd: apt-get install openssh-server"


class SshHosts:
    """Runs sshd for root on each of *names*. *home* is of the user who connects: keys, known hosts, and SSH's names of the hosts."""

    def __init__(self, hosts: NamespaceHosts, directory: Path, names: tuple[str, ...]) -> None:
        self.hosts, self.directory, self.home, self._names = hosts, directory, directory / "home", names
        self._running: list[subprocess.Popen[bytes]] = []
        self._made = not _SEPARATION.exists()
        _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        try:
            self.key = self._key("user")
            self._write_home(names)
            for name in names:
                self._start(name)
        except BaseException:
            self.close()
            raise

    def home_of(self, name: str) -> Path:
        """Return the directory in which commands run on host *name*."""
        return self.directory / name

    def pids(self, name: str) -> set[int]:
        """Return the processes on host *name*, without its sshd and their sessions."""
        return {pid for pid in self.hosts.pids(name) if not command(pid).startswith(("sshd", SSHD))}

    def environment(self) -> dict[str, str]:
        """Return the environment of the user who connects."""
        return {**os.environ, "HOME": str(self.home)}

    def _key(self, name: str) -> Path:
        path, key = self.directory / f"{name}.key", asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(path)
        path.chmod(0o600)
        key.write_public_key(path.with_suffix(".pub"))
        return path

    def _write_home(self, names: tuple[str, ...]) -> None:
        ssh = self.home / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        shutil.copy(self.key, ssh / "id_ed25519")
        known, config = [], []
        for name in names:
            address = self.hosts.address(name)
            public = self._key(f"host-{name}").with_suffix(".pub").read_text()
            known.append(f"[{address}]:{PORT} {public}")
            config.append(f"Host {name}\n  HostName {address}\n  Port {PORT}\n  User root\n")
        (ssh / "known_hosts").write_text("".join(known))
        (ssh / "config").write_text("".join(config))

    def _start(self, name: str) -> None:
        home, files = self.home_of(name), self.directory
        home.mkdir()
        shutil.copy(self.key.with_suffix(".pub"), files / f"authorized-{name}")
        settings = {
            "ListenAddress": self.hosts.address(name),
            "Port": PORT,
            "HostKey": files / f"host-{name}.key",
            "AuthorizedKeysFile": files / f"authorized-{name}",
            "ForceCommand": f'cd {home} && HOME={home} exec sh -c "$SSH_ORIGINAL_COMMAND"',
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "StrictModes": "no",
            "UsePAM": "no",
            "PidFile": "none",
        }
        (files / f"sshd-{name}.conf").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        with open(files / f"sshd-{name}.log", "wb") as log:
            command = [*self.hosts.inside(name), SSHD, "-D", "-e", "-f", str(files / f"sshd-{name}.conf")]
            self._running.append(subprocess.Popen(command, stdout=log, stderr=log))
        deadline = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((self.hosts.address(name), PORT), timeout=1):
                return
            assert self._running[-1].poll() is None, (files / f"sshd-{name}.log").read_text()
            assert time.monotonic() < deadline, (files / f"sshd-{name}.log").read_text()
            time.sleep(0.02)

    def close(self) -> None:
        """End every sshd, and what a failed test left of what `zcload cluster up` had started."""
        for name in self._names:
            for pid in self.pids(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in self._running:
            process.terminate()
            process.wait()
        if self._made:
            with contextlib.suppress(OSError):
                _SEPARATION.rmdir()


def command(pid: int) -> str:
    """Return the command line of process *pid*."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "sshd: gone"
