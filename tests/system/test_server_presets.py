"""The shipped server presets, each with the real programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from support.command_line import run_of
from support.paths import ROOT

from zcload import config
from zcload.errors import ConfigError
from zcload.runner.run import run

PRESETS = sorted(ROOT.glob("configs/servers/*.toml"))
SERVERS = ROOT / ".venv-servers" / "bin"  # .ci/run makes it from .ci/servers.lock
SAME_SERVERS = ("all", "nginx-rate")  # as the other presets have, so every night is often enough
PATH = os.pathsep.join([str(SERVERS), os.environ.get("PATH", ""), "/usr/sbin"])


def programs(path):
    """Return the programs of a preset's servers, by variant."""
    return {v["name"]: v for v in config.load(path).config["variant"] if v.get("kind") == "server"}


# What moves the payload in each, as its own code says: the presets' comments and docs/servers.md tell users so.
MOVED = {
    **dict.fromkeys(["nginx-on", "nginx-on-128k", "nginx-aio", "nginx-http", "nginx-http1", "nginx-http2", "nginx-http2-64k"], "sendfile"),
    **dict.fromkeys(["caddy", "caddy-http1", "caddy-1-cpu", "gunicorn", "aiohttp"], "sendfile"),
    **dict.fromkeys(["http.server", "uvicorn", "before", "after", "fastapi", "starlette-static"], "read + sendto"),
    "flask-whole": "sendfile",
    "flask-ranges": "read + sendto",
    "granian": "read + writev",
    **dict.fromkeys(["nginx-off", "nginx-http-off"], "pread64 + writev"),
    **dict.fromkeys(["nginx-https", "nginx-https2"], "pread64 + write"),
    "caddy-http2": "read + write",
}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_say_how_to_get_their_programs(path):
    """Every server of a preset but those of the template names what installs it."""
    assert programs(path)
    assert all(server.get("install") for server in programs(path).values()) or path.stem == "yours"


def test_what_runs_every_night_alone_has_no_server_of_its_own():
    """The presets that only run every night have servers that another preset, which runs always, has too."""
    often = {name for path in PRESETS if path.stem not in SAME_SERVERS for name in programs(path)}
    assert {name for path in PRESETS if path.stem in SAME_SERVERS for name in programs(path)} <= often


@pytest.mark.parametrize("path", [*PRESETS, ROOT / "docs" / "servers.md"], ids=lambda path: path.name)
def test_no_preset_writes_an_address_before_a_port(path):
    """Where a port follows the address it is {host}, which has the brackets of an IPv6 address, in every preset and in the docs."""
    assert "{address}:" not in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.nightly] * (path.stem in SAME_SERVERS), id=path.stem) for path in PRESETS]
)
def test_presets_run_with_the_real_programs(path, tmp_path):
    """Each server of a preset that is installed hands out the file, verified, and is measured; one that lacks something is skipped."""
    wanted = {name: server["command"][0] for name, server in programs(path).items()}
    needs = {name: ["openssl"] if server.get("tls") else [] for name, server in programs(path).items()}
    there = {name for name, program in wanted.items() if all(shutil.which(each, path=PATH) for each in [program, *needs[name]])}
    if not there:
        pytest.skip(f"none of {set(wanted.values())} is installed: .ci/run installs what the presets need")
    out = tmp_path / "result"
    command = run_of(path, out, "--max-time", "5s", "--json")
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


LINKS_ARE_NOT_FOUND = """
import functools, http.server, os, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def send_head(self):
        return self.send_error(404) if os.path.islink(self.translate_path(self.path)) else super().send_head()

http.server.HTTPServer(("{address}", {port}), functools.partial(Handler, directory="{root}")).serve_forever()
"""


@pytest.mark.serial
@pytest.mark.usefixtures("leaks")
def test_a_link_that_a_server_does_not_follow_is_told(tmp_path):
    """A 404 for a file of the user's names the symbolic link that stands for it in the root, where it leads, and what helps."""
    file = tmp_path / "my file.bin"
    file.write_bytes(bytes(300_000))
    study = config.loads(
        "[study]\nname = 'links'\nbaseline = 'read_send'\nvariants = ['read_send', 'sendfile']\nbest_chunk = false\n"
        f"[workload]\nfile = '{file}'\n[stop]\nmax_time = '1s'\ntarget = '90%'\nmin_generations = 2\nreplicates = 1\n"
        "[[variant]]\nname = 'strict'\nkind = 'server'\ncommand = ['{python}', '{dir}/app.py']\n"
        f'[variant.files]\n"app.py" = """{LINKS_ARE_NOT_FOUND}"""\n'
    )
    summary = run(study, tmp_path / "result").result.summary
    (strict,) = (v for v in summary["points"][0]["variants"] if v["name"] == "strict")
    assert strict["status"] == "failed"
    assert f"is a symbolic link to {file}" in strict["reason"]
    assert "follow_symlink=True" in strict["reason"]


def test_an_ipv6_address_before_a_port_needs_brackets():
    """With an IPv6 address {address}:{port} in a server's texts is an error that says what to write."""
    text = (
        "[study]\nname = 'v6'\nbaseline = 'read_send'\nvariants = ['read_send']\n[workload]\naddress = '::1'\n"
        "[[variant]]\nname = 's'\nkind = 'server'\ncommand = ['gunicorn', '--bind', '{address}:{port}']\n"
    )
    with pytest.raises(ConfigError, match=r"\{host\}:\{port\}"):
        config.loads(text)
    config.loads(text.replace("{address}:", "{host}:"))
