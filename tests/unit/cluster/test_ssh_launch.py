"""How hosts are written for `zcload cluster up`, and who gets which role."""

from __future__ import annotations

import asyncio

import distributed
import pytest

from zcload.cli.cluster_up import bring_up
from zcload.cluster import ssh_launch
from zcload.cluster.ssh_host import SshHost
from zcload.cluster.ssh_launch import launch_of
from zcload.errors import ConfigError, StudyError


@pytest.mark.parametrize(
    ("text", "host", "command"),
    [
        ("tx-1", SshHost("tx-1"), "ssh tx-1"),
        ("root@tx-1:2222=sender", SshHost("tx-1", "root", 2222, "sender"), "ssh -p 2222 root@tx-1"),
        ("[fd00::1]:22=receiver", SshHost("fd00::1", None, 22, "receiver"), "ssh -p 22 fd00::1"),
        ("10.0.0.1=receiver", SshHost("10.0.0.1", role="receiver"), "ssh 10.0.0.1"),
    ],
)
def test_a_host_is_read_as_it_is_written(text, host, command):
    """User, port and role are taken off the name, and the host knows the command that reaches it."""
    assert SshHost.of(text) == host
    assert host.ssh() == command


@pytest.mark.parametrize("text", ["", "a b", "a=storage", "a:port", "$(reboot)", "fd00::1"])
def test_what_is_no_host(text):
    """What is no host is refused with how one is written."""
    with pytest.raises(ConfigError, match=r"is not a host \(write \[USER@\]HOST"):
        SshHost.of(text)


@pytest.mark.parametrize("port", ["0", "65536", "99999999"])
def test_a_port_that_does_not_exist(port):
    """A port is one that TCP has."""
    with pytest.raises(ConfigError, match=rf"port {port} of 'a:{port}' is out of range"):
        SshHost.of(f"a:{port}")


def test_a_process_that_fails_and_goes_on_is_not_waited_for(monkeypatch):
    """What a failed process still says is collected until it falls silent, whether it ends or not."""

    class Stderr:
        def __init__(self) -> None:
            self.lines = ["Traceback", "no such module"]

        async def readline(self) -> str:
            return self.lines.pop(0) if self.lines else await asyncio.Event().wait()

    monkeypatch.setattr(ssh_launch, "_REST_S", 0.05)
    assert asyncio.run(ssh_launch._rest(Stderr())) == ["Traceback", "no such module"]


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("keys_there", [None, "/etc/zcload"])
def test_keys_that_are_missing_here_are_named_before_any_host_is_asked(tmp_path, monkeypatch, missing, keys_there):
    """A directory without one of the TLS files is refused with the file's name: this host joins the cluster by them too."""
    monkeypatch.setattr("zcload.cluster.dask_client.check_installed", lambda: None)
    for name in {"ca.pem", "cert.pem", "key.pem"} - {missing}:
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match=rf"--keys: .* has no file {missing}"):
        bring_up(["a", "b"], scheduler=None, port=8786, python=None, keys=tmp_path, keys_there=keys_there)


def test_keys_that_are_on_the_hosts_are_not_made_here(tmp_path, monkeypatch):
    """With --keys-there new keys would not fit those of the hosts: a directory that is not there is refused."""
    monkeypatch.setattr("zcload.cluster.dask_client.check_installed", lambda: None)
    with pytest.raises(ConfigError, match=r"has no file ca\.pem"):
        bring_up(["a", "b"], scheduler=None, port=8786, python=None, keys=tmp_path / "none", keys_there="/etc/zcload")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("texts", "roles"),
    [
        (["a", "b"], {"a": "sender", "b": "receiver"}),
        (["a", "b", "c", "d"], {"a": "sender", "b": "sender", "c": "receiver", "d": "receiver"}),
        (["a=sender", "b=sender", "c=receiver"], {"a": "sender", "b": "sender", "c": "receiver"}),
    ],
)
def test_roles(texts, roles):
    """The first half sends and the second receives, unless each host says its role; the scheduler is on the first."""
    launch = launch_of(texts, None, python="python", keys="keys")
    assert launch.roles == roles
    assert launch.scheduler.name == "a"


@pytest.mark.parametrize(
    ("texts", "says"),
    [(["a"], "host a has no role"), (["a=sender", "b"], "host b has no role"), (["a", "a"], "host a is named twice")],
)
def test_hosts_whose_roles_are_unclear(texts, says):
    """A host without a role, and one that is named twice, are refused with what to write."""
    with pytest.raises(ConfigError, match=says):
        launch_of(texts, None, python="python", keys="keys")


def test_paths_on_the_hosts_reach_them_whole(tmp_path, monkeypatch):
    """`~/` of `--keys-there` and `--python` is the home directory of each host, and a Python whose path has a space is one word there."""
    given = {}

    def started(hosts, **options):
        given.update(options)
        raise StudyError("nothing is started")

    monkeypatch.setattr(distributed, "SSHCluster", started)
    launch = launch_of(["a", "b"], None, python="~/my python/bin/python", keys=tmp_path, keys_there="~/keys")
    with pytest.raises(StudyError, match="nothing is started"):
        ssh_launch._cluster(launch, dict.fromkeys(launch.hosts, "10.0.0.1"))
    assert given["remote_python"] == "'./my python/bin/python'"
    assert launch.keys_there == "keys"
