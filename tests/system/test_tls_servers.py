"""Servers over TLS: a certificate for each start, windows over https, and what becomes of both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from support.command_line import run_of

from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.network import Network
from zcload.lane.placement import Placement
from zcload.model.study import Point, Server, Variant
from zcload.runner.window import measure
from zcload.server.root import DocumentRoot, ServedFile
from zcload.server.server_lane import set_up_server
from zcload.store.result_schema import summary_schema

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("leaks")]

HTTP = ("{python}", "-m", "http.server", "--bind", "{address}", "-d", "{root}", "{port}")
HTTPS = """
import functools, http.server, ssl
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
handler = functools.partial(Handler, directory="{root}")
server = http.server.ThreadingHTTPServer(("{address}", {port}), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("{certificate}", "{key}")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with: apt-get install openssl")


@pytest.fixture
def lane():
    """Return a function that sets up a lane of a server over TLS, with a file of 1 MiB; lane and files end with the test."""
    root, lanes = DocumentRoot(), []
    (root.root / "f").write_bytes(bytes(range(256)) * 4096)

    def bring_up(*command):
        everywhere = frozenset(os.sched_getaffinity(0))
        variant = Variant("s", "server", server=Server(command, grace_s=1.0, request_bytes=1 << 16, tls=True))
        point = Point(file_size=1 << 20, placement="free", socket_buffer=None)
        served = ServedFile(root, "f", str(root.root / "f"), 1 << 20)
        made = set_up_server(variant.at(point), point, served, Placement((everywhere,), (everywhere,), everywhere), Network("127.0.0.1"))
        lanes.append(made)
        made.ready()
        return made

    yield bring_up
    for each in lanes:
        each.tear_down()
    root.close()
    assert not root.base.exists()


@needs_openssl
def test_a_server_with_tls_is_measured_and_its_certificate_goes_with_it(lane):
    """Windows over TLS are whole answers, the version agreed on is known, and the key that was made is gone when the server is."""
    made = lane("{python}", "-c", HTTPS)
    certificate = Path(made.serving.running.trust.certificate)
    assert {path.name for path in certificate.parent.iterdir()} == {"certificate.pem", "key.pem"}
    assert os.stat(certificate.with_name("key.pem")).st_mode & 0o077 == 0
    machine = Machine()
    try:
        record = measure(made, 0.02, machine)
    finally:
        machine.close()
    (server,), (receiver,) = record["senders"], record["receivers"]
    assert server[1][1] - server[0][1] == receiver[1][1] - receiver[0][1] > 0
    assert (server[1][1] - server[0][1]) % (1 << 20) == 0
    made.report()
    assert made.facts()["server"]["tls"] in ("TLSv1.2", "TLSv1.3")
    made.tear_down()
    assert not certificate.parent.parent.exists()


@needs_openssl
def test_a_plain_server_is_no_https(lane):
    """A server that was to speak https and does not is one line."""
    with pytest.raises(StudyError, match="no TLS handshake"):
        lane(*HTTP)


TLS_STUDY = """
[study]
name = "s"
baseline = "read_send"
variants = ["read_send"]
best_chunk = false
[workload]
file_size = "4MiB"
placement = "free"
sink = "recv"
[stop]
max_time = "2s"
min_generations = 2
replicates = 1
window = "20ms"
[[variant]]
name = "https"
kind = "server"
tls = true
command = ["{python}", "{dir}/server.py"]
[variant.files]
"server.py" = '''%s'''
"""


@pytest.mark.slow
@needs_openssl
def test_a_study_with_a_server_over_tls(tmp_path):
    """A server over TLS is measured beside a plain mechanism, and the report says what was spoken."""
    (tmp_path / "s.toml").write_text(TLS_STUDY % HTTPS)
    command = run_of(tmp_path / "s.toml", tmp_path / "r", "--full")
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    jsonschema.validate(summary, summary_schema())
    https = next(v for v in summary["points"][0]["variants"] if v["name"] == "https")
    assert (https["status"], https["verified"], https["sink"]) == ("ok", True, "recv")
    assert https["metrics"]["receiver_cpu_s_per_gb"]["estimate"] > 0
    assert https["metrics"]["receiver_syscalls_per_gb"]["reason"] == "nobody counts the system calls of the TLS library"
    assert f"HTTP/1.1 over {https['server']['tls'].replace('TLSv', 'TLS ')}, keep-alive" in run.stdout
