"""Servers under test: their trees are followed and ended, their CPU is all counted, and what they do wrong is one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import psutil
import pytest
from support.command_line import run_of
from support.evil_names import FILE_NAMES
from support.server_lanes import WHOLE, server_lanes
from support.windows import all_moved, moving_window, windows_until

from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.network import Network
from zcload.lane.placement import Placement
from zcload.model.placeholders import PLACEHOLDERS, fill, unknown
from zcload.model.study import Point, Server, Variant
from zcload.runner.window import LaneFailed, measure
from zcload.server.http import probe
from zcload.server.root import DocumentRoot, ServedFile
from zcload.server.running import RunningServer, free_port
from zcload.server.server_lane import set_up_server
from zcload.server.tree import ObservedTree
from zcload.store.result_schema import summary_schema

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("leaks")]

HTTP = ("{python}", "-m", "http.server", "--bind", "{address}", "-d", "{root}", "{port}")
ADDRESS = "127.0.0.1"


@pytest.fixture
def root():
    """Return a document root with a file of 1 MiB called f; its end leaves nothing."""
    made = DocumentRoot()
    (made.root / "f").write_bytes(bytes(range(256)) * 4096)
    yield made
    made.close()
    assert not made.base.exists()


@pytest.fixture
def start(root):
    """Return a function that starts a server with a command, beside the values of a Server by keyword; it is stopped at the end."""
    started = []

    def launch(*command, **more):
        values = {"address": ADDRESS, "file": str(root.root / "f"), "name": "f", "user": "u", "group": "g", "python": sys.executable}
        server = RunningServer("s", Server(command, grace_s=1.0, **more), free_port(ADDRESS))
        started.append(server)
        server.launch(root, values, None, Network(ADDRESS))
        return server

    yield launch
    for server in started:
        server.stop()


@pytest.fixture
def lane(root):
    """Return a function that sets up a lane of a server with a command, verified and ready; it ends with the test."""
    lanes = []

    def bring_up(*command, senders=1, **more):
        point = Point(file_size=1 << 20, senders=senders, placement="free", socket_buffer=None)
        everywhere = frozenset(os.sched_getaffinity(0))
        placement = Placement((everywhere,) * senders, (everywhere,), everywhere)
        variant = Variant("s", "server", server=Server(command, grace_s=1.0, request_bytes=1 << 16, **more))
        made = set_up_server(variant.at(point), point, ServedFile(root, "f", str(root.root / "f"), 1 << 20), placement, Network(ADDRESS))
        lanes.append(made)
        made.ready()
        return made

    yield bring_up
    for each in lanes:
        each.tear_down()


def script(text):
    """Return the command of a Python server that is written here."""
    return ("{python}", "-c", text)


def gone(pid):
    """Say whether a process has ended, whatever became of its entry."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(true, seconds=60.0):
    """Wait until a condition holds, and say whether it came to that."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


# Placeholders.


def test_placeholders_are_filled_in_and_other_braces_are_left_alone():
    """A placeholder gets its value, a doubled one becomes itself, and the braces of nginx, JSON and shells stay as they are."""
    values = dict.fromkeys(PLACEHOLDERS, "x") | {"port": "80"}
    text = 'server { listen {port}; } {"a": 1} ${HOME} {{port}} {} {a b}'
    assert fill(text, values) == 'server { listen 80; } {"a": 1} ${HOME} {port} {} {a b}'
    assert unknown("{prt} {port} {{host}} {hots}") == ["prt", "hots"]


# The tree.

FORKS = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for _ in range(3): os.fork()
time.sleep(60)
"""


# Not one that is no UTF-8: http.server itself answers 404 to %FF, because it decodes the path as UTF-8.
@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_file_of_any_name_is_served(name):
    """The name of the file is percent-encoded in the path that is asked for, whatever characters it has, and its size comes back."""
    with server_lanes(20_001, name) as bring_up:
        lane = bring_up(server=Server(WHOLE, grace_s=1.0))
        assert lane.serving.target.size == 20_001


def test_a_servers_directory_is_its_own(start):
    """Other users get neither into a server's directory nor at what it wrote on stdout, also where root starts it."""
    running = start("{python}", "-m", "http.server", "{port}")
    folder = Path(os.readlink(f"/proc/{running.pid}/cwd"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "output.log").stat().st_mode) == 0o600


def test_a_server_that_forks_itself_away_is_followed_and_ended(start):
    """Eight processes that have left their parent, their session and their group behind are the server's, and none outlives it."""
    server = start(*script(FORKS))
    assert until(lambda: len(server.tree.members()) == 8)
    pids = [member.pid for member in server.tree.members()]
    assert server.failure() is None
    server.stop()
    assert all(gone(pid) for pid in pids)


def test_a_server_that_ignores_its_stop_signal_is_killed_and_that_is_said(start):
    """A server that ignores SIGTERM is killed after its grace, its children too, and the caution says so."""
    server = start(*script("import os, signal, time; signal.signal(15, signal.SIG_IGN); os.fork(); open('ready', 'w'); time.sleep(60)"))
    assert until(lambda: len(server.tree.members()) == 2 and Path(f"/proc/{server.pid}/cwd/ready").exists())
    pids = [member.pid for member in server.tree.members()]
    assert server.stop() == "it did not end within 1 s of SIGTERM and was killed"
    assert all(gone(pid) for pid in pids)


COORDINATOR = """
import os, sys, time
from zcload.lane.network import Network
from zcload.model.study import Server
from zcload.server.http import probe
from zcload.server.root import DocumentRoot
from zcload.server.running import RunningServer
root = DocumentRoot()
server = RunningServer("s", Server(("sh", "-c", "sleep 60 & exec sleep 61"), grace_s=0.2), 1)
server.launch(root, {}, None, Network("127.0.0.1"))
while len(server.tree.members()) < 2: time.sleep(0.01)
print(root.base, *(member.pid for member in server.tree.members()), flush=True)
time.sleep(60)
"""


def test_nothing_is_left_when_the_coordinator_is_killed():
    """SIGKILL of the coordinator ends the server with all its children, and removes the document root."""
    with subprocess.Popen([sys.executable, "-c", COORDINATOR], stdout=subprocess.PIPE, text=True) as coordinator:
        base, *pids = coordinator.stdout.readline().split()
        assert len(pids) == 2
        coordinator.kill()
    assert until(lambda: all(gone(int(pid)) for pid in pids))
    assert until(lambda: not Path(base).exists())


WORKS = """
import os, time
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
open('ready', 'w')
while not os.path.exists('go'): time.sleep(0.01)
for _ in range(5):
    pid = os.fork()
    if not pid:
        work(0.06); os._exit(0)
    os.waitpid(pid, 0)
if not os.fork():
    if os.fork(): os._exit(0)
    work(0.1); os._exit(0)
os.wait()
work(0.2)
open('done', 'w')
time.sleep(60)
"""


def test_the_cpu_of_a_tree_is_that_of_its_control_group(start):
    """Workers that come and go, waited for or left to the supervisor, are all in the clocks' sum: within 2 % of cpu.stat, and a tick."""
    server = start(*script(WORKS))
    if server.tree.source != "cgroup":
        pytest.skip("no control group (v2) may be made here: run as root, or in a delegated group")
    here = Path(f"/proc/{server.pid}/cwd").resolve()
    assert until((here / "ready").exists)
    before = server.tree.cpu_ns(), server.tree.clocks_ns()
    (here / "go").touch()
    assert until((here / "done").exists)
    assert until(lambda: len(server.tree.members()) == 1 and server.tree.blocked() and server.reaped == 1)
    group, clocks = (b - a for a, b in zip(before, (server.tree.cpu_ns(), server.tree.clocks_ns()), strict=True))
    assert group >= 0.6e9
    assert abs(clocks - group) <= 0.02 * group + 2e7


UNWAITED = """
import signal, subprocess, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass\\ntime.sleep(0.5)"])
time.sleep(60)
"""


def test_the_time_of_a_tree_never_goes_back():
    """A process that ends without being waited for by anybody who counts leaves its time in the sum."""
    parent = subprocess.Popen([sys.executable, "-c", UNWAITED])
    try:
        tree = ObservedTree(parent.pid, own=True)
        assert until(lambda: len(tree.members()) == 2 and tree.cpu_ns() > 300_000_000)
        most = tree.cpu_ns()
        assert until(lambda: len(tree.members()) == 1)
        assert tree.cpu_ns() >= most
        assert tree.ended == 1
        tree.close()
    finally:
        parent.kill()
        parent.wait()


# Faults.


def test_a_server_that_ends_at_once_is_quoted(lane):
    """A server that exits before it is ready is one line: how it ended, and its last words."""
    with pytest.raises(StudyError, match=r"server s \(pid \d+\) exited with status 3; it said: hello \| no config$"):
        lane(*script("import sys; print('hello', flush=True); print('no config', file=sys.stderr); sys.exit(3)"))


def test_a_server_that_is_never_ready_is_quoted(lane):
    """A server that takes no connections within its time is one line, with what it said."""
    with pytest.raises(StudyError, match=r"was not ready within 0.5 s at 127.0.0.1 port \d+: it takes no connections; it said: waiting$"):
        lane(*script("import time; print('waiting', flush=True); time.sleep(60)"), ready_s=0.5)


def test_a_wrong_path_is_the_servers_own_answer(lane):
    """A path that the server does not know is its status, and what was expected."""
    with pytest.raises(StudyError, match=r"server s: GET /nothing from .*status 404.*expected"):
        lane(*HTTP, path="/nothing")


def test_a_port_that_is_taken_is_the_servers_own_words(lane, monkeypatch):
    """A server that cannot have its port is not mistaken for whoever has it."""
    monkeypatch.setattr(probe, "SILENCE_S", 0.5)  # whoever has it answers nothing
    with socket.create_server((ADDRESS, 0)) as taken, pytest.raises(StudyError, match="Address already in use"):
        lane(*HTTP, port=taken.getsockname()[1])


def test_a_server_that_dies_in_mid_window_is_the_cause(lane):
    """A killed server is named as the one that ended, not the connection that broke; nothing of it is left."""
    made = lane(*HTTP)
    machine = Machine()
    try:
        moving_window(made, 0.02, machine)
        os.kill(made.serving.running.pid, signal.SIGKILL)
        with pytest.raises(LaneFailed, match=r"server s \(pid \d+\) was killed by SIGKILL"):
            measure(made, 0.05, machine)
    finally:
        machine.close()


# The lane.


def test_a_window_of_a_server_is_read_from_rest_to_rest(lane):
    """Sent equals received, answers are whole, and the server's CPU and the receiver's have grown in every window."""
    made = lane(*HTTP, senders=2)
    machine = Machine()
    try:
        for _ in range(3):
            record = windows_until(made, 0.02, machine, all_moved)[-1]
            (server,), (receiver,) = record["senders"], record["receivers"]
            assert server[1][1] - server[0][1] == receiver[1][1] - receiver[0][1] > 0
            assert (server[1][1] - server[0][1]) % (1 << 20) == 0
            assert server[1][0] > server[0][0]
            assert receiver[1][0] > receiver[0][0]
    finally:
        machine.close()
    assert made.report() == []
    facts = made.facts()
    assert facts["server"]["ranges"] is False
    assert facts["server"]["version"] == "HTTP/1.0"
    assert facts["receivers"][0]["tcp_info"] is not None


def test_a_server_that_lacks_a_package_says_how_to_get_it(start):
    """The end of a server that has never served the file comes with its install hint, since a package of its own may be missing."""
    server = start(*script("import no_such_package"), install="pip install it")
    with pytest.raises(StudyError, match=r"No module named 'no_such_package' \(if something is missing: pip install it\)$"):
        server.wait_ready(ADDRESS, lambda at: at)


@pytest.mark.parametrize(("attach", "most"), [(True, 4), (False, 10)])
def test_a_server_that_answers_wrongly_is_not_showered_with_requests(attach, most):
    """A wrong answer is asked for again after pauses that double: a running server of the user's gets at most four requests."""
    with socket.create_server((ADDRESS, 0)) as listener:
        port = listener.getsockname()[1]
        server = RunningServer("s", Server(attach=os.getpid() if attach else None, port=port), port)
        server.pid, server._pidfd = os.getpid(), os.pidfd_open(os.getpid())
        asked = []

        def probe(at):
            asked.append(at)
            raise StudyError("404 Not Found")

        try:
            with pytest.raises(StudyError, match="404 Not Found"):
                server.wait_ready(ADDRESS, probe)
        finally:
            os.close(server._pidfd)
    assert 1 < len(asked) <= most


def test_a_path_that_an_attached_server_does_not_know_is_to_be_set(lane, root):
    """Of a server that runs already zcload's own root explains nothing: the error names the key to set."""
    port = free_port(ADDRESS)
    argv = [fill(word, {"python": sys.executable, "address": ADDRESS, "root": str(root.root), "port": str(port)}) for word in HTTP]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
        try:
            with pytest.raises(StudyError, match=r"status 404.*; set path of the variant to where this server has workload\.file$"):
                lane(attach=server.pid, port=port, path="/nothing")
        finally:
            server.kill()


def test_attach_changes_nothing_and_ends_nothing(root):
    """A server that runs already is measured and lives on, with the CPUs, the children and the files that it had."""
    port = free_port(ADDRESS)
    argv = [fill(word, {"python": sys.executable, "address": ADDRESS, "root": str(root.root), "port": str(port)}) for word in HTTP]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
        try:
            cpus = os.sched_getaffinity(server.pid)
            attached = RunningServer("s", Server(attach=server.pid, port=port), port)
            attached.attach()
            assert attached.wait_ready(ADDRESS, lambda at: at) == port
            assert attached.tree.cpu_ns() > 0
            assert attached.stop() is None
            assert server.poll() is None
            assert os.sched_getaffinity(server.pid) == cpus
        finally:
            server.kill()
    attached = RunningServer("s", Server(attach=server.pid, port=port), port)
    with pytest.raises(StudyError, match=f"process {server.pid} cannot be attached to: there is no such process"):
        attached.attach()


# The study.

STUDY = """
[study]
name = "s"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file_size = "4MiB"
placement = "free"
[stop]
max_time = "1s"
min_generations = 2
window = "20ms"
[[variant]]
name = "nginx"
kind = "server"
over = "read_send"
command = ["nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf"]
[variant.files]
"nginx.conf" = \"\"\"
user {user} {group}; daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4;
       scgi_temp_path {dir}/5; sendfile on; server { listen {host}:{port}; root {root}; } }
\"\"\"
[[variant]]
name = "dies"
kind = "server"
command = ["{python}", "-c", "raise SystemExit('no such thing')"]
[[variant]]
name = "absent"
kind = "server"
command = "no-such-program {port}"
install = "apt-get install such"
[[variant]]
name = "lacks a package"
kind = "server"
command = ["{python}", "-c", "raise SystemExit('started without its package')"]
check = ["{python}", "-c", "import no_such_package"]
install = "pip install such"
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx: apt-get install nginx-light")
def test_a_study_with_servers(tmp_path):
    """A real server, one that dies and two that lack something become one result: measured and compared, failed, skipped; exit code 1."""
    (tmp_path / "s.toml").write_text(STUDY)
    command = run_of(tmp_path / "s.toml", tmp_path / "r", "--full")
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 1, run.stderr
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    jsonschema.validate(summary, summary_schema())
    (point,) = summary["points"]
    variants = {v["name"]: v for v in point["variants"]}
    assert {name: v["status"] for name, v in variants.items()} == {
        "read_send": "ok",
        "nginx": "ok",
        "dies": "failed",
        "absent": "skipped",
        "lacks a package": "skipped",
    }
    nginx = variants["nginx"]
    assert nginx["verified"]
    assert nginx["server"]["processes"] == 3
    assert nginx["metrics"]["sender_cpu_s_per_gb"]["estimate"] > 0
    assert nginx["metrics"]["sender_syscalls_per_gb"]["reason"] == "nobody counts the system calls of a server or of an event loop"
    assert {(c["variant"], c["baseline"]) for c in point["comparisons_over"]} == {("nginx", "read_send")}
    assert "exited with status 1; it said: no such thing" in variants["dies"]["reason"]
    assert "command not found (apt-get install such)" in variants["absent"]["reason"]
    assert "No module named 'no_such_package' (pip install such)" in variants["lacks a package"]["reason"]
    assert "What each server adds" in run.stdout
