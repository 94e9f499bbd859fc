"""`zcload cluster up` with a real sshd on hosts that are network namespaces: a study over what it started, and each reason to fail."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time

import pytest
from support import ssh_hosts
from support.namespace_hosts import NamespaceHosts, missing

from zcload import __version__

pytestmark = [pytest.mark.serial, pytest.mark.slow]

STUDY = """
[study]
name = "up"
baseline = "read_send"
variants = ["read_send", "sendfile"]
best_chunk = false
[workload]
file_size = "4MiB"
[stop]
max_time = "3s"
min_generations = 2
replicates = 1
"""
GONE_S = 30


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """Hosts a and b with sshd; c has none."""
    why = missing() or ssh_hosts.missing()
    if why:
        pytest.skip(why)
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(contextlib.closing(NamespaceHosts()))
        yield stack.enter_context(contextlib.closing(ssh_hosts.SshHosts(hosts, tmp_path_factory.mktemp("ssh"), ("a", "b"))))


def zcload(ssh, place, *arguments):
    """Run a command in *place* as the user who can connect."""
    command = [sys.executable, "-m", "zcload", *arguments]
    return subprocess.run(command, cwd=place, env=ssh.environment(), capture_output=True, text=True, timeout=300)


def processes(ssh):
    return ssh.pids("a") | ssh.pids("b")


def wait_until_gone(ssh):
    deadline = time.monotonic() + GONE_S
    while (left := processes(ssh)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_up_starts_what_a_study_runs_on_and_down_ends_it(ssh, tmp_path):
    """Scheduler and workers outlive `up`, are quiet, have roles and private keys, run a study, and `down` leaves none of them."""
    done = zcload(ssh, tmp_path, "cluster", "up", "a", "b")
    assert done.returncode == 0, done.stderr
    address = f"tls://{ssh.hosts.address('a')}:8786"
    assert f"zcload run heavy --cluster {address}\n" in done.stdout
    assert "senders: a\nreceivers: b\n" in done.stdout
    assert sum(ssh_hosts.command(pid).startswith(sys.executable) for pid in ssh.pids("a")) == 2
    assert sum(ssh_hosts.command(pid).startswith(sys.executable) for pid in ssh.pids("b")) == 1
    for name in ("a", "b"):
        files = sorted((ssh.home_of(name) / ".cache" / "zcload").glob("keys-*/*"))
        assert [(file.name, file.stat().st_mode & 0o777) for file in files] == [("ca.pem", 0o600), ("cert.pem", 0o600), ("key.pem", 0o600)]
        assert not any("PRIVATE" in command for command in map(ssh_hosts.command, ssh.pids(name)))
    checked = json.loads(zcload(ssh, tmp_path, "cluster", "check", address, "--json").stdout)
    assert [(host["name"], host["roles"]) for host in checked["hosts"]] == [("a", ["sender"]), ("b", ["receiver"])]
    assert (checked["engine"]["quiet"], checked["engine"]["encrypted"], checked["problems"]) == (True, True, [])
    (tmp_path / "up.toml").write_text(STUDY)
    ran = zcload(ssh, tmp_path, "run", "up.toml", "--cluster", address, "--out", "r", "--no-wait", "--no-html")
    assert ran.returncode == 0, ran.stderr
    assert "pairs a -> b" in ran.stdout
    down = zcload(ssh, tmp_path, "cluster", "down", address)
    assert (down.returncode, down.stdout) == (0, f"{address}: ended the scheduler and 2 workers\n"), down.stderr
    assert not wait_until_gone(ssh)


@pytest.fixture
def spoiled(ssh, tmp_path):
    """Return a function that arranges a fault and returns the arguments of `up`, and what the error says."""
    undo = contextlib.ExitStack()

    def no_ssh():
        return [ssh.hosts.address("c")], "no SSH: connection refused"

    def unknown_host_key():
        known = ssh.home / ".ssh" / "known_hosts"
        undo.callback(known.write_text, known.read_text())
        known.write_text("")
        return [], "SSH does not know its host key: run `ssh b` once"

    def wrong_key():
        file = ssh.directory / "authorized-b"
        undo.callback(file.write_text, file.read_text())
        file.write_text("")
        return [], "SSH refuses this user: Permission denied"

    def no_python():
        return ["--python", "/nowhere/python"], "/nowhere/python"

    def no_zcload():
        return ["--python", script('exec /usr/bin/env -i /usr/bin/python3 -S "$@"')], "no zcload in"

    def other_version():
        code = f'exec {sys.executable} -c "print(\'{{\\"zcload\\": \\"0.0.1\\", \\"distributed\\": \\"1\\"}}\')"'
        return ["--python", script(code)], f"zcload 0.0.1 there, {__version__} here"

    def port_in_use():
        code = f"import socket, sys; s = socket.create_server(('{ssh.hosts.address('a')}', 8786)); print(flush=True); sys.stdin.read()"
        holder = undo.enter_context(
            subprocess.Popen([*ssh.hosts.inside("a"), sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        undo.callback(holder.kill)
        holder.stdout.readline()
        return [], "the scheduler did not start: "

    def script(text):
        """Return a program for host b that does *text*, and on host a is Python."""
        path = tmp_path / "python"
        path.write_text(f'#!/bin/sh\ncase "$SSH_CONNECTION" in *" {ssh.hosts.address("a")} "*) exec {sys.executable} "$@";; esac\n{text}\n')
        path.chmod(0o755)
        return str(path)

    with undo:
        yield {each.__name__: each for each in (no_ssh, unknown_host_key, wrong_key, no_python, no_zcload, other_version, port_in_use)}


@pytest.mark.parametrize(
    ("fault", "host"),
    [
        ("no_ssh", "c"),
        ("unknown_host_key", "a"),
        ("wrong_key", "b"),
        ("no_python", "a"),
        ("no_zcload", "b"),
        ("other_version", "b"),
        ("port_in_use", "a"),
    ],
)
def test_what_keeps_up_from_starting_is_one_line_with_its_host(ssh, spoiled, tmp_path, fault, host):
    """No SSH, an unknown host key, a refused key, no Python, no zcload, another version or a port in use: one line, and nothing is left."""
    more, says = spoiled[fault]()
    before = processes(ssh)
    arguments = ["a=sender", "b=receiver", *(f"{each}=receiver" if each[0].isdigit() else each for each in more)]
    done = zcload(ssh, tmp_path, "cluster", "up", *arguments)
    assert (done.returncode, done.stdout.count("\n") <= 2) == (1, True), done.stderr
    name = ssh.hosts.address("c") if host == "c" else host
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("zcload: error: ")]
    assert line.startswith(f"zcload: error: host {name}: "), done.stderr
    assert says.replace("`ssh b`", f"`ssh {host}`") in line
    assert "Traceback" not in done.stderr
    deadline = time.monotonic() + GONE_S
    while processes(ssh) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes(ssh) <= before
