"""Whole studies with a server at a rate and with small files: records, summary and report as for mechanisms; search; resume; TLS."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jsonschema
import pytest
from support.server_lanes import RANGES

from zcload import config
from zcload.report import renderer
from zcload.runner.run import run
from zcload.store.reader import WINDOWS, read_records
from zcload.store.result_schema import summary_schema

pytestmark = pytest.mark.slow

SMALL = {"transfer": "per-file", "transfer_size": "16KiB"}


def tree(**workload):
    """Return a study of a mechanism and the tests' own server."""
    return {
        "study": {"name": "s", "baseline": "read_send", "variants": ["read_send"], "best_chunk": False},
        "workload": {"file_size": "4MiB", "chunk": "32KiB", "placement": "free", **workload},
        "stop": {"max_time": "2s", "min_generations": 2, "replicates": 1, "window": "150ms"},
        "variant": [{"name": "web", "kind": "server", "over": "read_send", "command": list(RANGES)}],
    }


def rendered(outcome):
    """Return the report of a run as a terminal shows it."""
    return renderer("table")([outcome.result], 120)


@pytest.mark.serial
def test_a_study_at_a_rate(tmp_path):
    """A server keeps to a rate by its receivers' schedule, never beyond, and everything said of a rate is said of it."""
    outcome = run(config.from_tree(tree(rate="200Mbit/s", senders=2)), tmp_path / "r", seed=3)
    assert outcome.exit_code == 0
    jsonschema.validate(outcome.summary, summary_schema())
    (point,) = outcome.summary["points"]
    assert point["pacing"]["cpu_s_per_sleep"] > 0
    web = next(v for v in point["variants"] if v["name"] == "web")
    assert web["server"]["request_bytes"] == 32 << 10
    assert web["rate"]["asked_bps"] == 200e6
    achieved = web["rate"]["achieved_bps"]["estimate"]
    assert 0 < achieved <= 1.02 * 200e6  # a busy machine reaches less
    assert bool(web["rate"]["reached"]) == (achieved >= 0.98 * 200e6) == (web["bottleneck"]["verdict"] == "rate")
    assert web["rate"]["lateness"]["p99"] >= web["rate"]["lateness"]["p50"] >= 0
    assert web["rate"]["sleeps_per_gb"] > 0
    assert {c["metric"] for c in point["comparisons"] if c["difference"]} >= {"total_cpu_cores"}


@pytest.mark.serial
def test_a_server_that_misses_a_rate_is_a_finding(tmp_path):
    """A rate that no server reaches is no error: it is said, and no verdict about CPU is given."""
    outcome = run(config.from_tree(tree(rate="100Tbit/s")), tmp_path / "r", seed=3)
    assert outcome.exit_code == 0
    (point,) = outcome.summary["points"]
    assert [v["rate"]["reached"] for v in point["variants"]] == [False, False]
    assert "web" in " ".join(c["message"] for c in outcome.summary["cautions"] if c["code"] == "rate_missed")


@pytest.mark.serial
@pytest.mark.parametrize("arrivals", [{}, {"arrivals": "poisson", "transfer_rate": "500/s"}], ids=["closed", "poisson"])
def test_a_study_of_small_files(tmp_path, arrivals):
    """CPU per transfer and latencies of a server stand beside those of mechanisms, in the summary and in the report."""
    outcome = run(config.from_tree(tree(**SMALL, **arrivals, senders=2)), tmp_path / "r", seed=3)
    assert outcome.exit_code == 0, outcome.summary["cautions"]
    jsonschema.validate(outcome.summary, summary_schema())
    (point,) = outcome.summary["points"]
    for variant in point["variants"]:
        assert variant["verified"]
        assert variant["latency"]["kind"] == ("response_time" if arrivals else "service_time")
        assert variant["latency"]["count"] > 0
        assert variant["metrics"]["total_cpu_s_per_transfer"]["estimate"] > 0
    web = point["variants"][1]
    assert web["server"]["request_bytes"] == 16 << 10
    assert web["metrics"]["receiver_syscalls_per_transfer"]["estimate"] >= 3
    text = rendered(outcome)
    assert "per file" in text
    assert "whole files of 16KiB" in text


@pytest.mark.serial
@pytest.mark.parametrize(
    ("sweep", "workload"),
    [
        ({"sweep": "rate", "low": "400Mbit/s", "high": "1.6Gbit/s"}, {}),
        ({"sweep": "transfer_size", "low": "4KiB", "high": "16KiB"}, SMALL),
    ],
    ids=["rate", "transfer_size"],
)
def test_a_search_with_a_server(tmp_path, sweep, workload):
    """A search along rates or sizes of files takes a server as its contender, and ends with what it found."""
    asked = tree(**{key: value for key, value in workload.items() if key != sweep["sweep"]})
    asked["crossover"] = {**sweep, "contender": "web", "max_time": "3s"}
    del asked["study"]["best_chunk"]
    asked["stop"] = {"min_generations": 2, "replicates": 1, "window": "60ms"}
    outcome = run(config.from_tree(asked), tmp_path / "r", seed=3)
    assert outcome.exit_code == 0
    crossing = outcome.summary["crossing"]
    assert crossing["contender"] == "web"
    measured = [p for p in outcome.summary["points"] if p["generations"]]
    assert len(measured) >= 2
    assert crossing["verdict"] in ("crosses", "several", "always", "never", "no difference", "open")


def test_an_interrupted_study_of_small_files_goes_on(tmp_path):
    """A run with a server that was killed is taken up again: its small files are written anew, and it comes to its end."""
    asked = tree(**SMALL)
    asked["stop"] = {"max_time": "3s", "target": "0.1%", "min_generations": 2, "replicates": 1, "window": "20ms"}
    text = "\n".join(_toml(asked))
    (tmp_path / "s.toml").write_text(text)
    out = tmp_path / "r"
    command = [sys.executable, "-m", "zcload", "run", "--no-wait", "--no-progress", "--no-html"]
    with subprocess.Popen(
        [*command, str(tmp_path / "s.toml"), "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _windows(out):
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    assert _windows(out)
    again = subprocess.run([*command, "--yes", "--resume", str(out)], capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["complete"]
    assert len(summary["resumed"]) == 1
    assert all(v["latency"]["count"] for v in summary["points"][0]["variants"])


def _windows(out):
    """Say whether a window that counts has been stored."""
    return (out / WINDOWS).exists() and any(r["kind"] == "window" and r["purpose"] == "measure" for r in read_records(out / WINDOWS))


def _toml(asked):
    for section in ("study", "workload", "stop"):
        yield f"[{section}]"
        yield from (f"{key} = {json.dumps(value)}" for key, value in asked[section].items())
    for variant in asked["variant"]:
        yield "[[variant]]"
        yield from (f"{key} = {json.dumps(value)}" for key, value in variant.items())


NGINX = """
user {user} {group}; daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4;
       scgi_temp_path {dir}/5; sendfile on; ssl_certificate {certificate}; ssl_certificate_key {key};
       server { listen {host}:{port} ssl; root {root}; } }
"""


@pytest.mark.serial
@pytest.mark.skipif(
    not (shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") and shutil.which("openssl")),
    reason="no nginx or no openssl: apt-get install nginx-light openssl",
)
@pytest.mark.parametrize(
    "workload",
    [{"rate": "100Mbit/s"}, SMALL, {**SMALL, "connection": "fresh", "arrivals": "constant", "transfer_rate": "200/s"}],
    ids=["rate", "closed", "fresh"],
)
def test_over_tls_with_nginx(workload, tmp_path, monkeypatch):
    """Over https a rate is never exceeded, and small files come verified, over connections that stay and over fresh ones."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin")
    asked = tree(**workload, senders=2)
    asked["variant"] = [
        {
            "name": "nginx",
            "kind": "server",
            "command": ["nginx", "-p", "{dir}", "-e", "stderr", "-c", "{dir}/nginx.conf"],
            "tls": True,
            "files": {"nginx.conf": NGINX},
        }
    ]
    outcome = run(config.from_tree(asked), tmp_path / "r", seed=3)
    assert outcome.exit_code == 0, outcome.summary["points"][0]["variants"][1]["reason"]
    nginx = outcome.summary["points"][0]["variants"][1]
    assert nginx["verified"]
    assert nginx["server"]["tls"].startswith("TLSv1")
    if "rate" in workload:
        assert 0 < nginx["rate"]["achieved_bps"]["estimate"] <= 1.02 * 100e6  # a busy machine reaches less
    else:
        assert nginx["latency"]["count"] > 0
