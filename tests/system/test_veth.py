"""Two network namespaces and the veth pair between them: what they are like, and that nothing of them is left."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from support.paths import ROOT
from support.veth import open_veth

from zcload import config
from zcload.errors import ConfigError, StudyError
from zcload.lane import veth_keeper
from zcload.lane.connections import connect
from zcload.lane.network import VETH_IPV4, VETH_IPV6, Veth, address_of, open_network, veth_recipe
from zcload.linux import ethtool
from zcload.model.study import Point

SIOCGSKNS = 0x894C  # linux/sockios.h: a descriptor of a socket's network namespace
ALL_ON, ALL_OFF = {"tso": True, "gso": True, "gro": False}, {"tso": False, "gso": False, "gro": False}


def veth(**values) -> Point:
    return Point(network="veth", **values)


@pytest.fixture
def network():
    """Open networks, closed at the end; skip with the reason and the remedy where this host allows none."""
    opened = []

    def open_one(**values) -> Veth:
        opened.append(open_veth(**values))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def namespace_of(sock: socket.socket) -> int:
    fd = fcntl.ioctl(sock, SIOCGSKNS)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("address", "receiver", "sender"),
    [
        ("127.0.0.1", VETH_IPV4, "192.0.2.3"),  # a loopback address stands for one of ours
        ("127.9.9.9", VETH_IPV4, "192.0.2.3"),
        ("0.0.0.0", VETH_IPV4, "192.0.2.3"),
        ("::1", VETH_IPV6, "fd7a:636c:6f61:64::3"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.2"),  # one of the user's is the receiver's
        ("10.1.2.255", "10.1.2.255", "10.1.2.254"),  # a prefix of two addresses has no broadcast address
        ("fd00::a", "fd00::a", "fd00::b"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.2"),  # IPv4 in disguise
    ],
)
def test_addresses(address, receiver, sender):
    """The receiver has the address asked for, the sender its neighbour; the point says the receiver's."""
    recipe = veth_recipe(veth(address=address))
    assert recipe.addresses == {"receiver": receiver, "sender": sender}
    assert address_of(veth(address=address)) == recipe.addresses["receiver"]
    assert address_of(Point(address=address)) == address


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"address": "224.0.0.1"}, "workload.address"),
        ({"address": "fe80::1"}, "workload.address"),
        ({"address": "::1", "mtu": 1279}, "workload.mtu"),
    ],
)
def test_impossible_ends_are_refused(values, key):
    """Addresses that no end can have, and an MTU without IPv6, are refused with their key before anything is made."""
    with pytest.raises(ConfigError) as error:
        veth_recipe(veth(**values))
    assert error.value.problems[0].key == key


@pytest.mark.parametrize(("mtu", "bytes"), [(None, 1500), (576, 576), (9000, 9000), (65535, 65535)])
@pytest.mark.parametrize(("offloads", "state"), [(True, ALL_ON), (False, ALL_OFF)])
def test_mtu_and_offloads_are_set(mtu, bytes, offloads, state, network):
    """Both ends have the MTU and the offloads asked for, as the kernel says; GRO is off on a fresh veth pair in any case."""
    made = network(mtu=mtu, offloads=offloads)
    for role, device in veth_keeper.DEVICES.items():
        assert made.facts[role] | {"mtu_bytes": bytes, "offloads": state} == made.facts[role]
        (sock,) = made.sockets(role, socket.AF_INET, 1)
        with sock:  # and by our own eyes, through a socket that was made there
            assert (ethtool.mtu(sock, device), ethtool.offloads(sock, device)) == (bytes, state)


@pytest.mark.parametrize("offloads", [True, False])
def test_packets_are_what_the_device_is_told(offloads, network):
    """With offloads the pair carries packets far larger than its MTU, without them none that is."""
    made = network(offloads=offloads)
    connections = connect(veth(offloads=offloads), 1, None, made)
    (client,), (server,) = connections.clients, connections.servers
    payload = bytes(1 << 20)
    client.setblocking(False)
    sent = received = 0
    while received < len(payload):
        if sent < len(payload):
            try:
                sent += client.send(payload[sent:])
            except BlockingIOError:
                pass
        received += len(server.recv(1 << 16, socket.MSG_WAITALL if sent == len(payload) and len(payload) - received >= 1 << 16 else 0))
    reader = subprocess.run(
        [sys.executable, "-c", _READ_DEVICE, str(made._keeper.pid), veth_keeper.DEVICES["receiver"]],
        capture_output=True,
        text=True,
        check=False,
    )
    connections.close()
    if reader.returncode and os.geteuid():
        pytest.skip(f"the device's counters cannot be read: {reader.stderr.splitlines()[-1]}; remedy: run as root")
    assert not reader.returncode, reader.stderr
    taken, packets = map(int, reader.stdout.split())
    assert taken >= len(payload)
    assert (taken / packets > 1514) == offloads


# The receiver's namespace is one that the keeper holds by a descriptor; the one it is in is whichever it made sockets in last.
_READ_DEVICE = """
import os, sys
from zcload.linux.namespaces import enter_network
pid, device = sys.argv[1:]
for name in os.listdir(f"/proc/{pid}/fd"):
    if os.readlink(f"/proc/{pid}/fd/{name}").startswith("net:["):
        enter_network(os.open(f"/proc/{pid}/fd/{name}", os.O_RDONLY))
        for line in open("/proc/thread-self/net/dev"):
            if line.strip().startswith(device + ":"):
                fields = line.split(":")[1].split()
                print(fields[0], fields[1])
"""


def test_sockets_are_in_namespaces_of_their_own(network):
    """Either end's sockets, accepted ones too, are in its namespace and not in ours, where no device appears."""
    made = network()
    ours = os.stat("/proc/self/ns/net").st_ino
    connections = connect(veth(), 70, None, made)  # more than one portion
    try:
        clients = {namespace_of(sock) for sock in connections.clients}
        servers = {namespace_of(sock) for sock in connections.servers}
        assert len(clients) == len(servers) == 1
        assert len({ours, *clients, *servers}) == 3
        assert all(sock.getpeername()[0] == VETH_IPV4 and sock.gettimeout() is None for sock in connections.clients)
        assert not set(veth_keeper.DEVICES.values()) & {name for _, name in socket.if_nameindex()}
    finally:
        connections.close()


def test_a_keeper_that_is_gone_is_named(network):
    """When the keeper was killed, the next wish for sockets is an error that says so."""
    made = network()
    os.kill(made._keeper.pid, signal.SIGKILL)
    with pytest.raises(StudyError, match=r"veth, keeper 0 \(pid \d+\): killed by SIGKILL"):
        made.sockets("sender", socket.AF_INET, 1)


def test_sockets_of_a_family_that_is_not_there_are_an_error(network):
    """What goes wrong in the keeper comes back as an error of the run, with the keeper's name."""
    made = network()
    with pytest.raises(StudyError, match="keeper"):
        made.sockets("sender", 12345, 1)


@pytest.mark.parametrize(
    ("code", "tried", "remedy"),
    [(errno.EPERM, 2, "run as root"), (errno.ENOSPC, 1, "namespaces"), (errno.EINVAL, 1, "CONFIG_NET_NS")],
)
def test_a_host_that_forbids_it_is_told_why(code, tried, remedy, monkeypatch):
    """A refusal names the key, what was tried and the kernel's reason, with the remedy; no process is left."""

    def refuse(flags):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(veth_keeper, "unshare", refuse)
    before = set(psutil.Process().children())
    with pytest.raises(ConfigError) as error:
        open_network(veth())
    problem = error.value.problems[0]
    assert problem.key == "workload.network"
    assert problem.what.count(os.strerror(code).lower()) == tried
    assert remedy in problem.remedy
    assert set(psutil.Process().children()) == before


_COPIED = """
import json, sys
from zcload.errors import ConfigError
from zcload.lane.network import open_network
from zcload.linux.namespaces import CLONE_NEWNET, CLONE_NEWUSER, unshare
from zcload.model.study import Point
try:
    unshare(CLONE_NEWNET)
except OSError:
    unshare(CLONE_NEWUSER | CLONE_NEWNET)
with open("/proc/sys/net/ipv4/tcp_rmem", "w") as setting:
    setting.write("4096 65536 1234567")
network = open_network(Point(network="veth"))
print(json.dumps(network.facts))
network.close()
"""


def test_settings_of_the_host_are_copied(network):
    """A TCP setting that was changed on the host holds in the veth pair's namespaces, and the result says that it was copied."""
    network()
    done = subprocess.run([sys.executable, "-c", _COPIED], cwd=ROOT, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["settings_copied"] == ["ipv4/tcp_rmem"]
    assert facts["settings_differ"] == []


def test_settings_are_read_where_they_can_be_set(tmp_path):
    """Only settings that can be written count: others are no choice of anybody's."""
    for name, mode in {"ipv4/tcp_rmem": 0o644, "ipv4/tcp_ehash_entries": 0o444, "ipv4/ip_forward": 0o644, "core/optmem_max": 0o644}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1\n")
        (tmp_path / name).chmod(mode)
    assert veth_keeper.read_settings(tmp_path) == {"ipv4/tcp_rmem": "1\n", "core/optmem_max": "1\n"}


def sent_by(net):
    """Return the bytes and packets that the sender's end of a veth pair has sent, as /proc/net/dev of its namespace says."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            net.enter("sender")
            os.write(writer, Path("/proc/self/net/dev").read_bytes())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as lines:
        (row,) = (line.partition(":")[2].split() for line in lines if veth_keeper.DEVICES["sender"] in line)
    os.waitpid(pid, 0)
    return int(row[8]), int(row[9])


@pytest.mark.serial
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_larger_packets_cross_the_pair_whole(address, network):
    """With gso_max_size the kernel says that it took it, for both families, and packets beyond 64 KiB are sent; else none are."""
    sizes = {}
    for asked in (None, 400_000):
        net = network(gso_max_size=asked, address=address)
        accepted = asked or 65_536
        for end in ("sender", "receiver"):
            assert (net.facts[end]["gso_max_bytes"], net.facts[end]["gso_ipv4_max_bytes"]) == (accepted, accepted)
        net.namespace_fds()
        connections = connect(veth(gso_max_size=asked, address=address, socket_buffer=4 << 20), 1, None, net)
        before = sent_by(net)
        taker = threading.Thread(target=lambda sock=connections.servers[0]: [None for _ in iter(lambda: sock.recv(1 << 20), b"")])
        taker.start()
        connections.clients[0].sendall(bytes(32 << 20))
        connections.clients[0].shutdown(socket.SHUT_WR)
        taker.join(20)
        sent, packets = (after - start for after, start in zip(sent_by(net), before, strict=True))
        connections.close()
        sizes[asked] = sent / packets
    assert sizes[None] < 70_000 < 100_000 < sizes[400_000]


def test_the_largest_packet_of_loopback_is_the_hosts():
    """gso_max_size without veth is an error that says so: zcload changes no device of the host."""
    text = "[study]\nname = 'x'\nbaseline = 'read_send'\nvariants = ['read_send', 'sendfile']\n[workload]\ngso_max_size = '192KiB'\n"
    with pytest.raises(ConfigError, match=r"workload\.gso_max_size: only works with network = 'veth'"):
        config.loads(text)
    (point,) = config.loads(text + "network = 'veth'\n").points
    assert veth_recipe(point).gso_max == 192 << 10
