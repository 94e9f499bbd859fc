"""A token in the environment of a server reaches the server, and nothing that zcload writes or prints."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support.command_line import invoke, zcload
from support.paths import SUPPORT
from support.processes import wait_until
from support.server_lanes import server_lanes

TOKEN = "hunter2-of-everybody"
STUDY = """
[study]
name = "secret"
baseline = "served"
variants = ["sendfile"]
best_chunk = false
[workload]
file_size = "1MiB"
placement = "free"
[stop]
max_time = "500ms"
target = "20%"
replicates = 1
min_generations = 2
window = "20ms"
[[variant]]
name = "served"
kind = "server"
command = ["sh", "-c", 'test -n "$ZC_TOKEN" && exec "$0" "$@"', "{{python}}", "{program}", "{{port}}", "{{root}}"]
environment = {{ ZC_TOKEN = "{token}" }}
[[variant]]
name = "talks"
kind = "server"
command = ["sh", "-c", 'echo "token $ZC_TOKEN"; exit 7', "{{port}}"]
environment = {{ ZC_TOKEN = "{token}" }}
[[variant]]
name = "fails"
kind = "server"
command = ["true", "{{port}}"]
check = ["sh", "-c", 'echo "token $ZC_TOKEN"; exit 8']
environment = {{ ZC_TOKEN = "{token}" }}
"""


def contents(folder):
    """Return all bytes of all files below *folder*."""
    return b"".join(Path(place, name).read_bytes() for place, _, names in os.walk(folder) for name in names)


@pytest.mark.slow
@pytest.mark.serial
def test_a_value_is_nowhere_but_in_the_server(tmp_path, monkeypatch, capsys):
    """The server gets its token; result, page, output, exports and history do not have it, and running the result again asks for it."""
    (tmp_path / "study.toml").write_text(STUDY.format(program=SUPPORT / "range_server.py", token=TOKEN))
    out = tmp_path / "results" / "r"
    run = zcload("run", "study.toml", "--out", out, "--no-wait", "--json-stream", cwd=tmp_path)
    assert run.returncode == 1, run.stderr
    assert "it said: token $ZC_TOKEN" in run.stderr  # of the server that says it and ends
    assert (out / "report.html").exists()
    monkeypatch.setenv("ZC_TOKEN", TOKEN)
    shapes = ("table", "markdown", "json", "csv", "csv-windows", "openmetrics", "benchstat", "bencher")
    commands = [["report", out, "--format", shape] for shape in shapes]
    commands += [["report", out, "--full"], ["history", "results"], ["run", out, "--plan", "--json", "--yes"]]
    monkeypatch.chdir(tmp_path)
    done = [invoke(capsys, *command) for command in commands]
    assert [command for command, each in zip(commands, done, strict=True) if each.code or not each.out] == []
    said = [run.stdout, run.stderr, *(text for each in done for text in (each.out, each.err))]
    assert TOKEN not in "".join(said)
    assert TOKEN.encode() not in contents(out)

    monkeypatch.delenv("ZC_TOKEN")
    for again in (["run", out, "--yes", "--no-wait", "--out", "again"], ["run", "--resume", out, "--yes", "--no-wait", "--max-time", "2s"]):
        refused = invoke(capsys, *again)
        assert refused.code == 2, refused.err
        assert "variant[served].environment: ZC_TOKEN is not set" in refused.err
    assert not (tmp_path / "again").exists()


@pytest.mark.serial
def test_the_folder_of_a_server_is_its_own():
    """No other user can list, enter or read the folder of a server that runs, nor what is in it."""
    with server_lanes(1 << 16) as bring_up:
        own = bring_up().serving.running._output.parent
        assert wait_until(own.exists, 60)
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert stat.S_IMODE(own.parent.stat().st_mode) & 0o066 == 0
