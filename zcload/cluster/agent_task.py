"""What runs inside a Dask worker: a task that starts an agent as a subprocess and waits, and a plugin that ends it with its task.

The worker has threads, so it must not fork with Python code: `subprocess` execs at once. While the agent runs, the task is blocked in
poll(2) on a pidfd and wakes up for nothing else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

from distributed import WorkerPlugin, get_worker

from zcload.linux.process import ended_within

_MOST_STDERR = 4096
_PLUGIN = "zcload-agents"


class AgentPlugin(WorkerPlugin):
    """Ends the agents of tasks that are cancelled: by `stop`, or by the scheduler when the coordinator has gone."""

    def __init__(self) -> None:
        self._agents: dict[str, subprocess.Popen[bytes]] = {}

    def watch(self, key: str, agent: subprocess.Popen[bytes]) -> None:
        """End *agent* when the task *key* is cancelled."""
        self._agents[key] = agent

    def forget(self, key: str) -> None:
        """Leave the agent of the task *key* alone: it has ended."""
        self._agents.pop(key, None)

    def transition(self, key: Any, start: Any, finish: Any, **kwargs: Any) -> None:
        """End the agent of a task that Dask no longer wants; called by Dask at each change of a task's state."""
        agent = self._agents.get(key)
        if agent is not None and finish in ("cancelled", "released", "forgotten"):
            _kill_group(agent)

    def teardown(self, worker: Any) -> None:
        """End all agents: the worker closes."""
        for agent in list(self._agents.values()):
            _kill_group(agent)


def _kill_group(agent: subprocess.Popen[bytes]) -> None:
    """Kill *agent* and the processes of its group; it leads one of its own."""
    if agent.poll() is None:
        try:
            os.killpg(agent.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            agent.kill()


def run_agent(arguments: Sequence[str], environment: Mapping[str, str], deadline_s: float) -> tuple[int, str]:
    """Run `PYTHON *arguments` with *environment* added, and return its exit status and the last of what it said on stderr.

    It is killed after *deadline_s*, and when the task is cancelled.
    """
    worker = get_worker()
    key = str(worker.get_current_task())
    plugin = _plugin(worker)
    with tempfile.TemporaryFile() as errors:
        agent = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            process_group=0,
        )
        plugin.watch(key, agent)
        try:
            if not ended_within(agent.pid, deadline_s):
                _kill_group(agent)
                errors.write(f"\nkilled after its deadline of {deadline_s:.0f} s".encode())
            return agent.wait(), _last(errors)
        finally:
            plugin.forget(key)
            _kill_group(agent)


def _plugin(worker: Any) -> AgentPlugin:
    """Return the plugin of *worker*, installed there by the first task."""
    if _PLUGIN not in worker.plugins:
        installed = asyncio.run_coroutine_threadsafe(worker.plugin_add(AgentPlugin(), _PLUGIN), worker.loop.asyncio_loop)
        installed.result(timeout=10)
    plugin: AgentPlugin = worker.plugins[_PLUGIN]
    return plugin


def _last(errors: IO[bytes]) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _MOST_STDERR))
    return errors.read().decode(errors="replace").strip()
