"""HTTP receivers against a small server: bytes and digests, closing servers, many connections, TLS, and every fault in one line."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from support.fault_server import good, serving

from zcload.errors import StudyError
from zcload.lane.board import BYTES, GATE, ITERATIONS, LAST_NS, NUMBER, ORDER, PARKED, REPORT, RUN, STOP, VERIFY, Board
from zcload.linux.certificate import CERTIFICATE, KEY, make_certificate
from zcload.linux.descriptors import most_open_files, room_for_files
from zcload.model.study import Point
from zcload.server.http import connection as connection_module
from zcload.server.http import fetcher as fetcher_module
from zcload.server.http import probe as probe_module
from zcload.server.http.connect import connect_to
from zcload.server.http.fetcher import call_names
from zcload.server.http.probe import probe
from zcload.server.http.receiver import fetch_file
from zcload.server.http.target import Target, Trust
from zcload.sinks import SINKS

DATA = random.Random(5).randbytes(300_007)


class Lane:
    """One receiver in a thread, and the coordinator's end of it."""

    def __init__(self, target, sink="recv", chunk=65536, connections=None):
        self.target, self.sink = target, sink
        self.board = Board(1)
        self.gate = os.eventfd(0)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.error = None
        if connections is None:
            connections = connect_to(*target.address, target.connections)

        def body():
            try:
                numbered = list(enumerate(connections))
                place = {"board": self.board, "index": 0, "point": Point(), "gate": self.gate}
                fetch_file(theirs, **place, sink=sink, chunk=chunk, connections=numbered, target=target)
            except Exception as error:
                self.error = error
            finally:
                theirs.close()
                for sock in filter(None, connections):
                    sock.close()

        self.thread = threading.Thread(target=body)
        self.thread.start()

    def word(self, which):
        return self.board.words[Board.base(0) + which]

    def order(self, order):
        self.board.words[NUMBER] += 1
        self.board.words[ORDER] = order
        if order == RUN:
            self.board.words[GATE] = self.board.words[NUMBER]
        os.eventfd_write(self.gate, 1)

    def receive(self):
        packet = self.control.recv(1 << 20)
        if not packet:
            self.thread.join(10)
            raise self.error or AssertionError("it ended without a word")
        return json.loads(packet)

    def parked(self):
        """Wait until the last order is carried out; raises what the receiver raised."""
        deadline = time.monotonic() + 60
        while self.word(PARKED) != self.board.words[NUMBER]:
            if not self.thread.is_alive():
                raise self.error or AssertionError("it ended without parking")
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def window(self, answers=5):
        """Open the gate until some answers' worth of bytes have come, close it, and wait for rest."""
        before = self.word(BYTES)
        self.order(RUN)
        step = self.target.size if self.target.whole else self.target.bytes_per_request
        deadline = time.monotonic() + 60
        while self.word(BYTES) - before < answers * step and self.thread.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        self.board.words[GATE] = 0
        self.parked()
        return self.word(BYTES) - before

    def counts(self):
        names = call_names(self.sink)
        return dict(zip(names, self.board.counts(0, len(names)), strict=True))

    def close(self):
        if self.thread.is_alive():
            self.board.words[GATE] = 0
            self.order(STOP)
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.control.close()
        os.close(self.gate)
        self.board.close()


@contextmanager
def receiving(server, sink="recv", connections=1, socks=None, **values):
    """Run a receiver with *connections* against *server* within the block; *values* are the target's, where they are not the usual ones."""
    values = {"bytes_per_request": 50_000, **values}
    target = Target(("127.0.0.1", server.port), "localhost", "/file", len(server.data), connections=connections, **values)
    lane = Lane(target, sink, connections=socks)
    try:
        assert lane.receive() == {"ready": True}
        yield lane
    finally:
        lane.close()


def check_digests(lane):
    """Have the receiver verify and hold its digests against the file's parts."""
    lane.order(VERIFY)
    told = lane.receive()["digests"]
    assert lane.receive() == {"ready": True}
    parts = {str(number): lane.target.part(number) for number in range(lane.target.connections)}
    assert told == {number: hashlib.sha256(DATA[part.start : part.end]).hexdigest() for number, part in parts.items()}


def chunked(exchange, size=7_000, end=b"0\r\nX-Trailer: yes\r\n\r\n"):
    """Answer in chunks."""
    body = exchange.body
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    exchange.send(exchange.head("Transfer-Encoding: chunked", length=False))
    for piece in pieces:
        exchange.send(b"%X;ext=1\r\n%s\r\n" % (len(piece), piece))
    exchange.send(end)
    return True


def until_close(exchange):
    """Answer without a length, and close: HTTP/1.0 of old."""
    exchange.send(exchange.head(length=False, version="HTTP/1.0"), exchange.body)
    return False


def close_after(exchange):
    exchange.send(exchange.head("Connection: close"), exchange.body)
    return False


def interim(exchange):
    """Say 100 and 103 before the answer, as a server may at any time."""
    exchange.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    return good(exchange)


def many_interim(exchange):
    """Say thousands of interim answers, and a long one first, after which many are read at once."""
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 60_000 + b"\r\n\r\n" + 5_000 * b"HTTP/1.1 100 Continue\r\n\r\n")
    return good(exchange)


def in_drips(exchange):
    """Send the head in pieces of a few bytes, the last together with the body."""
    raw = exchange.head()
    for at in range(0, len(raw) - 5, 9):
        exchange.send(raw[at : min(at + 9, len(raw) - 5)])
        time.sleep(0.0002)
    exchange.send(raw[len(raw) - 5 :], exchange.body)
    return True


ANSWERS = {f.__name__: f for f in (good, chunked, until_close, close_after, interim, in_drips)}


def available(name):
    refusal = SINKS[name].probe()
    if refusal is not None:
        pytest.skip(f"{name}: {refusal.reason}: {refusal.remedy}")


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("sink", [name for name, sink in SINKS.items() if not sink.takes_ahead])
@pytest.mark.parametrize("answer", ANSWERS)
def test_every_sink_gets_the_file(answer, sink, connections, leaks):
    """Verification gets the file's bytes and windows get whole answers, however the server frames them, whatever the sink."""
    available(sink)
    with serving(DATA, ANSWERS[answer]) as server, receiving(server, sink, connections) as lane:
        if answer == "chunked" and sink == "zerocopy_receive":
            lane.order(VERIFY)
            with pytest.raises(StudyError, match="zerocopy_receive cannot read a chunked body"):
                lane.parked()
            return
        check_digests(lane)
        assert lane.word(BYTES) == len(DATA)
        verifying = server.requests
        for _ in range(2):
            asked = server.asked
            assert lane.window() == server.asked - asked > 0
        assert lane.word(ITERATIONS) == server.requests
        assert 0 < lane.word(LAST_NS) <= time.monotonic_ns()
        assert lane.counts()["request_send"] == server.requests - verifying
        assert (lane.counts()["connect"] > 0) == (answer in ("until_close", "close_after"))
        assert lane.counts()["head_recv"] > 0
        assert (lane.counts()["epoll_wait"] > 0) == (connections > 1)


@pytest.mark.parametrize("connections", [1, 2])
def test_a_server_without_ranges_sends_whole_files(connections):
    """Where ranges are not honoured each connection fetches the whole file, and none is asked for a range."""

    def whole(exchange):
        assert "Range" not in exchange.request
        return good(exchange)

    with serving(DATA, whole) as server, receiving(server, connections=connections, ranges=False) as lane:
        check_digests(lane)
        assert lane.word(BYTES) == connections * len(DATA)
        assert lane.window() % len(DATA) == 0


def test_connections_are_made_when_they_are_needed():
    """A connection that is given as none is made with its first request."""
    with serving(DATA, close_after) as server, receiving(server, connections=2, socks=[None, None]) as lane:
        assert server.accepted == 0
        check_digests(lane)
        assert server.accepted == server.requests


@pytest.mark.parametrize("connections", [1, 3])
def test_a_server_may_close_between_answers(connections):
    """A connection that the server closes without a word while nothing is asked of it is made again, and counted."""

    def two_answers(exchange):
        good(exchange)
        return exchange.nth < 2

    with serving(DATA, two_answers) as server, receiving(server, connections=connections) as lane:
        check_digests(lane)
        asked = server.asked
        assert lane.window(8) == server.asked - asked
        assert lane.counts()["connect"] > 0
        lane.order(REPORT)
        told = lane.receive()
        assert told["connections_made"] == lane.counts()["connect"]
        assert {"cpu_ns", "voluntary", "tcp_info"} <= told.keys()


@pytest.mark.slow
@pytest.mark.serial
def test_a_thousand_connections():
    """One receiver keeps a thousand connections busy, every one verified."""
    needed = 2 * 1000 + 100  # both ends are in this process
    most = most_open_files()
    if most is not None and most < needed:
        pytest.skip(f"the hard limit of open files is {most}: raise it with `ulimit -Hn {needed}`")
    data = DATA[:50_000]
    with room_for_files(needed), serving(data) as server, receiving(server, "discard", 1000) as lane:
        lane.order(VERIFY)
        digests = lane.receive()["digests"]
        assert len(digests) == 1000
        assert lane.receive() == {"ready": True}
        asked = server.asked
        assert lane.window(1) == server.asked - asked >= 1000 * 40_000
        assert server.accepted == 1000


# Faults: each is one line that names connection, request, and what was got and expected.


def raw(*parts, stay=False):
    def answer(exchange):
        exchange.send(*parts)
        return stay

    return answer


def short_body(exchange):
    exchange.send(exchange.head(), exchange.body[:1234])
    return False


def long_body(exchange):
    exchange.send(exchange.head(), exchange.body, b"more")
    return True


def short_chunks(exchange):
    exchange.send(exchange.head("Transfer-Encoding: chunked", length=False), b"5\r\nhello\r\n0\r\n\r\n")
    return True


def long_chunks(exchange):
    exchange.send(exchange.head("Transfer-Encoding: chunked", length=False), b"ffffff\r\n", bytes(70_000))
    return True


def other_file(exchange):
    exchange.send(exchange.head(f'ETag: "{exchange.number > 2:d}"'), exchange.body)
    return True


def endless_headers(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    for _ in range(20_000):
        exchange.send(b"X-Endless: yes\r\n")
    return False


FAULTS = [
    (raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), r"answered with status 404 Not Found, expected 206 Partial Content"),
    (raw(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"), r"answered with status 500 Internal Server Error, expected 206"),
    (raw(b"HTTP/1.1 301 Moved\r\nLocation: /there\r\n\r\n"), r"status 301 Moved to '/there'; redirects are not followed"),
    (raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), r"status 101: it wants to change the protocol"),
    (raw(b"HTTP/1.1 206 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), r"no Content-Range"),
    (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), r"got 'SSH-2.0-OpenSSH_9?.*instead of an HTTP/1 response"),
    (raw(b"HTTP/1.1 206 Partial"), r"the connection ended, in the middle of the headers"),
    (raw(), r"the connection (ended|broke.*), before an answer"),
    (short_body, r"the connection ended, after 1234 of 50000 bytes"),
    (long_body, r"got (4 bytes more than the 50000|'more' after its answer)"),
    (short_chunks, r"a chunked body of 5 bytes, expected 50000"),
    (long_chunks, r"a chunked body of more than 50000 bytes"),
    (other_file, r"the file has changed, its etag was '\"0\"' and is '\"1\"'"),
    (endless_headers, r"headers of more than 65536 bytes"),
]


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize(("answer", "said"), FAULTS, ids=[said[:30] for _, said in FAULTS])
def test_faults_are_told_in_one_line(answer, said, connections, leaks):
    """A wrong answer ends the receiver with one line that names connection, request, what was got and what was expected."""
    with serving(DATA, answer) as server, receiving(server, connections=connections, etag='"0"') as lane:
        lane.order(VERIFY)
        with pytest.raises(StudyError) as caught:
            lane.parked()
        line = str(caught.value)
        assert "\n" not in line
        assert re.match(rf"connection \d+, request \d+ \(GET /file bytes \d+-\d+\): .*{said}", line), line


@pytest.mark.parametrize("connections", [1, 2])
def test_silence_is_told(connections, monkeypatch):
    """A server that stops in the middle of an answer is told after a while, with how much had come."""
    monkeypatch.setattr(fetcher_module, "SILENCE_S", 0.2)
    monkeypatch.setattr(connection_module, "SILENCE_S", 0.2)
    go = threading.Event()

    def stop(exchange):
        exchange.send(exchange.head(), exchange.body[:1000])
        go.wait(20)
        return False

    with serving(DATA, stop) as server, receiving(server, connections=connections) as lane:
        lane.order(VERIFY)
        with pytest.raises(StudyError, match=r"connection 0, request 1 .*: no byte for 0 s.*, after 1000 of 50000 bytes"):
            lane.parked()
        go.set()


# The probe.


def fetch_target(server, **values):
    values = {"host": "localhost", "path": "/file", "size": len(DATA), "bytes_per_request": 50_000, "connections": 4, **values}
    return probe("127.0.0.1", server.port, **values)


def ignoring_ranges(exchange):
    exchange.range = None
    return good(exchange)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (good, {"ranges": True, "keep_alive": True, "version": "HTTP/1.1", "framing": "length"}),
        (chunked, {"ranges": True, "keep_alive": True, "framing": "chunked"}),
        (close_after, {"ranges": True, "keep_alive": False}),
        (until_close, {"ranges": True, "keep_alive": False, "version": "HTTP/1.0", "framing": "close"}),
        (ignoring_ranges, {"ranges": False, "keep_alive": True}),
        (interim, {"ranges": True}),
        (many_interim, {"ranges": True}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_probe_finds_how_a_server_answers(answer, expected, leaks):
    """The probe tells ranges, keep-alive, version and framing from one answer."""
    with serving(DATA, answer) as server:
        target = fetch_target(server)
        assert {key: getattr(target, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("answer", "values", "said"),
    [
        (raw(b"HTTP/1.1 404 Not Found\r\n\r\n"), {}, "GET /file from localhost: answered with status 404 Not Found, expected 206"),
        (good, {"size": 5}, "answered with Content-Range 'bytes 0-1/300007', expected 'bytes 0-1/5'"),
        (ignoring_ranges, {"size": 5}, "answered with Content-Length 300007, expected 5"),
        (good, {"size": 0}, "the file is empty"),
        (good, {"path": "/a b"}, "'/a b' at 'localhost' cannot be asked for"),
        (raw(b"what?"), {}, "got 'what?' instead of an HTTP/1 response"),
        (raw(), {}, "the connection broke: "),
        (endless_headers, {}, "headers of more than 65536 bytes"),
    ],
)
def test_the_probe_refuses_in_one_line(answer, values, said, leaks):
    """What cannot be measured is refused before measuring, in one line that says what was got and expected."""
    with serving(DATA, answer) as server, pytest.raises(StudyError) as caught:
        fetch_target(server, **values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_listening_is_told():
    """A port where nobody listens is named, with the reason."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(StudyError, match=f"cannot connect to 127.0.0.1 port {port}: connection refused"):
        connect_to("127.0.0.1", port, 1)


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the paths of a certificate for localhost and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder, "localhost")
    return str(folder / CERTIFICATE), str(folder / KEY)


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("sink", [name for name, sink in SINKS.items() if sink.takes_tls])
@pytest.mark.parametrize("answer", ANSWERS)
def test_tls_brings_the_file(answer, sink, connections, certificate, leaks):
    """Over TLS verification gets the file's bytes, and windows get whole answers."""
    trust = Trust("localhost", certificate[0])
    with serving(DATA, ANSWERS[answer], certificate) as server, receiving(server, sink, connections, tls=trust) as lane:
        check_digests(lane)
        asked = server.asked
        assert lane.window() == server.asked - asked > 0


def test_only_the_runs_own_certificate_is_trusted(certificate, leaks):
    """A server that shows a certificate for another name is refused, in one line."""
    with serving(DATA, good, certificate) as server, pytest.raises(StudyError, match="the server shows another certificate than"):
        fetch_target(server, tls=Trust("elsewhere", certificate[0]))


def test_a_plain_port_is_no_https(certificate, leaks, monkeypatch):
    """An https target on a plain port is told as such."""
    monkeypatch.setattr(probe_module, "SILENCE_S", 0.5)
    with serving(DATA) as server, pytest.raises(StudyError, match="no TLS handshake"):
        fetch_target(server, tls=Trust("localhost", certificate[0]))


def test_a_certificate_may_be_for_an_address(tmp_path):
    """A certificate for a numeric address serves requests to that address."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with: apt-get install openssl")
    trust = make_certificate(tmp_path, "127.0.0.1")
    with serving(DATA, good, (tmp_path / CERTIFICATE, tmp_path / KEY)) as server:
        assert fetch_target(server, tls=trust, host="127.0.0.1").tls == trust


def test_without_openssl_the_remedy_is_told(tmp_path, monkeypatch):
    """Where there is no openssl command the error says what to install; what openssl says of a failure is passed on."""
    with pytest.raises(StudyError, match="openssl could not make a certificate: "):
        make_certificate(tmp_path / "missing", "localhost")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="there is no openssl command to make one with: apt-get install openssl"):
        make_certificate(tmp_path, "localhost")


@pytest.mark.parametrize("sink", [name for name, sink in SINKS.items() if not sink.takes_tls])
def test_sinks_below_tls_are_refused(sink, certificate, leaks):
    """A sink that would take encrypted bytes is refused with the reason and those that work."""
    available(sink)
    with serving(DATA, good, certificate) as server:
        target = Target(("127.0.0.1", server.port), "localhost", "/file", len(DATA), 50_000, 1, tls=Trust("localhost", certificate[0]))
        lane = Lane(target, sink)
        with pytest.raises(StudyError, match=f"{sink} works below TLS.*: use the sink recv or file"):
            lane.receive()
        lane.close()
