"""An agent: one process on each host of a cluster that forks the host's workers and reads its counters, by the coordinator's orders.

It connects back to the coordinator, proves that it knows the run's secret, and carries out one order after another. While a window
is open it blocks in recv(2). It ends, and its workers with it, when the connection ends, at its deadline, and with its parent.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import time
from contextlib import closing
from dataclasses import dataclass

from zcload import __version__
from zcload.cluster.channel import Channel, ChannelClosed, agent_context, introduce
from zcload.cluster.messages import Failed, Message, Open, Quit
from zcload.cluster.station import Station
from zcload.errors import ConfigError, StudyError, ZcloadError, reason_of
from zcload.linux.process import die_with_parent

SECRET = "ZCLOAD_AGENT_SECRET"  # the environment variable with the run's secret: a command line is everybody's to read
AUTHORITY = "ZCLOAD_AGENT_CA"  # the environment variable with the certificate (PEM) of the CA, where the control channel is encrypted
CONNECT_S = 60.0
_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Errand:
    """What an agent is started with: where the coordinator is, as which *host*, and for how long at most."""

    coordinator: str
    port: int
    host: str
    deadline_s: int
    version: str = __version__

    def arguments(self) -> list[str]:
        """Return the arguments of the Python interpreter that runs this errand."""
        where = ["--coordinator", self.coordinator, "--port", str(self.port), "--host", self.host]
        return ["-m", "zcload", "_agent", *where, "--deadline", str(self.deadline_s)]


def run_agent(errand: Errand) -> int:
    """Be the agent; return its exit code. Raises StudyError if there is no coordinator, or it refuses this agent."""
    parent = os.getppid()
    die_with_parent(parent)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(max(1, errand.deadline_s))  # the kernel ends this process then, whatever it does; its workers die with it
    secret = bytes.fromhex(os.environ.pop(SECRET, ""))
    if not secret:
        raise ConfigError(f"the agent is started by `zcload run` on a cluster, which sets {SECRET}")
    _open_files()
    with closing(_connect(errand)) as channel:
        introduce(channel, secret, errand.host, errand.version)
        with closing(Station(parent)) as station:
            gc.collect()
            gc.freeze()  # out of the workers' copies
            gc.disable()
            try:
                _serve(channel, station)
            except ChannelClosed:
                return 0  # the run is over, or this host is cut off: either way there is nobody to work for
    return 0


def _connect(errand: Errand) -> Channel:
    """Connect to the coordinator, which may be a moment behind; raises StudyError."""
    authority, deadline = os.environ.pop(AUTHORITY, ""), time.monotonic() + CONNECT_S
    context = agent_context(authority) if authority else None
    where = f"coordinator {errand.coordinator} port {errand.port}"
    while True:
        try:
            sock = socket.create_connection((errand.coordinator, errand.port), timeout=CONNECT_S)
            return Channel(context.wrap_socket(sock) if context else sock, where)
        except OSError as error:
            if time.monotonic() > deadline:
                raise StudyError(f"{where}: cannot be reached from this host: {reason_of(error)}") from None
            time.sleep(_AGAIN_S)


def _open_files() -> None:
    """Allow as many open files as this user may have: a lane of a thousand senders needs several thousand."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _serve(channel: Channel, station: Station) -> None:
    """Carry out orders until the coordinator says to quit; raises ChannelClosed when it is gone."""
    station.lost = channel.lost
    while True:
        order = channel.receive()
        if isinstance(order, Quit):
            return
        if isinstance(order, Open):
            station.open(order)  # nothing is sent while a window is open
            continue
        channel.send(_answer(station, order))


def _answer(station: Station, order: Message) -> Message:
    """Return the answer to *order*; what goes wrong with it is an answer too."""
    lane = getattr(order, "lane", None)
    try:
        return station.carry_out(order)
    except ChannelClosed:
        raise
    except ConfigError as error:
        problem = error.problems[0]
        return Failed(problem.what, lane, key=problem.key, remedy=problem.remedy)
    except ZcloadError as error:
        return Failed(str(error), station.failing or lane, consequence=isinstance(error, StudyError) and error.consequence)
    except Exception as error:
        return Failed(f"{type(error).__name__} while carrying out {type(order).__name__}: {error}", lane)
