"""The shipped server presets, each with the real programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from support.paths import ROOT

from zcload import config

PRESETS = sorted(ROOT.glob("configs/servers/*.toml"))
SERVERS = ROOT / ".venv-servers" / "bin"  # .ci/run makes it from .ci/servers.lock
PATH = os.pathsep.join([str(SERVERS), os.environ.get("PATH", ""), "/usr/sbin"])


def programs(path):
    """Return the programs of a preset's servers, by variant."""
    return {v["name"]: v for v in config.load(path).config["variant"] if v.get("kind") == "server"}


# What moves the payload in each, as its own code says: the presets' comments and docs/servers.md tell users so.
MOVED = {
    **dict.fromkeys(["nginx-on", "nginx-on-128k", "nginx-aio", "nginx-http", "caddy", "caddy-1-cpu", "gunicorn", "aiohttp"], "sendfile"),
    **dict.fromkeys(["http.server", "uvicorn", "before", "after"], "read + sendto"),
    "granian": "read + writev",
    **dict.fromkeys(["nginx-off", "nginx-http-off"], "pread64 + writev"),
    "nginx-https": "pread64 + write",
}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_say_how_to_get_their_programs(path):
    """Every server of a preset but those of the template names what installs it."""
    assert programs(path)
    assert all(server.get("install") for server in programs(path).values()) or path.stem == "yours"


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_run_with_the_real_programs(path, tmp_path):
    """Each server of a preset that is installed hands out the file, verified, and is measured; one that lacks something is skipped."""
    wanted = {name: server["command"][0] for name, server in programs(path).items()}
    needs = {name: ["openssl"] if server.get("tls") else [] for name, server in programs(path).items()}
    there = {name for name, program in wanted.items() if all(shutil.which(each, path=PATH) for each in [program, *needs[name]])}
    if not there:
        pytest.skip(f"none of {set(wanted.values())} is installed: .ci/run installs what the presets need")
    out = tmp_path / "result"
    command = [
        sys.executable,
        "-m",
        "zcload",
        "run",
        "--no-wait",
        str(path),
        "--out",
        str(out),
        "--max-time",
        "5s",
        "--no-progress",
        "--json",
    ]
    command += [
        "--set",
        "workload.file_size=8MiB",
        "--set",
        "stop.min_generations=2",
        "--set",
        "stop.replicates=1",
        "--set",
        "stop.target=90%",
    ]
    environment = {**os.environ, "PATH": PATH}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    variants = {v["name"]: v for v in json.loads(done.stdout)["points"][0]["variants"]}
    assert wanted.keys() <= variants.keys()
    for name in wanted:
        found = variants[name]
        assert found["status"] == ("ok" if name in there and checked(programs(path)[name]) else "skipped"), found["reason"]
        if found["status"] == "ok":
            assert found["verified"]
            assert found["bytes_received"] > 0
            # Two sources of the same CPU time: None where this user may not make control groups.
            assert found["server"]["cpu_apart"] is None or abs(found["server"]["cpu_apart"]) < 0.02
            assert (found["server"]["tls"] is not None) == bool(programs(path)[name].get("tls"))
            assert (found["traced"]["moved"], found["traced"]["reason"]) == (MOVED[name], None) or not shutil.which("strace")
        else:
            assert any(f"({remedy})" in found["reason"] for remedy in (programs(path)[name]["install"], "apt-get install openssl"))


def checked(server):
    """Say whether the packages that a server's check asks for are there: python3 alone is not enough for a server written in it."""
    return not server.get("check") or not subprocess.run(server["check"], env={**os.environ, "PATH": PATH}, capture_output=True).returncode
