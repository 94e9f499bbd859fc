"""Studies over a veth pair: measured like any other, and no namespace is left, however they end."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys

import pytest
from support.command_line import run_of
from support.namespaces import held_by, held_by_us
from support.paths import ROOT
from support.processes import MARK, marked, wait_until
from support.veth import open_veth

from zcload.lane.connections import connect
from zcload.lane.network import VETH_IPV4, VETH_IPV6, Network
from zcload.model.study import Point

SIOCGSKNS = 0x894C  # linux/sockios.h: a descriptor of a socket's network namespace


@pytest.fixture
def network():
    """Open a network over veth, closed at the end; skip with the reason and the remedy where this host allows none."""
    opened = []

    def open_one(**values) -> Network:
        opened.append(open_veth(**values))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def _namespace_of(sock) -> int:
    fd = fcntl.ioctl(sock, SIOCGSKNS)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


@pytest.mark.serial  # elsewhere the kernel may give the same number to another namespace at once
def test_namespaces_go_with_what_holds_them(network):
    """Sockets outlive the keeper and keep their namespaces; with the last of them these are gone."""
    made = network()
    connections = connect(Point(network="veth"), 1, None, made)
    made.close()
    connections.clients[0].sendall(b"still here")
    assert connections.servers[0].recv(100) == b"still here"
    inodes = {_namespace_of(connections.clients[0]), _namespace_of(connections.servers[0])}
    connections.close()
    assert not inodes & held_by_us()


STUDY = """
[study]
name = "veth"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "8MiB"
senders = 2
network = "veth"
mtu = 9000
offloads = false
address = "{address}"
[stop]
max_time = "{seconds}s"
min_generations = 2
window = "10ms"
"""


SERVERS = (
    STUDY.replace("mtu = 9000\noffloads = false\n", "").replace("[stop]\n", "[stop]\nreplicates = 1\n")
    + """
[[variant]]
name = "closes"
kind = "server"
command = ["{python}", "-m", "http.server", "{{port}}", "--bind", "{{address}}", "--directory", "{{root}}"]
[[variant]]
name = "stays"
kind = "server"
command = ["{python}", "{server}", "{{port}}", "{{root}}", "{{address}}"]
"""
)
SERVER = """
import socket
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

# A server of whole files that keeps its connections, and says on stderr who it is and where.
class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def __init__(self, *more):
        super().__init__(*more, directory=sys.argv[2])
    def log_message(self, *more):
        pass

class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[3] else socket.AF_INET

Server((sys.argv[3], int(sys.argv[1])), Handler).serve_forever()
"""


def command(tmp_path, address="127.0.0.1", seconds=1):
    (tmp_path / "study.toml").write_text(STUDY.format(address=address, seconds=seconds))
    return run_of(tmp_path / "study.toml", tmp_path / "out", "--json")


@pytest.mark.slow
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_study_over_veth(address, tmp_path, network):
    """Both lanes are verified and equal in bytes in every window, the result says what the pair was like, and nothing is left."""
    network(address=address).close()
    environment = {**os.environ, MARK: str(tmp_path)}
    done = subprocess.run(command(tmp_path, address), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "out" / "windows.jsonl").read_text().splitlines()]
    windows = [r for r in records if r["kind"] == "window"]
    assert {r["lane"] for r in windows} == {"read_send", "sendfile"}
    for window in windows:
        sent, received = (sum(b[1] - a[1] for a, b in window[role]) for role in ("senders", "receivers"))
        assert sent == received
    (point,) = json.loads(done.stdout)["points"]
    assert all(v["verified"] and v["digest"] for v in point["variants"])
    assert (point["point"]["mtu_bytes"], point["point"]["offloads"]) == (9000, False)
    assert point["point"]["address"] == (VETH_IPV4 if address == "127.0.0.1" else VETH_IPV6)
    device = point["network"]["sender"]
    assert (device["mtu_bytes"], device["offloads"]) == (9000, {"tso": False, "gso": False, "gro": False})
    assert wait_until(lambda: not marked(tmp_path), 60)  # a namespace lives as long as a process that holds it: namespaces(7)


# Root without any capability: what may be done in a namespace then comes from having made it. (A Python below root's home may be
# closed to every other user.)
WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.mark.slow
@pytest.mark.parametrize("ordinary", [False, True], ids=["", "without privileges"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_servers_over_veth(address, ordinary, tmp_path, network):
    """Servers that stay connected and that close are verified and measured over a veth pair, without privileges too; nothing is left."""
    network(address=address).close()
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "study.toml").write_text(SERVERS.format(address=address, seconds=2, server=tmp_path / "server.py", python=sys.executable))
    run = [sys.executable, "-m", "zcload", "run", "--no-wait", "--no-html", str(tmp_path / "study.toml"), "--out", str(tmp_path / "out")]
    if ordinary and not os.getuid():
        if not shutil.which("setpriv"):
            pytest.skip("there is no setpriv to drop privileges with: apt-get install util-linux")
        run = [*WITHOUT_PRIVILEGES, *run]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path), MARK: str(tmp_path)}
    done = subprocess.run(
        [*run, "--json", "--no-progress"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (point,) = json.loads(done.stdout)["points"]
    variants = {v["name"]: v for v in point["variants"]}
    assert {name: (v["status"], v["verified"], v["reason"]) for name, v in variants.items() if not v["aa"]} == dict.fromkeys(
        ("read_send", "sendfile", "closes", "stays"), ("ok", True, None)
    )
    assert [variants[name]["server"]["keep_alive"] for name in ("closes", "stays")] == [False, True]
    assert all(variants[name]["bytes_received"] > 0 for name in ("closes", "stays"))
    assert point["network"]["user_namespace"] or not ordinary
    assert wait_until(lambda: not marked(tmp_path), 60)  # a namespace lives as long as a process that holds it: namespaces(7)


@pytest.mark.slow
def test_kill_9_leaves_no_namespace(tmp_path, network):
    """A coordinator that is killed takes its processes with it, and with them both namespaces."""
    network().close()
    ours = os.stat("/proc/self/ns/net").st_ino
    environment = {**os.environ, MARK: str(tmp_path)}
    with subprocess.Popen(
        command(tmp_path, seconds=60), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as coordinator:
        made = set()

        def measures():
            made.update(held_by(*(process.pid for process in marked(tmp_path))))
            log = tmp_path / "out" / "windows.jsonl"
            return log.exists() and '"kind":"window"' in log.read_text()

        try:
            assert wait_until(measures, 60)
            assert len(made - {ours}) >= 2
        finally:
            coordinator.kill()
    assert wait_until(lambda: not marked(tmp_path), 60)
