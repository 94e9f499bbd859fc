"""HTTP/2 receivers against a small server: bytes and digests, flow control windows, TLS, and every fault in one line."""

from __future__ import annotations

import hashlib
import importlib.util
import random

import pytest
from support.http2_server import http2_serving

from zcload import config
from zcload.errors import ConfigError, StudyError
from zcload.lane.board import Board
from zcload.linux.certificate import CERTIFICATE, KEY, make_certificate, no_openssl
from zcload.model.study import Server
from zcload.server.availability import missing
from zcload.server.http.connect import connect_to
from zcload.server.http.fetcher import Fetcher
from zcload.server.http.probe import probe

DATA = random.Random(7).randbytes(700_003)
STEP = 200_000

pytestmark = pytest.mark.usefixtures("leaks")


def target_of(server, window=1 << 20, connections=1, tls=None):
    """Probe the server as a study does."""
    how = {"host": "localhost", "path": "/file", "size": len(server.data), "bytes_per_request": STEP}
    return probe("127.0.0.1", server.port, **how, connections=connections, tls=tls, http2_window=window)


def fetched(target):
    """Fetch the whole file over each connection in ranges; return the SHA-256 of each, and the calls by kind."""
    socks = connect_to(*target.address, target.connections)
    board = Board(1)
    fetcher = Fetcher(list(enumerate(socks)), target, "recv", 65_536, board, 0)
    fetcher.digests = {number: hashlib.sha256() for number in range(target.connections)}
    at = dict.fromkeys(fetcher.digests, 0)

    def more(connection):
        start = at[connection.number]
        at[connection.number] = end = min(start + STEP, target.size)
        if start < end:
            connection.ask(start, end)
        return start < end

    try:
        fetcher.fetch(fetcher.taker, more)
        return [digest.hexdigest() for digest in fetcher.digests.values()], list(fetcher.counts)
    finally:
        fetcher.close()
        for sock in socks:
            sock.close()
        board.close()


@pytest.mark.parametrize("connections", [1, 3])
def test_ranges_arrive_whole_and_in_order(connections):
    """Every connection receives the file over HTTP/2, interim answers and pings between, one request at a time on one connection."""
    with http2_serving(DATA) as server:
        target = target_of(server, connections=connections)
        assert (target.version, target.ranges, target.keep_alive) == ("HTTP/2", True, True)
        digests, _ = fetched(target)
        assert digests == [hashlib.sha256(DATA).hexdigest()] * connections
        assert server.accepted == connections + 1  # the probe's
        assert server.headers[-1][":authority"] == "localhost"
        assert server.headers[-1]["accept-encoding"] == "identity"


def test_a_body_without_a_length_ends_with_its_stream():
    """HTTP/2 needs no Content-Length: the connection stays open for the next request."""
    with http2_serving(DATA, "unframed") as server:
        digests, _ = fetched(target_of(server))
        assert digests == [hashlib.sha256(DATA).hexdigest()]
        assert server.accepted == 2


def test_the_windows_are_those_of_the_study():
    """The server is told the window for streams and connections; a small one makes the receiver speak more often."""
    sent = {}
    for window in (65_536, 1 << 20):
        with http2_serving(DATA) as server:
            _, counts = fetched(target_of(server, window))
            # The settings hold for each stream. What is left of the connection's window is less what has come since the last update.
            assert {stream for stream, _ in server.windows} == {window}
            assert max(connection for _, connection in server.windows) == window
            sent[window] = counts[0]
    assert sent[65_536] > sent[1 << 20]


@pytest.mark.parametrize("connections", [1, 3])
def test_a_server_may_end_a_connection_with_its_answer(connections):
    """A GOAWAY without an error in the middle of an answer costs nothing: the answer arrives, the next one over a new connection."""
    with http2_serving(DATA, "last") as server:
        digests, _ = fetched(target_of(server, connections=connections))
        assert digests == [hashlib.sha256(DATA).hexdigest()] * connections
        assert server.accepted == 1 + 2 * connections  # four requests, two over each connection


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("status", r"request 2 .* bytes 200000-399999\): answered with status 503, expected 206"),
        ("length", r"Expected 200001 bytes, received 200000"),
        ("short", r"got what is no HTTP/2|a body of 199000 bytes, expected 200000"),
        ("leave", r"the connection (ended|broke.*), after 1000 of 200000 bytes"),
        ("reset", r"got a reset of the stream: REFUSED_STREAM"),
        ("goaway", r"got the end of the connection \(GOAWAY\): ENHANCE_YOUR_CALM"),
    ],
)
def test_a_wrong_answer_is_one_line(fault, message):
    """What a server does wrong is named with connection, request, and what was got and expected."""
    with http2_serving(DATA, fault) as server:
        target = target_of(server)
        with pytest.raises(StudyError, match=message) as error:
            fetched(target)
        assert "\n" not in str(error.value)


def test_a_server_of_http1_alone_is_named():
    """A server that answers with HTTP/1 is told apart, with the remedy."""
    with http2_serving(DATA, "http1") as server, pytest.raises(StudyError, match=r"got HTTP/1, where HTTP/2 was asked for: switch it on"):
        target_of(server)


@pytest.mark.parametrize("protocols", [["h2"], ["http/1.1"]])
def test_over_tls_the_handshake_agrees_on_http2(protocols, tmp_path):
    """Over TLS the file arrives where the server offers h2; where it does not, the probe says what to switch on."""
    if (why := no_openssl()) is not None:
        pytest.skip(f"{why[0]}: {why[1]}")
    trust = make_certificate(tmp_path, "127.0.0.1")
    files = str(tmp_path / CERTIFICATE), str(tmp_path / KEY)
    with http2_serving(DATA, tls=(*files, protocols)) as server:
        if protocols == ["h2"]:
            digests, _ = fetched(target_of(server, connections=2, tls=trust))
            assert digests == [hashlib.sha256(DATA).hexdigest()] * 2
        else:
            with pytest.raises(StudyError, match=r"does not offer HTTP/2 \(ALPN h2\)"):
                target_of(server, tls=trust)


def test_without_the_package_the_server_is_skipped(monkeypatch):
    """Where the library is missing the variant names the extra that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    why = missing("nginx", Server(command=("true",), http2=True))
    assert "needs the package h2" in str(why)
    assert "pip install 'zcload[http2]'" in str(why)


@pytest.mark.parametrize(
    ("workload", "server", "key", "message"),
    [
        ({"sink": "discard"}, {"http2": True}, "workload.sink", "cannot take the frames of HTTP/2 apart"),
        ({}, {"http2": True, "sink": "file"}, "variant[s].sink", "cannot take the frames of HTTP/2 apart"),
        ({}, {"http2_window": "1MiB"}, "variant[s].http2_window", "only works with http2"),
        ({"transfer": "per-file", "transfer_size": "64KiB", "connection": "fresh"}, {"http2": True}, "variant[s].http2", "stay open"),
        ({}, {"http2": True, "http2_window": "1KiB"}, "variant[s].http2_window", "64KiB"),
    ],
)
def test_what_does_not_go_with_http2_is_refused(workload, server, key, message):
    """Sinks that read the socket themselves, fresh connections and windows below 64 KiB are errors with their key."""
    variant = {"name": "s", "kind": "server", "command": ["true"], **server}
    tree = {"study": {"name": "a", "baseline": "read_send", "variants": ["read_send"]}, "workload": workload, "variant": [variant]}
    with pytest.raises(ConfigError) as error:
        config.from_tree(tree)
    (problem,) = error.value.problems
    assert problem.key == key
    assert message in f"{problem.what} {problem.remedy}"
