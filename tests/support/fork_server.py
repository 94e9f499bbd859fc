"""A process that has imported zcload and forks a command for each request: a run starts in milliseconds, not in half a second of CPU time.

What is forked goes through `zcload.main.main` like the command. Its replicates are forked too, by what stands in for `subprocess.Popen`.
The tests of whole commands, and faults in the first moments of one, execute an interpreter instead.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress

from support.paths import ROOT
from support.processes import MARK

_ROOM = 400  # bytes that a mark may have
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18  # linux/sched.h, linux/mount.h
_SLOW_AGENT = "import support.fork_server as server; server._stretch('making'); from zcload.main import main; main()"
STRETCHED_S = 0.7  # what takes milliseconds otherwise, so that a signal meets it
BLOCK_S = 0.05  # for each MiB of a made file


class Running:
    """A forked command, as `subprocess.Popen` shows one."""

    def __init__(self, server, pid):
        self._server, self.pid, self.returncode = server, pid, None

    def poll(self):
        self.returncode = self._server.codes.get(self.pid)
        return self.returncode

    def wait(self, timeout=None):
        left = timeout
        while self.poll() is None:
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired("zcload", timeout)
            time.sleep(0.02)
            left = None if left is None else left - 0.02
        return self.returncode

    def send_signal(self, signum):
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The server as the tests see it: `start` may be called by several threads."""

    def __init__(self):
        self.codes = {}  # exit code by pid, negative for a signal, of commands that have ended
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock, self._pids, self._more = threading.Lock(), [], threading.Condition()
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", MARK: "x" * _ROOM}
        with theirs:
            command = [sys.executable, "-P", "-m", "support.fork_server", str(theirs.fileno())]
            self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def start(self, arguments, *, folder, environment, shared_memory=None, stretch="", hosts=()):
        """Fork `zcload ARGUMENTS` in *folder*, a process group of its own, with stdout and stderr in files there.

        *shared_memory* is mounted as its /dev/shm, *stretch* a function of the run that takes long. *hosts* are names of this machine: a
        study with a cluster runs on them.
        """
        request = {"arguments": arguments, "folder": str(folder), "environment": environment, "stretch": stretch, "hosts": hosts}
        request["shared_memory"] = str(shared_memory) if shared_memory else None
        with self._lock:  # one at a time: the next pid is this one's
            self._ours.send(json.dumps(request).encode())
            with self._more:
                if not self._more.wait_for(lambda: self._pids, 60):
                    raise AssertionError("the fork server does not answer")
                return Running(self, self._pids.pop())

    def _listen(self):
        while packet := self._ours.recv(4096):
            message = json.loads(packet)
            if "code" in message:
                self.codes[message["pid"]] = message["code"]
            else:
                with self._more:
                    self._pids.append(message["pid"])
                    self._more.notify()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._ours.shutdown(socket.SHUT_RDWR)
        self._process.wait(30)
        self._thread.join()
        self._ours.close()


# In the server.


def serve(control):
    """Fork what is asked for until nobody asks any more."""
    _import_all()
    gc.collect()
    gc.freeze()  # or a collection in a child would copy all pages
    wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    import select

    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(wake, select.POLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd == wake:
                os.read(wake, 4096)
                _tell_ended(control)
            else:
                packet = control.recv(1 << 16)
                if not packet:
                    return
                pid = os.fork()
                if not pid:
                    _be_command(control, json.loads(packet))
                control.send(json.dumps({"pid": pid}).encode())


def _tell_ended(control):
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with suppress(OSError):
                control.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _import_all():
    """Import what a run needs: by planning one, and by importing what it forks."""
    import zcload.report.formats.terminal
    import zcload.runner.replicate
    import zcload.runner.run
    import zcload.server.server_lane  # noqa: F401 - for its children
    from zcload import config
    from zcload.report import renderer
    from zcload.runner.plan import plan
    from zcload.store.reader import Result

    plan(config.load(ROOT / "configs" / "smoke.toml"))
    result = Result.load(ROOT / "tests" / "data" / "first-release")
    renderer("table")([result])


def _be_command(control, request):
    """Be the command; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        os.setpgid(0, 0)
        _mark(request["folder"])
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        os.environ[MARK] = request["folder"]
        for name, fd in (("stdout", 1), ("stderr", 2)):
            made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(made, fd)
            os.close(made)
        if request["shared_memory"]:
            _mount(request["shared_memory"])
        _stretch(request["stretch"])
        if request["hosts"]:
            _use_local_hosts(request["hosts"], request["stretch"])
        import tempfile

        import zcload.runner.fresh_process as fresh_process
        from zcload.main import main

        tempfile.tempdir = None  # it was asked for in the server
        fresh_process.subprocess = _Subprocess
        sys.argv = ["zcload", *request["arguments"]]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _mark(text):
    """Write *text* over the mark in this process's environment as the kernel shows it: proc_pid_environ(5)."""
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])  # env_start and env_end, fields 50 and 51 of proc_pid_stat(5)
    at = ctypes.string_at(start, end - start).index(f"{MARK}=".encode()) + len(MARK) + 1
    value = text.encode()
    assert len(value) < _ROOM
    ctypes.memmove(start + at, value + b"\0" * (_ROOM - len(value)), _ROOM)


def _mount(place):
    libc = ctypes.CDLL(None, use_errno=True)
    for call, arguments in (
        (libc.unshare, (_CLONE_NEWNS,)),
        (libc.mount, (b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)),
        (libc.mount, (place.encode(), b"/dev/shm", None, _MS_BIND, None)),
    ):
        if call(*arguments):
            raise OSError(ctypes.get_errno(), f"{call.__name__} fails")


def _use_local_hosts(names, stretched):
    """Let a study with a cluster run on hosts of this machine, whose agents are started without a scheduler."""
    import zcload.cluster.connect as connect
    from zcload.cluster.local import LocalEngine, LocalHost

    class Hosts(LocalEngine):
        """Agents that make their file slowly where that is to be *stretched*."""

        def start_agent(self, host, arguments, environment, deadline_s):
            if stretched == "making":
                arguments = ["-c", _SLOW_AGENT, *arguments[2:]]  # instead of -m zcload
            return super().start_agent(host, arguments, environment, deadline_s)

    connect.open_engine = lambda cluster: Hosts([LocalHost(name, "127.0.0.1") for name in names])


def _stretch(name):
    """Let what a run does in a phase take long."""
    import zcload.cli.run as command
    import zcload.lane.payload as payload
    import zcload.runner.run as run

    places = {"evaluating": (run, "_evaluate", STRETCHED_S), "writing": (command, "write_page", STRETCHED_S)}
    places["making"] = (payload, "block_bytes", BLOCK_S)
    if name not in places:
        return
    module, function, seconds = places[name]
    whole = getattr(module, function)

    def longer(*arguments, **more):
        with open("reached", "w"):
            pass
        time.sleep(seconds)
        return whole(*arguments, **more)

    setattr(module, function, longer)


class _ForkedReplicate:
    """Stands in for `Popen` of a replicate: forks it from the run's process instead of starting an interpreter."""

    def __init__(self, command, *, pass_fds, stdin, process_group):
        self.returncode = None
        numbers = [int(number) for number in command[5:]]
        self.pid = os.fork()
        if not self.pid:
            self._be(numbers, pass_fds)

    def _be(self, numbers, keep):
        code = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            from zcload.lane.worker import _close_others
            from zcload.linux import interrupt
            from zcload.runner import replicate

            interrupt.requested, interrupt._reader, interrupt._writer, interrupt._graceful = None, -1, -1, False
            interrupt._limits.clear()
            _close_others(set(keep))
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)
            replicate.main(*numbers)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout=None):
        deadline = time.monotonic() + (1e9 if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("replicate", timeout)
            time.sleep(0.005)
        return self.returncode

    def send_signal(self, signum):
        if self.poll() is None:
            os.kill(self.pid, signum)


class _Subprocess:
    """What zcload/runner/fresh_process.py needs of the module."""

    Popen, DEVNULL, TimeoutExpired = _ForkedReplicate, subprocess.DEVNULL, subprocess.TimeoutExpired


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
