"""How hosts are written for `zcload cluster up`, and who gets which role."""

from __future__ import annotations

import pytest

from zcload.cluster.ssh_host import SshHost
from zcload.cluster.ssh_launch import launch_of
from zcload.errors import ConfigError


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
