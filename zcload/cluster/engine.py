"""The contract of an engine: it places, starts, secures and collects agents. It never opens, closes or reads a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EngineHost:
    """A host that the engine can start agents on.

    *name* is unique. *address* is the one by which the engine knows the host. *resources* are the roles it offers, such as "sender".
    Versions are None where the engine cannot tell.
    """

    name: str
    address: str
    resources: frozenset[str] = frozenset()
    zcload_version: str | None = None
    python_version: str | None = None


@dataclass(frozen=True, slots=True)
class AgentEnd:
    """How an agent ended: its exit status (negative: the number of a signal; None: unknown), and the last of what it said on stderr."""

    status: int | None
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """An engine as it runs: *quiet* says whether it leaves measured hosts alone, *noisy* why it does not."""

    name: str
    version: str
    scheduler: str
    encrypted: bool
    quiet: bool
    noisy: tuple[str, ...] = field(default=())


class Engine(Protocol):
    """Starts agents on hosts. Every method raises StudyError that names the host, or the scheduler if that is gone."""

    def hosts(self) -> Sequence[EngineHost]:
        """Return the hosts that are there now, in order of their names."""

    def start_agent(self, host: str, arguments: Sequence[str], environment: Mapping[str, str], deadline_s: float) -> int:
        """Start `PYTHON *arguments` on *host* with *environment* added to that of the engine; return the number of the agent.

        PYTHON is the interpreter that the engine itself runs in there. The agent is a subprocess whose parent is the process of the engine
        on that host: the agent reads that one's CPU time for the engine's ledger. It is killed after *deadline_s*.
        """

    def poll(self, agent: int) -> AgentEnd | None:
        """Return how *agent* ended; None while it runs. Never waits."""

    def stop(self, agent: int) -> None:
        """Kill *agent* if it still runs; its workers end with it. Harmless when called twice."""

    def facts(self) -> EngineFacts:
        """Return what a report says of the engine."""

    def close(self) -> None:
        """Stop all agents and leave the engine as it was; harmless when called twice, never raises."""
