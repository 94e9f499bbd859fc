"""An engine that starts agents as its own children on this machine, each in a network namespace if it names one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from zcload import __version__
from zcload.cluster.engine import AgentEnd, EngineFacts, EngineHost
from zcload.errors import StudyError, reason_of

_MOST_STDERR = 4096
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class LocalHost:
    """A host that is a network namespace of this machine (None: its own), with the *address* it has there."""

    name: str
    address: str
    namespace: str | None = None
    resources: frozenset[str] = frozenset()


class LocalEngine:
    """Implements `Engine` for hosts that are namespaces of this machine: for tests, and to try a cluster's config on one machine."""

    def __init__(self, hosts: Sequence[LocalHost]) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._agents: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def hosts(self) -> Sequence[EngineHost]:
        version = ".".join(map(str, sys.version_info[:3]))
        return [EngineHost(h.name, h.address, h.resources, __version__, version) for _, h in sorted(self._hosts.items())]

    def start_agent(self, host: str, arguments: Sequence[str], environment: Mapping[str, str], deadline_s: float) -> int:
        where = self._hosts[host]
        # `ip netns exec` becomes the agent: it makes no process between that and this one.
        inside = ("ip", "netns", "exec", where.namespace) if where.namespace else ()
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - kept as long as the agent
        try:
            process = subprocess.Popen(
                [*inside, sys.executable, *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                process_group=0,
            )
        except OSError as error:
            errors.close()
            raise StudyError(f"host {host}: the agent cannot be started: {reason_of(error)}") from None
        self._agents.append((process, errors))
        return len(self._agents) - 1

    def pid(self, agent: int) -> int:
        """Return the process id of *agent*."""
        return self._agents[agent][0].pid

    def poll(self, agent: int) -> AgentEnd | None:
        process, errors = self._agents[agent]
        status = process.poll()
        if status is None:
            return None
        if errors.closed:
            return AgentEnd(status)
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - _MOST_STDERR))
        return AgentEnd(status, errors.read().decode(errors="replace").strip())

    def stop(self, agent: int) -> None:
        process, errors = self._agents[agent]
        if process.poll() is None:
            process.kill()
            process.wait(_END_S)
        errors.close()

    def facts(self) -> EngineFacts:
        return EngineFacts("local", __version__, "this machine", encrypted=False, quiet=True)

    def close(self) -> None:
        for agent in range(len(self._agents)):
            self.stop(agent)
