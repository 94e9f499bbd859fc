"""Studies of servers run without privileges, and say what those would have shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from support.command_line import run_of
from support.paths import ROOT

from zcload.server.running import free_port

pytestmark = pytest.mark.slow

PATH = os.pathsep.join([str(ROOT / ".venv-servers" / "bin"), os.environ.get("PATH", ""), "/usr/sbin"])
USER = 54321  # nobody's: it has no name and no home
# What this user lacks of an ordinary one is nothing but that it may read every file: Python may be where only root can.
BECOME = [
    "setpriv",
    f"--reuid={USER}",
    f"--regid={USER}",
    "--clear-groups",
    "--inh-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
]
BECOME += ["--ambient-caps=-all,+dac_read_search"]


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a study as an ordinary user and returns its summary; it ends with exit code 0."""
    become = BECOME if os.getuid() == 0 else []
    if become and not shutil.which("setpriv"):
        pytest.skip("there is no setpriv to become another user with: apt-get install util-linux")
    if become and subprocess.run([*become, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no other user can be had here: apt-get install util-linux, or run the tests as an ordinary user")
    own = tmp_path / "own"
    own.mkdir()
    own.chmod(0o777)

    def run_it(config, *options):
        command = [*become, *run_of(config, own / "r", "--json")]
        command += [
            "--max-time",
            "5s",
            "--set",
            "stop.min_generations=2",
            "--set",
            "stop.replicates=1",
            "--set",
            "stop.target=90%",
            *options,
        ]
        environment = {**os.environ, "PATH": PATH, "HOME": str(own), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_it


@pytest.mark.timeout(180)
@pytest.mark.parametrize("preset", ["all", "tls", "yours"])
def test_presets_need_no_privileges(preset, run):
    """As an ordinary user every server of a preset that is there is verified, measured by its processes' clocks, and traced."""
    summary = run(ROOT / "configs/servers" / f"{preset}.toml", "--set", "workload.file_size=8MiB")
    found = [v for v in summary["points"][0]["variants"] if v.get("server")]
    if not found:
        pytest.skip("none of its programs is installed: .ci/run installs what the presets need")
    for variant in found:
        assert (variant["status"], variant["verified"], variant["server"]["not_seen"]) == ("ok", True, [])
        assert shutil.which("strace") is None or variant["traced"]["moved"] is not None, variant["traced"]["reason"]


ATTACH = """
[study]
name = "s"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file = "{file}"
[[variant]]
name = "running"
kind = "server"
attach = {pid}
port = {port}
path = "/f"
"""


@pytest.mark.skipif(os.getuid() != 0, reason="a server of another user: run the tests as root")
@pytest.mark.timeout(120)
def test_attach_to_the_server_of_another_user(tmp_path, run):
    """A server of root's is measured by an ordinary user, goes on, is not traced, and what could not be seen is named."""
    import socket

    (tmp_path / "www").mkdir()
    file = tmp_path / "www" / "f"
    file.write_bytes(os.urandom(4 << 20))
    for directory in (tmp_path, *tmp_path.parents[:3]):
        directory.chmod(0o755)  # access(2), by which a file of the user's is checked, knows no capabilities
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(file.parent), str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with socket.socket() as sock:
                    if not sock.connect_ex(("127.0.0.1", port)):
                        break
                time.sleep(0.02)
            config = tmp_path / "s.toml"
            config.write_text(ATTACH.format(file=file, pid=server.pid, port=port))
            summary = run(config)
            assert server.poll() is None
        finally:
            server.kill()
    (variant,) = (v for v in summary["points"][0]["variants"] if v["name"] == "running")
    assert (variant["status"], variant["verified"]) == ("ok", True)
    assert variant["server"]["cpu_from"] == "clocks"
    assert variant["server"]["not_seen"] == ["the bytes it reads from the disk", "its environment"]
    assert variant["traced"]["reason"] == "a server that ran before is not traced: it would be slowed for its other clients"
