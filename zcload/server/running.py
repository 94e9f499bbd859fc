"""One running server as the coordinator sees it: started or attached to, ready, watched, stopped."""

from __future__ import annotations

import errno
import grp
import mmap
import os
import pwd
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zcload.errors import StudyError, reason_of
from zcload.lane.network import Network
from zcload.lane.worker import Worker, spawn
from zcload.linux import interrupt
from zcload.linux.certificate import KEY, Trust, make_certificate
from zcload.linux.patience import Patience
from zcload.linux.sockets import numeric_family
from zcload.model.placeholders import fill
from zcload.model.study import Server
from zcload.server.cgroup import GroupClock, kill_group, own_group, remove_group
from zcload.server.hidden_values import values_to_hide, without_values
from zcload.server.http.connect import Sockets, plain_sockets
from zcload.server.root import DocumentRoot, session_of
from zcload.server.session import Session
from zcload.server.supervisor import ENDED, OUTPUT, REAPED_NS, STOP, Start, supervise
from zcload.server.tree import ObservedTree

CERTIFICATES = ".tls"  # in a server's own directory: no name of `files` begins with a dot
_LOOK_S = 0.01
_ATTACHED_LOOK_S = 0.25  # the same for a server that ran before: an answer that is wrong is most likely to stay so
_SETTLE_S = 1.0  # how long a server that takes connections may still answer wrongly: it may be reading its config
_LAST_LINES = 4
_LINE = 200
_FORK_S = 20.0
_KILL_S = 15.0  # beyond the grace, for the supervisor to say that all is over

Probe = Callable[[int], Any]  # asks the server at a port for the file; raises StudyError


class RunningServer:
    """A server that runs. *pid* is its first process, *tree* all of it as one, *port* where it listens."""

    def __init__(self, name: str, server: Server, port: int) -> None:
        self.name, self.server, self.port = name, server, port
        self.pid = 0
        self.tree: ObservedTree | None = None
        self.trust: Trust | None = None  # with TLS: the certificate of this start
        self.blind: list[str] = []  # what could not be looked at, for want of privileges
        self._supervisor: Worker | None = None
        self._memory = mmap.mmap(-1, 4096)
        self._words = memoryview(self._memory).cast("q")
        self._group: GroupClock | None = None
        self._output: Path | None = None
        self._ended: int | None = None
        self._session: Session | None = None
        self._start: Start | None = None
        self._pidfd = -1  # of a process that was attached to: its number may be given to another one
        self._ready = False  # it has served the file
        self._values: Mapping[str, str] = {}  # of its environment: no message shows one

    @property
    def reaped(self) -> int:
        """How many of its processes the supervisor has reaped."""
        return self._words[ENDED]

    def launch(self, root: DocumentRoot, values: Mapping[str, str], cpus: frozenset[int] | None, network: Network) -> ObservedTree:
        """Start it on *cpus* in the senders' part of *network*, its placeholders filled from *values*; return its processes.

        Raises StudyError.
        """
        directory = root.directory()
        everything = {**values, "port": str(self.port), "dir": str(directory)}
        if self.server.tls:
            everything |= self._certify(directory, values["address"])
        for name, text in self.server.files.items():
            (directory / name).write_text(fill(text, everything), encoding="utf-8")
        added = {name: fill(text, everything) for name, text in self.server.environment.items()}
        environment = {**os.environ, **added}
        self._values = values_to_hide(self.server, added)
        argv = tuple(fill(word, everything) for word in self.server.command)
        group = f"{root.group}-{directory.name}"
        stop_signal = signal.Signals[self.server.stop_signal]
        enter = partial(network.enter, "sender")
        start = Start(argv, environment, directory, session_of(directory), stop_signal, self.server.grace_s, cpus, group, enter)
        self._start, self._output = start, directory / OUTPUT
        words, keep = self._words, [*root.life_lines, *network.namespace_fds()]
        self._supervisor = spawn(self.name, "supervisor", 0, lambda control: supervise(control, start, words), keep, None, outlives=True)
        said = self._supervisor.receive(_FORK_S, "starting the server")
        if "started" not in said:
            hint = f" ({self.server.install})" if said.get("errno") == errno.ENOENT and self.server.install else ""
            raise StudyError(f"server {self.name}: {argv[0]} cannot be started: {said.get('refused')}{hint}")
        self.pid = said["started"]
        self._session = Session(self.pid, said["since"], said["cgroup"])
        if said["cgroup"]:
            try:
                self._group = GroupClock(Path(said["cgroup"]))
            except OSError:
                pass
        self.tree = tree = ObservedTree(self._supervisor.pid, own=False, group=self._group, reaped_ns=lambda: words[REAPED_NS])
        return tree

    def _certify(self, directory: Path, address: str) -> dict[str, str]:
        """Make the certificate of this start in *directory*, which is removed with the server; return its placeholders."""
        own = directory / CERTIFICATES
        own.mkdir()
        try:
            self.trust = make_certificate(own, address)
        except StudyError as error:
            raise StudyError(f"server {self.name}: {error}") from None
        return {"certificate": self.trust.certificate, "key": str(own / KEY)}

    def attach(self) -> ObservedTree:
        """Observe the process that runs already and its descendants, without changing them; return them. Raises StudyError."""
        assert self.server.attach is not None
        self.pid = self.server.attach
        try:
            self._pidfd = os.pidfd_open(self.pid)
            self.tree = tree = ObservedTree(self.pid, own=True)
            tree.cpu_ns()
        except OSError as error:
            gone = isinstance(error, ProcessLookupError) or error.errno in (errno.ESRCH, errno.EINVAL)
            why = "there is no such process" if gone else f"its CPU clock cannot be read ({reason_of(error)})"
            raise StudyError(f"server {self.name}: process {self.pid} cannot be attached to: {why}") from None
        if os.getpid() in (member.pid for member in tree.members()):
            raise StudyError(
                f"server {self.name}: process {self.pid} cannot be attached to: zcload runs below it, so zcload's own CPU time would be "
                "measured as the server's"
            )
        for name, what in (("io", "the bytes it reads from the disk"), ("environ", "its environment")):
            try:
                Path(f"/proc/{self.pid}/{name}").read_bytes()
            except OSError:
                self.blind.append(what)
        return tree

    def wait_ready(self, address: str, probe: Probe, sockets: Sockets = plain_sockets) -> Any:
        """Wait until the server accepts connections from *sockets* and the *probe* gets the file; return its result. Raises StudyError."""
        patience = Patience(self.server.ready_s)
        connected: float | None = None
        last = "it takes no connections"
        pause_s = _LOOK_S
        while True:
            interrupt.check()
            self.check()
            now = time.monotonic()
            if connected is None and _listens(address, self.port, sockets):
                connected = now
            if connected is not None:
                try:
                    found = probe(self.port)
                    self.check()  # somebody else may be listening where it could not
                    self._ready = True
                    return found
                except StudyError as error:
                    self.check()
                    last = str(error)
                    # A user's server is not showered with requests: each pause after a wrong answer is twice the last.
                    pause_s = max(2 * pause_s, _LOOK_S if self.server.attach is None else _ATTACHED_LOOK_S)
                    if now > connected + _SETTLE_S:
                        raise StudyError(f"server {self.name}: {last}{self.last_words()}") from None
            if patience.over():
                late = f"was not ready within {self.server.ready_s:g} s at {address} port {self.port}"
                raise StudyError(f"server {self.name} {late}: {last}{self.last_words()}")
            interrupt.pause(pause_s)

    def check(self) -> None:
        """Raise StudyError if the server has ended."""
        error = self.failure()
        if error is not None:
            raise error

    def failure(self) -> StudyError | None:
        """Return what is wrong with the server: it has ended, or its supervisor has; None while it runs."""
        if self._supervisor is None:
            ended = bool(select.select([self._pidfd], [], [], 0)[0])  # pidfd_open(2): readable once the process has ended
            return StudyError(f"server {self.name} (pid {self.pid}) has ended") if ended else None
        try:
            while (said := self._supervisor.poll()) is not None:
                self._ended = said.get("ended", self._ended)
        except StudyError as error:
            return error
        # One that has put itself into the background lives on in its children.
        if self._ended is not None and (self._ended or not self._alive()):
            # A program that is there may lack a package of its own: python3 does without aiohttp.
            hint = f" (if something is missing: {self.server.install})" if self.server.install and not self._ready else ""
            return StudyError(f"server {self.name} (pid {self.pid}) {_ending(self._ended)}{self.last_words()}{hint}")
        return self._supervisor.failure()

    def _alive(self) -> bool:
        return self.tree is not None and bool(self.tree.members())

    def last_words(self) -> str:
        """Return the last lines that the server wrote on stdout or stderr, for messages."""
        if self._output is None:
            return ""
        try:
            with open(self._output, "rb") as output:
                output.seek(max(0, output.seek(0, os.SEEK_END) - 4096))
                lines = output.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        said = [line.strip()[:_LINE] for line in lines if line.strip()][-_LAST_LINES:]
        text = " | ".join("".join(c if c.isprintable() else " " for c in line) for line in said)
        return f"; it said: {without_values(text, self._values)}" if said else ""

    def stop(self) -> str | None:
        """End the whole server; return what was unusual about its end, None if nothing was. Harmless when called twice; never raises."""
        odd = None
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            odd = self._stop(supervisor)
            if supervisor.status:  # it was killed, and may have left processes
                odd = self._end_orphans() or odd
        if self.tree is not None:
            self.tree.close()
        if self._group is not None:
            self._group.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self.tree = self._group = None
        return odd

    def _stop(self, supervisor: Worker) -> str | None:
        try:
            supervisor.control.send(STOP)
            deadline = time.monotonic() + self.server.grace_s + _KILL_S
            while time.monotonic() < deadline:
                said = supervisor.poll()
                if said is not None and "stopped" in said:
                    supervisor.ends_within(deadline - time.monotonic())
                    return self._oddity(said)
                if not supervisor.alive() and said is None:
                    break
                time.sleep(0.002)
        except (OSError, StudyError):
            pass
        finally:
            supervisor.end()
        return None

    def _end_orphans(self) -> str | None:
        """End the server's processes in place of its supervisor; return what could not be ended."""
        if self._start is None:
            return None
        session = self._session or Session.load(self._start.session)  # it may have been killed before it had told of the server
        left = session.end(self.tree.last_seen() if self.tree else ()) if session is not None else []
        if (own := own_group()) is not None:
            kill_group(own / self._start.group)
            remove_group(own / self._start.group)
        shutil.rmtree(self._start.directory, ignore_errors=True)
        self._start.session.unlink(missing_ok=True)
        return f"{len(left)} of its processes could not be killed: {', '.join(map(str, left[:5]))}" if left else None

    def _oddity(self, said: Mapping[str, Any]) -> str | None:
        if said["left"]:
            return f"{len(said['left'])} of its processes could not be killed: {', '.join(map(str, said['left'][:5]))}"
        if said["killed"] and self.server.stop_signal != "SIGKILL":
            return f"it did not end within {self.server.grace_s:g} s of {self.server.stop_signal} and was killed"
        return None


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exited with status {os.waitstatus_to_exitcode(status)}"


def _listens(address: str, port: int, sockets: Sockets) -> bool:
    (sock,) = sockets(numeric_family(address), 1)
    with sock:
        sock.settimeout(1.0)
        try:
            sock.connect((address, port))
        except OSError:
            return False
        return True


def free_port(address: str, sockets: Sockets = plain_sockets) -> int:
    """Return a port of *address*, where *sockets* makes them, on which nobody listens at this moment; raises OSError."""
    (sock,) = sockets(numeric_family(address), 1)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def bracketed(address: str) -> str:
    """Return *address* as it stands before a port: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{address}]" if ":" in address else address


def values_of(address: str, path: str, name: str) -> dict[str, str]:
    """Return what the placeholders stand for that are the same for every server."""
    try:
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    except KeyError:  # a container's user may have no name
        user, group = str(os.getuid()), str(os.getgid())
    root = os.path.dirname(path)
    return {
        "address": address,
        "host": bracketed(address),
        "root": root,
        "file": path,
        "name": name,
        "user": user,
        "group": group,
        "python": sys.executable,
    }
