"""The engine on dask.distributed: places agents by the names of workers, and hears of a worker or a scheduler that is gone."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from zcload import __version__
from zcload.cluster.dask_client import TIMEOUT_S, connect, quiet_log
from zcload.cluster.engine import AgentEnd, EngineFacts, EngineHost
from zcload.cluster.quiet_settings import HEARTBEAT_S, OF_A_SCHEDULER, OF_A_WORKER, PRELOAD, differences
from zcload.errors import StudyError
from zcload.model.cluster import Cluster

if TYPE_CHECKING:
    from distributed import Future

_LOOK_S = 2.0  # how often `poll` asks the scheduler whether the worker of an agent is still there
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Agent:
    host: str
    worker: str  # its address
    future: Future[Any]
    looked_s: float


class DaskEngine:
    """Implements `Engine` on the workers of a Dask scheduler, one agent a task. Made by `DaskEngine.attach`."""

    def __init__(self, cluster: Cluster, client: Any, at_end: ExitStack) -> None:
        self._scheduler, self._encrypted = cluster.scheduler, cluster.encrypted
        self._client, self._at_end = client, at_end
        self._agents: list[_Agent] = []
        self._checked: set[str] = set()  # addresses of workers that have this zcload

    @classmethod
    def attach(cls, cluster: Cluster) -> DaskEngine:
        """Connect to the scheduler of *cluster*, whose client logs no tracebacks until `close`; raises ConfigError or StudyError."""
        with ExitStack() as stack:
            stack.enter_context(quiet_log())
            client = connect(cluster)
            return cls(cluster, client, stack.pop_all())

    def hosts(self) -> Sequence[EngineHost]:
        workers = self._workers()
        # Functions of the standard library alone: they run whatever zcload is there, or where there is none.
        zcload = self._on_workers(importlib.metadata.version, "zcload")
        python = self._on_workers(platform.python_version)
        # All of them at once here: one after another takes a round trip for each when agents start.
        self._checked |= {address for address in workers if _text(zcload.get(address)) == __version__}
        found = [
            EngineHost(
                name=str(worker["name"]),
                address=urlsplit(address).hostname or address,
                resources=frozenset(worker["resources"]),
                zcload_version=_text(zcload.get(address)),
                python_version=_text(python.get(address)),
            )
            for address, worker in workers.items()
        ]
        return sorted(found, key=lambda host: host.name)

    def start_agent(self, host: str, arguments: Sequence[str], environment: Mapping[str, str], deadline_s: float) -> int:
        address = next((address for address, worker in self._workers().items() if str(worker["name"]) == host), None)
        if address is None:  # Dask itself would let the task wait for such a worker for ever
            raise StudyError(f"host {host}: no worker of this name is attached to {self._scheduler}")
        self._check_version(host, address)
        from zcload.cluster.agent_task import run_agent

        future = self._ask(
            lambda: self._client.submit(
                run_agent,
                list(arguments),
                dict(environment),
                deadline_s,
                workers=[address],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
        )
        self._agents.append(_Agent(host, address, future, time.monotonic()))
        return len(self._agents) - 1

    def poll(self, agent: int) -> AgentEnd | None:
        this = self._agents[agent]
        status = this.future.status
        if status == "finished":
            return AgentEnd(*cast(tuple[int, str], self._ask(lambda: this.future.result(timeout=TIMEOUT_S))))
        self._check_scheduler()
        if status == "error":
            raise StudyError(f"host {this.host}: {_reason(this.future.exception(timeout=TIMEOUT_S))}")
        if status != "pending":  # cancelled by `stop`
            return AgentEnd(None)
        now = time.monotonic()
        if now - this.looked_s > _LOOK_S:
            this.looked_s = now
            if this.worker not in self._workers():
                raise StudyError(f"host {this.host}: its Dask worker has gone")
        return None

    def stop(self, agent: int) -> None:
        this = self._agents[agent]
        if this.future.status == "pending" and self._client.status == "running":
            try:
                this.future.cancel(force=True)  # the worker's plugin kills the agent
            except (OSError, RuntimeError, TimeoutError):
                pass  # the connection has gone: the scheduler drops the tasks of a client that it has lost

    def facts(self) -> EngineFacts:
        noisy = self._noisy()
        return EngineFacts(
            name="dask.distributed",
            version=importlib.metadata.version("distributed"),
            scheduler=self._scheduler,
            encrypted=self._encrypted,
            quiet=not noisy,
            noisy=tuple(noisy),
        )

    def close(self) -> None:
        for agent in range(len(self._agents)):
            self.stop(agent)
        try:
            self._client.close(timeout=TIMEOUT_S)
        except Exception:  # whatever a half-closed connection raises: nothing is left to do about it
            pass
        self._at_end.close()

    def pids(self) -> dict[str, int]:
        """Return the process id of each worker by the name of its host."""
        import os

        names = {address: str(worker["name"]) for address, worker in self._workers().items()}
        return {names[address]: pid for address, pid in self._on_workers(os.getpid).items() if isinstance(pid, int)}

    def call(self, host: str, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Return what *function* returns in the worker of *host*, for checks outside of runs; raises what it raises."""
        address = next(address for address, worker in self._workers().items() if str(worker["name"]) == host)
        answer = self._on_workers(function, *arguments, workers=[address])[address]
        if isinstance(answer, BaseException):
            raise answer
        return cast(Answer, answer)

    def _check_version(self, host: str, address: str) -> None:
        """Raise StudyError unless the worker at *address* has this zcload: one that cannot read a task closes its connection."""
        if address in self._checked:
            return
        found = _text(self._on_workers(importlib.metadata.version, "zcload", workers=[address]).get(address))
        if found != __version__:
            there = f"has zcload {found}, and this host {__version__}" if found else "has no zcload"
            raise StudyError(f"host {host}: the Python of its worker {there}: install the same zcload[cluster] on all hosts")
        self._checked.add(address)

    def _noisy(self) -> list[str]:
        """Return what keeps hosts awake, a line for each process that is not quiet."""
        import dask
        import distributed.scheduler

        names = {address: str(worker["name"]) for address, worker in self._workers().items()}
        noisy = []
        for address, found in sorted(self._on_workers(dask.config.get, "distributed").items()):
            differing = differences(found, OF_A_WORKER) if isinstance(found, Mapping) else ["its settings cannot be read"]
            if differing:
                noisy.append(f"worker {names.get(address, address)}: {differing[0]} (start it with --preload {PRELOAD})")
        settings, interval = (
            self._ask(lambda: self._client.run_on_scheduler(dask.config.get, "distributed")),
            self._ask(lambda: self._client.run_on_scheduler(distributed.scheduler.heartbeat_interval, len(names))),
        )
        differing = differences(settings, OF_A_SCHEDULER)
        if interval < HEARTBEAT_S:
            differing.insert(0, f"workers send a heartbeat every {interval:g} s")
        if differing:
            noisy.append(f"scheduler: {differing[0]} (start it with --preload {PRELOAD})")
        own = {agent.future.key for agent in self._agents}
        for address, tasks in sorted(self._ask(self._client.processing).items()):
            others = sum(str(task) not in own for task in tasks)
            if others:
                noisy.append(f"worker {names.get(address, address)}: runs {others} tasks of others")
        return noisy

    def _workers(self) -> dict[str, Any]:
        """Return what the scheduler knows of its workers, by address."""
        workers: dict[str, Any] = self._ask(lambda: self._client.scheduler_info(n_workers=-1))["workers"]
        return workers

    def _on_workers(self, function: Callable[..., Any], *arguments: Any, workers: list[str] | None = None) -> dict[str, Any]:
        """Return the answer or the exception of *function* from every worker, or from *workers*, by address."""
        answers: dict[str, Any] = self._ask(lambda: self._client.run(function, *arguments, workers=workers, on_error="return"))
        return answers

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Return the answer of the scheduler; raises StudyError if it is gone."""
        self._check_scheduler()
        try:
            return question()
        except (OSError, RuntimeError, TimeoutError) as error:  # Dask's CommClosedError is an OSError
            self._check_scheduler()
            raise StudyError(f"scheduler {self._scheduler}: {_reason(error)}") from None

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise StudyError(f"scheduler {self._scheduler} has gone: the connection to it is closed")


def _text(answer: object) -> str | None:
    return answer if isinstance(answer, str) else None


def _reason(error: BaseException | None) -> str:
    """Return what an exception of Dask's or of a task means for a user."""
    kind = type(error).__name__
    if kind == "KilledWorker":
        return "its Dask worker has gone"
    words = (str(error).strip().splitlines() or [""])[0]
    return f"{kind}: {words}" if words else kind
