"""The coordinator's side of a cluster: agents started through the engine, connected back, and given orders together."""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from zcload.cluster.admission import LEAST_AT_ONCE, MOST_AT_ONCE, Admission, Admitted
from zcload.cluster.agent import AUTHORITY, SECRET, Errand
from zcload.cluster.channel import Channel, ChannelClosed, OtherVersion, frame, server_context
from zcload.cluster.engine import AgentEnd, Engine
from zcload.cluster.messages import Failed, Message, Ping, Pong, Quit
from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.lane.worker import describe_end
from zcload.linux import interrupt
from zcload.linux.descriptors import most_open_files, room_for_files
from zcload.linux.patience import Patience
from zcload.model.cluster import Cluster

JOIN_S = 60.0  # for an agent to start and connect back
ANSWER_S = 30.0  # for an answer; what an agent waits for itself takes at most a third of that
SLOW_ANSWER_S = 600.0  # where a file is made or digested first
_LOOK_S = 0.1
_PINGS, _PINGED_AT_ONCE = 8, 8
_LEAVE_S = 2.0  # for all agents together to end when they are told to
_SPARE_FILES = 32  # for records, and whoever else opens one meanwhile
_END_S = 0.5  # for an agent that has gone to show how it ended

Expected = TypeVar("Expected", bound=Message)


class HostFailed(StudyError):
    """A host of the cluster failed or is gone: the run cannot go on without it."""


class PartFailed(StudyError):
    """A host's part of the lane number *lane* failed; the other lanes may go on."""

    def __init__(self, message: str, lane: int, consequence: bool = False) -> None:
        super().__init__(message)
        self.lane, self.consequence = lane, consequence


@dataclass(slots=True)
class Clock:
    """How a host's CLOCK_MONOTONIC relates to the coordinator's: *offset_ns* ahead, known to half of the *round_trip_ns*."""

    offset_ns: int
    round_trip_ns: int


@dataclass(slots=True)
class Member:
    """A host whose agent has joined."""

    host: str
    agent: int  # the engine's number
    channel: Channel
    clock: Clock = field(default_factory=lambda: Clock(0, 0))


class Session:
    """The agents of one run, or of one replicate of it. Any order goes to several hosts at once; answers come as they are ready.

    An exchange has its own time limit. That of a phase does not end it: who gives orders looks at that between two exchanges.

    Once an exchange was broken off the session is over: an answer that is still to come would be taken for that of another order.
    """

    def __init__(self, engine: Engine, hosts: Sequence[str], cluster: Cluster, control: str, deadline_s: float) -> None:
        """Start an agent on each of *hosts* and wait until all have joined; raises StudyError that names the one that has not.

        *control* is the address of this host to which agents connect. Agents end after *deadline_s* in any case.
        """
        self._engine, self._agents, self.members = engine, dict[str, int](), dict[str, Member]()
        self._over: str | None = None  # what has broken an exchange off, if something has
        self._room = ExitStack()
        greetings = self._room.enter_context(_room_for(len(hosts)))
        context, secret = server_context(cluster), secrets.token_bytes(32)
        listener = _listen(control, len(hosts))
        port, admission = listener.getsockname()[1], Admission(listener, context, secret, greetings)
        try:
            environment = {SECRET: secret.hex(), **(_authority(cluster) if context else {})}
            for host in hosts:
                errand = Errand(control, port, host, int(deadline_s))
                self._agents[host] = engine.start_agent(host, errand.arguments(), environment, deadline_s)
            self._admit_all(admission, control)
        except BaseException:
            self.close()
            raise
        finally:
            admission.close()

    def _admit_all(self, admission: Admission, control: str) -> None:
        """Wait until the agents of all hosts have joined; raises HostFailed, Interrupted."""
        patience = Patience(JOIN_S)
        refusal: StudyError | None = None
        while missing := [host for host in self._agents if host not in self.members]:
            interrupt.check()
            found = admission.result(_LOOK_S)
            if isinstance(found, Admitted):
                self._admit(found)
                continue
            if isinstance(found, OtherVersion):
                raise HostFailed(str(found))
            refusal = found or refusal
            for host in missing:
                end = self._engine.poll(self._agents[host])
                if end is not None:
                    raise HostFailed(f"host {host}: the agent {_describe(end)} before it joined")
            if patience.over():
                waited = f"no agent has joined within {JOIN_S:.0f} s"
                raise refusal or HostFailed(f"host {', '.join(missing)}: {waited}; can it reach {control}?")

    def _admit(self, agent: Admitted) -> None:
        if agent.host not in self._agents or agent.host in self.members:
            agent.channel.close()
        else:
            self.members[agent.host] = Member(agent.host, self._agents[agent.host], agent.channel)

    def measure_clocks(self) -> None:
        """Measure the round trip to each host and the offset of its clock: the least of some pings; raises StudyError, Interrupted.

        A few hosts at a time: more would wait for each other's answers here, and one after another takes as long as all round trips.
        """
        hosts, best = list(self.members), dict[str, Clock]()
        for first in range(0, len(hosts), _PINGED_AT_ONCE):
            batch = hosts[first : first + _PINGED_AT_ONCE]
            for _ in range(_PINGS):
                sent: dict[str, int] = {}
                for host in batch:
                    sent[host] = time.monotonic_ns()
                    self.tell({host: Ping()})
                for host, pong in self._answers(batch, Pong, ANSWER_S):
                    trip = time.monotonic_ns() - sent[host]
                    if host not in best or trip < best[host].round_trip_ns:
                        best[host] = Clock(pong.t_ns - sent[host] - trip // 2, trip)
        for host, clock in best.items():
            self.members[host].clock = clock

    def ask(self, host: str, order: Message, answer: type[Expected], timeout_s: float = ANSWER_S) -> Expected:
        """Give *order* to one host and return its answer; raises what `exchange` does."""
        return self.exchange({host: order}, answer, timeout_s)[host]

    def exchange(self, orders: Mapping[str, Message], answer: type[Expected], timeout_s: float = ANSWER_S) -> dict[str, Expected]:
        """Give each host its order and return the answers, when all are there.

        Raises PartFailed for a lane that failed on one host, ConfigError for a key that is wrong there, HostFailed, Interrupted.
        """
        self.tell(orders)
        return dict(self._answers(orders, answer, timeout_s))

    def _answers(self, hosts: Iterable[str], answer: type[Expected], timeout_s: float) -> Iterator[tuple[str, Expected]]:
        """Return the answer of each of *hosts* as it comes; raises what `exchange` does.

        A lane's failure is raised when all hosts have answered, since another host may tell its cause. That of a whole host ends the run,
        and is raised at once: the others may still be making large files.
        """
        failures: list[tuple[str, Failed]] = []
        waiting = {self.members[host].channel.fileno(): host for host in hosts}
        patience = Patience(timeout_s)
        with select.epoll(max(1, len(waiting))) as poller:  # which costs the same a host however many there are
            for fd in waiting:
                poller.register(fd, select.EPOLLIN)
            try:
                while waiting:
                    interrupt.check_signal()  # no limit of a phase: agents would answer to an order that nobody waits for any more
                    ready = poller.poll(_LOOK_S)
                    if patience.over() and not ready:
                        raise HostFailed(f"host {', '.join(sorted(waiting.values()))}: no answer for {timeout_s:.0f} s")
                    for fd, _ in ready:
                        host = waiting.pop(fd)
                        poller.unregister(fd)
                        message = self.members[host].channel.receive(timeout_s)
                        if isinstance(message, Failed):
                            failures.append((host, message))
                            if message.lane is None:
                                raise _cause(failures)
                        elif isinstance(message, answer):
                            yield host, message
                        else:
                            raise HostFailed(f"host {host}: answered {message.kind!r}, which was not asked for")
            except ChannelClosed as error:
                raise self._ended(error) from None
            except BaseException as error:
                self._over = str(error)
                raise
        if failures:
            raise _cause(failures)

    def tell(self, orders: Mapping[str, Message]) -> None:
        """Give each host its order; raises HostFailed. What takes time is done before the first is sent: it would come between gates."""
        if self._over is not None:
            raise HostFailed(f"the agents can no longer be reached, after this: {self._over}")
        distinct = {id(order): order for order in orders.values()}
        frames = {key: frame(order) for key, order in distinct.items()}
        try:
            for host, order in orders.items():
                self.members[host].channel.send_frame(frames[id(order)])
        except ChannelClosed as error:
            raise self._ended(error) from None

    def _ended(self, error: ChannelClosed) -> HostFailed:
        """Note that the session is over, and return why."""
        gone = self._gone(error)
        self._over = str(gone)
        return gone

    def _gone(self, error: ChannelClosed) -> HostFailed:
        """Say how the agent ended whose connection has closed."""
        host = next((name for name, member in self.members.items() if str(error).startswith(f"{member.channel.peer}:")), None)
        if host is None:
            return HostFailed(str(error))
        deadline = time.monotonic() + _END_S
        while (end := self._engine.poll(self._agents[host])) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return HostFailed(f"host {host}: the agent {_describe(end)}" if end else f"{error}; can the host still be reached?")

    def close(self) -> None:
        """End all agents, and their workers with them; harmless when called twice, never raises."""
        for member in self.members.values():
            try:
                member.channel.send(Quit())
            except StudyError:
                pass
            member.channel.close()
        running, deadline = {self._agents[host] for host in self.members}, time.monotonic() + _LEAVE_S
        try:
            while running and time.monotonic() < deadline:
                running = {agent for agent in running if self._engine.poll(agent) is None}
                time.sleep(0.005 if running else 0)
        except StudyError:
            pass  # the engine is gone, and its agents with it
        for agent in self._agents.values():
            try:
                self._engine.stop(agent)
            except StudyError:
                break
        self.members.clear()
        self._agents.clear()
        self._room.close()


@contextmanager
def _room_for(hosts: int) -> Iterator[int]:
    """Have room for a connection to each of *hosts* within the block; return for how many greetings at once there is room beside them.

    Raises StudyError where the hard limit is too low.
    """
    others, most = len(os.listdir("/proc/self/fd")) + hosts + _SPARE_FILES, most_open_files()
    needed = others + LEAST_AT_ONCE
    if most is not None and most < needed:
        raise StudyError(
            f"{hosts} hosts need {needed} open files here, and this user may have {most}: raise the hard limit (`ulimit -Hn {needed}`)"
        )
    greetings = MOST_AT_ONCE if most is None else min(MOST_AT_ONCE, most - others)
    with room_for_files(others + greetings):
        yield greetings


def _authority(cluster: Cluster) -> dict[str, str]:
    """Return the environment variable by which agents know the coordinator; raises StudyError."""
    try:
        return {AUTHORITY: Path(cluster.ca or "").read_text()}
    except OSError as error:
        raise StudyError(f"{cluster.ca}: {reason_of(error)}") from None


def _listen(control: str, hosts: int) -> socket.socket:
    """Return the socket that agents connect to; raises ConfigError."""
    try:
        family = socket.getaddrinfo(control, None, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((control, 0), family=family, backlog=min(hosts + 16, 4096))
    except OSError as error:
        what = f"cannot listen on {control}: {reason_of(error)}"
        raise ConfigError(Problem(what, key="cluster.control", remedy="an address of this host that the agents can reach")) from None
    return listener


def _cause(failures: Sequence[tuple[str, Failed]]) -> StudyError | ConfigError:
    """Return the failure that caused the others: not one of a host that only saw its connections break."""
    host, failed = next((pair for pair in failures if not pair[1].consequence), failures[0])
    if failed.key is not None:
        return ConfigError(Problem(f"host {host}: {failed.message}", key=failed.key, remedy=failed.remedy))
    if failed.lane is None:
        return HostFailed(f"host {host}: {failed.message}")
    return PartFailed(f"host {host}: {failed.message}", failed.lane, failed.consequence)


def _describe(end: AgentEnd) -> str:
    """Say how an agent ended, with the last line of what it said."""
    how = "has ended" if end.status is None else describe_end(end.status).removesuffix(" in the middle of the run")
    last = end.stderr.splitlines()[-1].removeprefix("zcload: error: ") if end.stderr else ""
    return f"{how}: {last}" if last else how
