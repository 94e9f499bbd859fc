"""Whole studies of a server with a thousand connections, and of one that forks a hundred workers in mid-study."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from support.command_line import run_of

pytestmark = [pytest.mark.serial, pytest.mark.timeout(150)]

NGINX = """
[study]
name = "many"
baseline = "nginx"
best_chunk = false
[workload]
file_size = "64MiB"
senders = 1000
[stop]
max_time = "1s"
min_generations = 2
replicates = 1
[[variant]]
name = "nginx"
kind = "server"
request_size = "64KiB"
command = ["nginx", "-p", "{dir}", "-e", "stderr", "-c", "{dir}/nginx.conf"]
[variant.files]
"nginx.conf" = \"\"\"
user {user} {group}; daemon off; worker_processes 1; pid {dir}/nginx.pid; events { worker_connections 2000; }
http { access_log off; keepalive_timeout 1h; client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3;
       uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5; sendfile on; server { listen {host}:{port} backlog=1024; root {root}; } }
\"\"\"
"""

FORKS = """
[study]
name = "forks"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file_size = "1MiB"
placement = "free"
[stop]
max_time = "1s"
min_generations = 2
replicates = 1
window = "40ms"
[[variant]]
name = "forks"
kind = "server"
command = ["{python}", "{dir}/server.py"]
[variant.files]
"server.py" = \"\"\"
import http.server, os, time

asked = 0

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        super().do_GET()
        if asked == 8:
            for _ in range(100):
                if not os.fork():
                    while time.process_time() < 0.005: pass
                    time.sleep(600)
    def log_message(self, *what): pass

os.chdir("{root}")
http.server.HTTPServer(("{address}", {port}), Handler).serve_forever()
\"\"\"
"""


def study(text, tmp_path, files=None):
    """Run a study with limits of *files* open files, soft and hard; return how it ended and its summary, None without one."""
    config = tmp_path / "s.toml"
    config.write_text(text)
    command = run_of(config, tmp_path / "r")
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"}
    limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files)) if files else None
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment, preexec_fn=limit)
    summary = Path(tmp_path / "r" / "summary.json")
    return done, json.loads(summary.read_text()) if summary.exists() else None


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("nginx") is None and not os.access("/usr/sbin/nginx", os.X_OK), reason="no nginx: apt-get install nginx-light"
)
def test_a_study_over_a_thousand_connections(tmp_path):
    """A thousand connections are verified and measured though the soft limit of open files is a quarter of that."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip(f"only {hard} open files may be had here: raise the hard limit (ulimit -Hn 4096)")
    done, summary = study(NGINX, tmp_path, (256, hard))
    assert done.returncode == 0, done.stderr
    (variant,) = summary["points"][0]["variants"]
    assert (variant["status"], variant["verified"]) == ("ok", True)
    assert variant["bytes_received"] == variant["bytes_sent"] > 1000 * (64 << 10)
    assert variant["server"]["keep_alive"]


@pytest.mark.skipif(
    shutil.which("nginx") is None and not os.access("/usr/sbin/nginx", os.X_OK), reason="no nginx: apt-get install nginx-light"
)
def test_too_few_open_files_for_a_thousand_connections(tmp_path):
    """Where the hard limit of open files is too low for the connections, one line says so and how to raise it, before anything runs."""
    done, summary = study(NGINX, tmp_path, (512, 512))
    assert (done.returncode, summary) == (2, None)
    assert "Traceback" not in done.stderr
    assert "512" in done.stderr
    assert "ulimit" in done.stderr


@pytest.mark.slow
def test_a_server_that_forks_a_hundred_workers_in_mid_study(tmp_path):
    """A hundred workers that come while windows are measured belong to the server: seen, counted, in its CPU time, and ended with it."""
    done, summary = study(FORKS, tmp_path)
    assert done.returncode == 0, done.stderr
    variant = summary["points"][0]["variants"][1]
    assert (variant["status"], variant["verified"], variant["server"]["processes"]) == ("ok", True, 101)
    assert variant["server"]["cpu_apart"] is None or abs(variant["server"]["cpu_apart"]) < 0.02
    # In every generation each worker has burned 5 ms: 0.5 s in all, most of it in windows or between them.
    assert variant["server"]["cpu_clocks_s"] is None or variant["server"]["cpu_clocks_s"] > 0.5
