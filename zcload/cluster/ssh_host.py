"""A host that is reached over SSH: how it is written, whether zcload can run there, and the TLS files that it gets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shlex
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcload import __version__
from zcload.cluster import keys
from zcload.errors import ConfigError, Problem, StudyError
from zcload.lane.network import Role

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

CONNECT_S = 10.0
ASK_S = 60.0  # for a Python that starts on a slow disk
_WRITTEN = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[^\]]+\]|[\w.-]+)(?::(?P<port>[0-9]{1,18}))?(?:=(?P<role>sender|receiver))?")
_LAST_PORT = 65535
_ROLES: dict[str | None, Role] = {"sender": "sender", "receiver": "receiver"}
_VERSIONS = (
    "import importlib.metadata as m, json, platform\n"
    "def v(name):\n"
    "    try: return m.version(name)\n"
    "    except m.PackageNotFoundError: return None\n"
    "print(json.dumps({n: v(n) for n in ('zcload', 'distributed')} | {'python': platform.python_version()}))"
)


@dataclass(frozen=True, slots=True)
class SshHost:
    """A host as it is written: [USER@]NAME[:PORT][=ROLE]. What is left out says SSH's own configuration, ~/.ssh/config."""

    name: str
    user: str | None = None
    port: int | None = None
    role: Role | None = None

    @classmethod
    def of(cls, text: str) -> SshHost:
        """Return the host that *text* names; raises ConfigError."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ConfigError(Problem(f"{text!r} is not a host", remedy="write [USER@]HOST[:PORT][=sender|=receiver]"))
        user, name, port, role = found.group("user", "host", "port", "role")
        if port and not 1 <= int(port) <= _LAST_PORT:
            raise ConfigError(Problem(f"port {port} of {text!r} is out of range", remedy=f"write a port from 1 to {_LAST_PORT}"))
        return cls(name.strip("[]"), user, int(port) if port else None, _ROLES.get(role))

    def options(self) -> dict[str, Any]:
        """Return how asyncssh connects to this host, as its `connect` takes it."""
        given = {"username": self.user, "port": self.port}
        return {key: value for key, value in given.items() if value is not None} | {"connect_timeout": CONNECT_S, "keepalive_interval": 15}

    def ssh(self, command: str = "") -> str:
        """Return the command line of OpenSSH that reaches this host."""
        port = f"-p {self.port} " if self.port else ""
        return f"ssh {port}{f'{self.user}@' if self.user else ''}{self.name} {command}".strip()


@asynccontextmanager
async def connected(host: SshHost) -> AsyncIterator[SSHClientConnection]:
    """Connect to *host*; raises StudyError that names it and says what keeps SSH out."""
    import asyncssh

    try:
        connection = await asyncssh.connect(host.name, **host.options())
    except asyncssh.HostKeyNotVerifiable:
        raise _failed(host, f"SSH does not know its host key: run `{host.ssh()}` once, and compare and accept the key") from None
    except asyncssh.PermissionDenied as error:
        raise _failed(host, f"SSH refuses this user: {error.reason} (try `{host.ssh('true')}`)") from None
    except (OSError, asyncssh.Error) as error:
        raise _failed(host, f"no SSH: {_reason(error)} (try `{host.ssh('true')}`)") from None
    async with connection:
        yield connection


async def check_host(host: SshHost, python: str) -> str:
    """Return the address of *host* that SSH has reached; raises StudyError that names it unless *python* there has this zcload."""
    async with connected(host) as connection:
        try:
            text = await _answer(host, connection, f"{shlex.quote(python)} -c {shlex.quote(_VERSIONS)}")
        except StudyError as error:
            raise StudyError(f"{error} (name the Python that has zcload with --python)") from None
        try:
            found = json.loads(text)
        except ValueError:
            raise _failed(host, f"{python} is no Python that runs zcload: it said {text[:60]!r} (name one with --python)") from None
        if found["zcload"] is None:
            raise _failed(host, f"no zcload in {python}: install zcload[cluster] {__version__} there, or name another with --python")
        if found["zcload"] != __version__:
            raise _failed(host, f"zcload {found['zcload']} there, {__version__} here: install the same version on all hosts")
        if found["distributed"] is None:
            raise _failed(host, f"no Dask in {python}: install zcload[cluster] there, not zcload alone")
        address: str = connection.get_extra_info("peername")[0]
        return address


async def copy_keys(host: SshHost, directory: Path) -> str:
    """Copy the TLS files in *directory* to *host*, readable by their owner alone; return where they are, in the user's home there.

    Raises StudyError that names the host.
    """
    texts = {name: (directory / name).read_bytes() for name in (keys.CA, keys.CERTIFICATE, keys.KEY)}
    there = f".cache/zcload/keys-{hashlib.sha256(texts[keys.CA]).hexdigest()[:12]}"
    async with connected(host) as connection:
        for name, text in texts.items():
            await _answer(host, connection, f"umask 077 && mkdir -p {there} && cat > {there}/{name}", text)
    return there


async def _answer(host: SshHost, connection: SSHClientConnection, command: str, given: bytes = b"") -> str:
    """Return what *command* prints on *host*; raises StudyError with the last line of its errors."""
    import asyncssh

    try:
        done = await connection.run(command, input=given, encoding=None, timeout=ASK_S)
    except (OSError, asyncssh.Error) as error:
        raise _failed(host, f"no answer over SSH: {_reason(error)}") from None
    if done.exit_status != 0:
        lines = _text(done.stderr).splitlines()
        raise _failed(host, lines[-1] if lines else f"{command.split()[0]} ended with exit status {done.exit_status}")
    return _text(done.stdout)


def _reason(error: Exception) -> str:
    """Return why a connection failed: asyncio puts the address where the reason belongs."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _text(output: bytes | str | None) -> str:
    return (output if isinstance(output, str) else (output or b"").decode(errors="replace")).strip()


def _failed(host: SshHost, what: str) -> StudyError:
    return StudyError(f"host {host.name}: {what}")


async def on_all(hosts: Sequence[SshHost], work: Callable[[SshHost], Coroutine[None, None, str]]) -> list[str]:
    """Return what the coroutine function *work* gives for each of *hosts*, all at once; raises the first error in their order."""
    found = await asyncio.gather(*map(work, hosts), return_exceptions=True)
    answers = [each for each in found if isinstance(each, str)]
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return answers
