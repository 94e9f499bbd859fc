"""Faults of servers as a user meets them: one clear line, the right exit code, and nothing left running."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from support.command_line import run_of
from support.paths import SUPPORT
from support.processes import MARK, marked, wait_until

HERE = SUPPORT
STUDY = """
[study]
name = "faults"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file_size = "1MiB"
placement = "free"
[stop]
max_time = "2s"
min_generations = 2
replicates = 1
window = "20ms"
[[variant]]
name = "faulty"
kind = "server"
command = ["{{python}}", "{program}", "{fault}", "{{port}}", "{{file}}"]
request_size = "64KiB"
ready_time = "{ready}"
grace = "300ms"
"""

# The fault, the exit code, the status of the variant, and what its reason says.
FAULTS = [
    ("dies", 1, "failed", "exited with status 3; it said: out of cheese"),
    ("404", 1, "failed", "answered with status 404 Not Found, expected 206 Partial Content"),
    ("500 later", 1, "failed", "status 500 Internal Server Error, expected 206 Partial Content"),
    ("short", 1, "failed", "1000 of"),
    ("length", 1, "failed", "Content-Length 17, expected 65536"),
    ("garbage", 1, "failed", "nothing of HTTP"),
    ("endless", 1, "failed", "header"),
    ("never", 1, "failed", "was not ready within 1 s"),
    ("forks", 0, "ok", None),
    ("ignores", 0, "ok", None),
]


def measured(fault, tmp_path):
    """Run a study with a server that has *fault*; return the process that ended, and the summary if there is one."""
    (tmp_path / "study.toml").write_text(STUDY.format(program=HERE / "faulty.py", fault=fault, ready="1s" if fault == "never" else "20s"))
    environment = {**os.environ, MARK: str(tmp_path)}
    command = run_of(tmp_path / "study.toml", tmp_path / "r")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    summary = tmp_path / "r" / "summary.json"
    return done, json.loads(summary.read_text()) if summary.exists() else None


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "code", "status", "says"), FAULTS, ids=[fault for fault, *_ in FAULTS])
def test_a_fault_is_one_line_and_the_right_exit_code(fault, code, status, says, tmp_path):
    """Whatever a server does wrong is named in one line; the others are measured to the end; exit code 1; nothing of it is left."""
    done, summary = measured(fault, tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    errors = [line for line in done.stderr.splitlines() if line.startswith("zcload: error:")]
    assert len(errors) == code
    assert all("faulty" in line and says in line for line in errors)
    variants = {v["name"]: v for v in summary["points"][0]["variants"]}
    assert variants["read_send"]["status"] == "ok"
    assert variants["read_send"]["windows"] > 0
    found = variants["faulty"]
    assert found["status"] == status
    if says is None:
        assert found["reason"] is None
    else:
        assert says in found["reason"]
        assert "\n" not in found["reason"]
        assert len(found["reason"]) < 500
    codes = {caution["code"] for caution in summary["cautions"]}
    assert ("server_end" in codes) == (fault == "ignores")
    if fault == "forks":
        assert found["server"]["processes"] == 6
    assert wait_until(lambda: not marked(tmp_path), 60)


@pytest.mark.slow
def test_a_server_that_changes_the_file_ends_the_run(tmp_path):
    """A server that writes into the file under test changes what all lanes send: the run ends with exit code 1 and names the file."""
    done, _ = measured("changes", tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("zcload: error:")]
    assert "changed" in line
    assert wait_until(lambda: not marked(tmp_path), 60)
