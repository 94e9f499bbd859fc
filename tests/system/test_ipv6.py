"""IPv6: an address of it works wherever one of IPv4 does."""

from __future__ import annotations

import json
import socket
import subprocess

import pytest
from support.command_line import run_of
from support.paths import ROOT

from zcload.errors import ConfigError
from zcload.lane.connections import connect, listen
from zcload.lane.network import Network, family_of
from zcload.model.study import Point

POINT = Point(address="::1")


@pytest.fixture
def network():
    """The coordinator's own network at ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"::1 cannot be used here ({error}): sysctl net.ipv6.conf.lo.disable_ipv6=0")
    return Network("::1")


@pytest.mark.parametrize(("address", "family"), [("::1", socket.AF_INET6), ("127.0.0.1", socket.AF_INET), ("fd00::1", socket.AF_INET6)])
def test_the_family_follows_from_the_address(address, family):
    """A numeric address is of the family it is written in."""
    assert family_of(address) == family


def test_connections_at_an_ipv6_address(network):
    """Both ends of each connection are at ::1, and what one sends is what the other gets."""
    connections = connect(POINT, 3, None, network)
    try:
        for number, (client, server) in enumerate(zip(connections.clients, connections.servers, strict=True)):
            assert client.family == server.family == socket.AF_INET6
            assert client.getpeername()[0] == server.getpeername()[0] == "::1"
            client.sendall(b"number %d" % number)
            assert server.recv(100) == b"number %d" % number
    finally:
        connections.close()


def test_an_ipv6_address_of_nobody_is_refused():
    """An address that this machine does not have is an error of the config with its key, not a traceback."""
    with pytest.raises(ConfigError) as error:
        listen(Point(address="2001:db8::1"), None, 1, Network("2001:db8::1"))
    assert error.value.problems[0].key == "workload.address"


@pytest.mark.serial
def test_a_study_over_ipv6(network, tmp_path):
    """A study at ::1 is verified and measured like any other."""
    text = '[study]\nname = "six"\nbaseline = "read_send"\nvariants = ["read_send", "splice"]\nbest_chunk = false\n'
    text += (
        '[workload]\naddress = "::1"\nfile_size = "8MiB"\n[stop]\nmax_time = "1s"\nmin_generations = 2\nreplicates = 1\nwindow = "10ms"\n'
    )
    (tmp_path / "six.toml").write_text(text)
    command = run_of(tmp_path / "six.toml", tmp_path / "out", "--json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (point,) = json.loads(done.stdout)["points"]
    assert point["point"]["address"] == "::1"
    for variant in point["variants"]:
        assert variant["verified"]
        assert variant["bytes_sent"] == variant["bytes_received"] > 0
