"""`zcload receive` and `zcload send` against plain sockets, against each other, and against what goes wrong between two hosts.

Peers are forked workers, not threads: what is under test forks too, and a process that forks must have one thread.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from support.tcp import wait_until_broken, wait_until_read

from zcload.errors import ConfigError, MechanismUnavailableError, StudyError, ZcloadError
from zcload.lane.worker import send_message, spawn
from zcload.linux import interrupt
from zcload.mechanisms import MECHANISMS, Unavailable
from zcload.oneshot import arrivals, progress_pace, receive, send, sender_process
from zcload.oneshot.address import format_address, parse_address, resolve
from zcload.oneshot.verification import read_answer

# The modules, whose names in the package are the functions.
RECEIVE, SEND = (importlib.import_module(f"zcload.oneshot.{name}") for name in ("receive", "send"))

PAYLOAD = [
    pytest.param(name, marks=[] if (why := cls.probe()) is None else pytest.mark.skip(reason=f"{name}: {why.reason}; remedy: {why.remedy}"))
    for name, cls in MECHANISMS.items()
    if cls.moves_payload and not cls.encrypts
]
RESET = struct.pack("@ii", 1, 0)
SIZE = 3_000_017  # a prime, larger than a socket buffer starts with
LARGE = 48 << 20  # more than the socket buffers of both ends ever hold

pytestmark = pytest.mark.serial


@pytest.fixture(autouse=True)
def nothing_left():
    """Every test must leave as many descriptors as it found, no child process, and no request to end."""
    before = sorted(os.listdir("/proc/self/fd"))
    yield
    assert interrupt.requested is None
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def workers():
    started = []
    yield started
    for worker in started:
        worker.end()


@pytest.fixture
def peer(workers):
    """Return a function that forks a process which accepts one connection on the loopback and runs *body(sock, control)*."""
    listeners = []

    def start(body, host="127.0.0.1"):
        listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        listeners.append(listener)

        def run(control):
            sock, _ = listener.accept()
            with sock:
                body(sock, control)

        worker = spawn("test", "peer", 0, run, [listener.fileno()], None)
        workers.append(worker)
        return worker, format_address(*listener.getsockname()[:2])

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def caller(workers):
    """Return a function that forks a process which connects to an address, says so if it is to be *told*, and runs *body(sock)*."""

    def start(address, body, told=False):
        def run(control):
            with socket.create_connection(parse_address(address)) as sock:
                if told:
                    send_message(control, connected=True)
                body(sock)
            send_message(control, done=True)

        workers.append(spawn("test", "caller", len(workers), run, [], None))
        return workers[-1]

    return start


@pytest.fixture
def file(tmp_path):
    def make(size):
        path = tmp_path / f"payload-{size}"
        path.write_bytes(random.Random(size).randbytes(size))
        return path

    return make


@pytest.fixture
def large_file(tmp_path):
    """Return a file larger than what the socket buffers hold: its bytes do not matter, and a hole takes no time to write."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, LARGE)
    return path


def drain(sock, control):
    """The 2015 note's receiver, with a digest."""
    sha, total = hashlib.sha256(), 0
    while data := sock.recv(65536):
        sha.update(data)
        total += len(data)
    send_message(control, bytes=total, sha256=sha.hexdigest())


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:10000", ("127.0.0.1", 10000)),
        ("[::1]:10000", ("::1", 10000)),
        ("localhost:0", ("localhost", 0)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
    ],
)
def test_an_address_is_read_and_written_alike(text, parsed):
    """HOST:PORT and [IPV6]:PORT are understood, and format_address writes what parse_address reads."""
    assert parse_address(text) == parsed
    assert format_address(*parsed) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not HOST:PORT"),
        (":", "such as '127.0.0.1:10000'"),
        ("99999", "no port 99999"),
        ("localhost:", "is not HOST:PORT"),
        ("localhost:http", "is not HOST:PORT"),
        ("localhost:-1", "is not HOST:PORT"),
        ("localhost:１０", "is not HOST:PORT"),
        ("::1:10000", "brackets"),
        ("[::1]:", "is not HOST:PORT"),
        ("localhost:65536", "no port 65536"),
        ("localhost:99999", "no port 99999"),
    ],
)
def test_what_is_no_address_is_refused(text, words):
    """An address that is not HOST:PORT is a usage error that shows how one looks."""
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10001", "127.0.0.1", 10001),
        (":10001", "0.0.0.0", 10001),
        ("0.0.0.0", "0.0.0.0", 10000),
        ("files.example", "files.example", 10000),
        ("[::1]", "::1", 10000),
    ],
)
def test_a_part_of_an_address_is_enough(text, host, port):
    """A port, a host, or a port of every address is understood; the rest is 127.0.0.1 and 10000."""
    assert parse_address(text, without_host="0.0.0.0") == (host, port)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "no such host", "\0", "x..y"])
def test_an_unknown_host_is_a_usage_error(host):
    """A name that cannot be one, or that nobody knows, is a ConfigError and never a traceback."""
    with pytest.raises(ConfigError, match="host"):
        resolve(host, 1)


@pytest.mark.parametrize("size", [0, 1, SIZE])
@pytest.mark.parametrize("via", PAYLOAD)
def test_a_plain_socket_gets_the_file(via, size, peer, file):
    """A receiver that knows nothing of zcload gets exactly the file's bytes, whatever the mechanism; an empty file too."""
    path = file(size)
    worker, where = peer(drain)
    sent = send(str(path), where, via=via, chunk=65536)
    heard = worker.receive(60, "the digest")
    assert heard == {"bytes": size, "sha256": sha256(path)}
    assert (sent.bytes, sent.sha256, sent.ended, sent.peer, sent.mechanism) == (size, sha256(path), "closed", where, via)
    assert sent.seconds > 0
    assert 0 <= sent.cpu_s < sent.seconds + 0.05
    assert (sent.goodput_bps is None) == (size == 0)


def test_ipv6_works(peer, file):
    """The file arrives over [::1] as over 127.0.0.1."""
    try:
        worker, where = peer(drain, "::1")
    except OSError as error:
        pytest.skip(f"this host has no ::1 ({error}); enable IPv6 on lo")
    path = file(SIZE)
    send(str(path), where, via="sendfile")
    assert where.startswith("[::1]:")
    assert worker.receive(60, "the digest")["sha256"] == sha256(path)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("size", [1, SIZE])
def test_receive_takes_a_plain_socket_s_bytes(size, inside, caller):
    """A sender that knows nothing of zcload is counted exactly, and digested, with the cost of that, only where it was asked for."""
    content = random.Random(1).randbytes(size)
    records = []
    receive(
        "127.0.0.1:0",
        once=True,
        digest_inside=inside,
        listening=lambda where: caller(where, lambda sock: sock.sendall(content)),
        received=records.append,
        failed=pytest.fail,
    )
    (record,) = records
    assert record.bytes == size
    assert record.sha256 == (hashlib.sha256(content).hexdigest() if inside else None)
    assert (record.digest_cpu_s > 0) == inside
    assert record.cpu_s >= 0
    assert record.peer.startswith("127.0.0.1:")
    assert (record.goodput_bps is None) == (record.seconds == 0)


def test_receive_goes_on_after_a_transfer_that_broke(caller):
    """Transfers are served one after another, and one that breaks off is reported with its bytes and ends nothing."""
    came, broken = [], []

    def listening(where):
        def good(sock):
            sock.sendall(b"whole")

        def bad(sock):
            sock.sendall(b"part")
            time.sleep(0.1)  # what has arrived but was not taken is lost with a reset
            reset(sock)

        for body in (good, bad, good):
            caller(where, body).receive(60, "the end of its transfer")

    def received(record):
        came.append(record.bytes)
        if len(came) == 2:
            interrupt.requested = signal.SIGTERM

    try:
        with pytest.raises(interrupt.Interrupted) as caught:
            receive("127.0.0.1:0", listening=listening, received=received, failed=broken.append)
    finally:
        interrupt.requested = None
    assert caught.value.exit_code == 143
    assert came == [5, 5]
    (error,) = broken
    assert "broke off after" in str(error)


def test_receive_once_raises_when_its_transfer_broke(caller):
    """With once the transfer that broke off is the error, not a record."""

    def break_off(sock):
        sock.sendall(b"part")
        wait_until_read(sock)  # with the reset the rest is lost
        reset(sock)

    with pytest.raises(StudyError, match="broke off after 4 bytes: connection reset"):
        receive(
            "127.0.0.1:0",
            once=True,
            listening=lambda where: caller(where, break_off),
            received=pytest.fail,
            failed=pytest.fail,
        )


def test_the_two_ends_agree(workers, file):
    """`send` to `receive`: both report the same bytes and digest, and the sender knows that it was verified and what it cost there."""
    path = file(SIZE)
    records = []

    def listening(where):
        def run(control):
            sent = send(str(path), where, via="splice")
            send_message(control, sha256=sent.sha256, ended=sent.ended, bytes=sent.bytes, verified=sent.verified, receiver=sent.receiver)

        workers.append(spawn("test", "sender", 0, run, [], None))

    receive("127.0.0.1:0", once=True, listening=listening, received=records.append, failed=pytest.fail)
    heard = workers[0].receive(60, "what it sent")
    (record,) = records
    there = {"bytes": record.bytes, "seconds": record.seconds, "cpu_s": record.cpu_s}
    assert heard == {"sha256": record.sha256, "ended": "closed", "bytes": record.bytes, "verified": True, "receiver": there}
    assert (record.sha256, record.digest_cpu_s) == (sha256(path), 0)


def test_the_digest_is_no_part_of_the_timed_pass(workers, file, monkeypatch):
    """Not a byte is digested before the timed pass is over and the sender has its answer."""
    path, log, records = file(SIZE), [], []
    digest = sha256(path)

    class Digest:
        def update(self, data):
            log.append("digest")

        def hexdigest(self):
            return digest

    real = RECEIVE.answer
    monkeypatch.setattr(RECEIVE.hashlib, "sha256", Digest)
    monkeypatch.setattr(RECEIVE, "answer", lambda **facts: log.append("answer") or real(**facts))

    def listening(where):
        workers.append(spawn("test", "sender", 0, lambda control: send(str(path), where, via="read_send") and None, [], None))

    receive("127.0.0.1:0", once=True, listening=listening, received=records.append, failed=pytest.fail)
    assert log[0] == log[-1] == "answer"
    assert set(log[1:-1]) == {"digest"}
    assert records[0].bytes == SIZE


def answering(sock, **facts):
    """Take a stream to its end and answer as `zcload receive` does."""
    while sock.recv(1 << 20):
        pass
    sock.sendall(json.dumps({"zcload": "zcload.receive/1", **facts}).encode())


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"bytes": SIZE, "verify_with": "0" * 32}, r"what arrived at .* is not the file: SHA-256 beef, the file's is"),
        ({"bytes": SIZE - 1}, rf"{SIZE} bytes were sent, and .* says that {SIZE - 1} arrived"),
    ],
)
def test_other_bytes_at_the_receiver_are_an_error(facts, words, workers, file):
    """A receiver that got another number of bytes, or in the second pass other bytes, ends `send` with an error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run(control):
            for answer in (facts, {"sha256": "beef"}):
                sock, _ = listener.accept()
                with sock:
                    answering(sock, **answer)

        workers.append(spawn("test", "receiver", 0, run, [listener.fileno()], None))
        with pytest.raises(StudyError, match=words):
            send(str(file(SIZE)), format_address(*listener.getsockname()), via="sendfile")


@pytest.mark.parametrize("line", [b"hello", b"[1]", b'{"zcload": 3}', b'{"zcload": "zcload.receive/2"}', b"[" * 5000, b"\xff"])
def test_what_another_program_answers_is_no_answer(line):
    """A receiver that is not `zcload receive` may say what it likes."""
    assert read_answer(line) is None


def serve(caller, bodies, **options):
    """Run `receive` against a caller for each of *bodies*; return what it received, and what it refused."""
    came, refused = [], []

    def listening(where):
        for body in bodies:
            caller(where, body)

    receive("127.0.0.1:0", once=True, listening=listening, received=came.append, failed=refused.append, **options)
    return [record.bytes for record in came], [str(error) for error in refused]


def test_a_silent_connection_holds_up_nobody(caller):
    """A connection that says nothing does not keep the next one waiting, and is no transfer."""

    def late(sock):
        time.sleep(0.3)
        sock.sendall(b"12345")
        reset_free_close(sock)

    def reset_free_close(sock):
        sock.shutdown(socket.SHUT_WR)
        sock.recv(4096)

    assert serve(caller, [lambda sock: time.sleep(20), late]) == ([5], [])


@pytest.mark.parametrize("empty", [lambda sock: None, reset], ids=["closed", "reset"])
def test_an_empty_connection_does_not_end_once(empty, caller):
    """A connection that ends without a byte, as a port scan's does, is reported, and --once goes on waiting for a transfer."""

    def late(sock):
        time.sleep(0.5)
        sock.sendall(b"12345")

    came, refused = serve(caller, [empty, late])
    assert came == [5]
    assert len(refused) == 1
    assert "without sending a byte" in refused[0] or "broke off after 0 bytes" in refused[0]


def test_too_many_silent_connections_cost_the_oldest(caller, workers, monkeypatch):
    """Of more silent connections than are kept the oldest are closed, and a transfer among them is served."""
    monkeypatch.setattr(arrivals, "MOST_SILENT", 3)
    came, refused = [], []

    def listening(where):
        for _ in range(6):
            caller(where, lambda sock: sock.recv(1), told=True)
        for worker in workers:
            worker.receive(60, "its connection, which is in the backlog")
        caller(where, lambda sock: sock.sendall(b"12345"))

    receive("127.0.0.1:0", once=True, listening=listening, received=came.append, failed=refused.append)
    assert [record.bytes for record in came] == [5]
    assert [str(error).partition(" ")[2] for error in refused] == ["was disconnected: more than 3 connections send nothing"] * 4


def test_a_silent_connection_is_closed_in_time(caller, monkeypatch):
    """A connection that sends nothing is closed after a while, with a note, and ends nothing."""
    monkeypatch.setattr(arrivals, "SILENT_S", 1.0)
    came, refused, address = [], [], []

    def failed(error):
        refused.append(str(error))
        caller(address[0], lambda sock: sock.sendall(b"12345"))

    def listening(where):
        address.append(where)
        caller(where, lambda sock: sock.recv(1))

    receive("127.0.0.1:0", once=True, listening=listening, received=came.append, failed=failed)
    assert [record.bytes for record in came] == [5]
    assert {each.partition(" sent nothing ")[2] for each in refused} == {"for 1 s and was disconnected"}  # a slow caller's second try too


def test_a_stream_that_stalls_is_given_up(caller, monkeypatch):
    """A stream that has begun and brings nothing more is disconnected, so that it holds up nobody for ever."""
    monkeypatch.setattr(RECEIVE, "STALL_S", 0.5)

    def stall(sock):
        sock.sendall(b"1")
        sock.recv(1)

    with pytest.raises(StudyError, match=r"sent nothing for 0\.5 s after 1 bytes and was disconnected"):
        serve(caller, [stall])


def test_ctrl_c_after_a_transfer_is_the_end_in_order(caller):
    """SIGINT ends a `receive` that has served somebody without an error."""

    def received(record):
        interrupt.requested = signal.SIGINT

    try:
        receive(
            "127.0.0.1:0",
            listening=lambda where: caller(where, lambda sock: sock.sendall(b"12345")),
            received=received,
            failed=pytest.fail,
        )
    finally:
        interrupt.requested = None


def test_a_comparison_from_the_command_line(file, tmp_path):
    """`receive --json` prints a line a transfer; `send --via A,B --repeat N --json` all transfers, in turn, and their ratios."""
    command = [sys.executable, "-m", "zcload"]
    path = file(SIZE)
    with subprocess.Popen(
        [*command, "receive", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            where = re.search(r"listening on (\S+)", server.stderr.readline())[1]
            arguments = ["send", path, where, "--via", "read_send,sendfile", "--repeat", "3", "--no-progress"]
            done = subprocess.run([*command, *arguments, "--json"], capture_output=True, text=True, check=True, timeout=300)
            text = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True, timeout=300).stdout
        finally:
            server.send_signal(signal.SIGINT)
            lines = [json.loads(line) for line in server.stdout]
    found = json.loads(done.stdout)
    assert server.returncode == 0
    assert [sent["mechanism"] for sent in found["transfers"]] == ["read_send", "sendfile"] * 3
    assert [sent["verified"] for sent in found["transfers"]] == [True, True, None, None, None, None]
    assert {(each["mechanism"], each["baseline"], each["quantity"]) for each in found["comparisons"]} == {
        ("sendfile", "read_send", quantity) for quantity in ("seconds", "sender_cpu_s", "receiver_cpu_s", "total_cpu_s")
    }
    assert [line["bytes"] for line in lines] == [SIZE] * 12
    assert [line["sha256"] for line in lines].count(sha256(path)) == 4
    assert "sendfile against read_send: time" in text
    assert "95 % intervals from 3 pairs" in text


def test_nobody_listening(file):
    """A refused connection is one line that asks the right question, exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = format_address(*listener.getsockname())
    with pytest.raises(StudyError) as caught:
        send(str(file(1)), where, via="sendfile")
    port = where.rpartition(":")[2]
    assert str(caught.value).endswith(f": connection refused: is `zcload receive` running there? (start `zcload receive {port}` first)")
    assert caught.value.exit_code == 1


def test_no_answer(file):
    """A host that does not answer ends the attempt after the time given, not after the kernel's two minutes."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # takes one connection, and drops the SYN of every further one
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        with pytest.raises(StudyError, match=r"no answer within 0\.3 s"):
            send(str(file(1)), format_address(*full.getsockname()), via="sendfile", connect_timeout_s=0.3)


@pytest.mark.parametrize("via", PAYLOAD)
def test_a_peer_that_goes_away(via, peer, large_file):
    """A receiver that dies in the middle is one line with the bytes that had been sent."""

    def body(sock, control):
        sock.recv(100_000)
        reset(sock)

    _, where = peer(body)
    with pytest.raises(StudyError, match=rf"{where} went away before it had everything: \d+ of {LARGE} bytes had been sent"):
        send(str(large_file), where, via=via)


def test_a_peer_that_closes_without_reading_all(peer, file):
    """Bytes that the kernel took but the receiver closed upon are an error even where every one of them had been sent."""

    def body(sock, control):
        sock.recv(1)
        time.sleep(0.2)

    _, where = peer(body)
    with pytest.raises(StudyError, match="went away before it had everything: 5000 of 5000 bytes"):
        send(str(file(5000)), where, via="read_send")


def test_a_peer_that_takes_nothing(peer, large_file):
    """A receiver that stands still ends the transfer after the time given, with the bytes that had been sent."""
    _, where = peer(lambda sock, control: time.sleep(60))
    with pytest.raises(StudyError, match=rf"received nothing for 1 s: \d+ of {LARGE} bytes had been sent"):
        send(str(large_file), where, via="sendfile", timeout_s=1)


def test_a_peer_that_never_closes(peer, file, monkeypatch):
    """Where the receiver acknowledges everything but keeps its side open, as nc at a terminal does, the record says so."""
    monkeypatch.setattr(sender_process, "_CLOSE_WAIT_S", 0.3)

    def body(sock, control):
        drain(sock, control)
        time.sleep(60)

    worker, where = peer(body)
    sent = send(str(file(SIZE)), where, via="sendfile")
    assert sent.ended == "acknowledged"
    assert worker.receive(60, "the digest")["bytes"] == SIZE


def test_a_peer_that_closes_its_own_side_first(peer, large_file):
    """An end of stream that came before ours, as from nc -N without input, is not taken for the receiver having everything."""

    def body(sock, control):
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        drain(sock, control)

    worker, where = peer(body)
    sent = send(str(large_file), where, via="sendfile")
    assert sent.ended == "acknowledged"
    assert worker.receive(60, "the digest")["bytes"] == LARGE


def test_a_peer_that_talks(peer, file):
    """What the receiver says back is ignored and breaks nothing."""

    def body(sock, control):
        sock.sendall(b"hello\n" * 1000)
        drain(sock, control)

    worker, where = peer(body)
    assert send(str(file(SIZE)), where, via="sendfile").ended == "closed"
    assert worker.receive(60, "the digest")["bytes"] == SIZE


@pytest.mark.slow
@pytest.mark.parametrize("via", PAYLOAD)
def test_a_file_truncated_while_it_is_sent(via, peer, large_file):
    """A file that becomes shorter is one line that says where it ended, never a crash or a short file taken for the whole."""

    def body(sock, control):
        sock.recv(1)
        time.sleep(0.1)  # until the sender stands still in front of a full socket
        os.truncate(large_file, 10 << 20)
        while sock.recv(1 << 20):
            pass

    _, where = peer(body)
    with pytest.raises(StudyError, match="ended at byte"):
        send(str(large_file), where, via=via)


def test_a_file_written_to_while_it_is_sent(peer, file):
    """A file that changed under the transfer is an error: no digest could be held against what arrived."""
    path = file(SIZE)

    def body(sock, control):
        drain(sock, control)
        with path.open("ab") as more:
            more.write(b"x")

    _, where = peer(body)
    with pytest.raises(StudyError, match="was written to while it was sent"):
        send(str(path), where, via="read_send")


def test_an_aborted_transfer_is_a_reset(peer, large_file):
    """A sender that fails does not end its stream properly: the receiver cannot take a part for the whole."""

    def body(sock, control):
        sock.recv(1)
        time.sleep(0.3)
        os.truncate(large_file, 10 << 20)
        try:
            while sock.recv(1 << 20):
                pass
            send_message(control, end="orderly")
        except ConnectionResetError:
            send_message(control, end="reset")

    worker, where = peer(body)
    with pytest.raises(StudyError):
        send(str(large_file), where, via="sendfile")
    assert worker.receive(60, "how it ended") == {"end": "reset"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "missing"}, "missing: no such file or directory"),
        ({"path": "."}, "is a directory, not a file"),
        ({"path": "/dev/null"}, "is not a regular file"),
        ({"path": "a\0b"}, "null"),
        ({"where": "127.0.0.1:"}, "is not HOST:PORT"),
        ({"where": "127.0.0.1:0"}, "nobody can be reached at port 0"),
        ({"via": "null"}, "'null' moves nothing"),
        ({"via": "sendfil"}, "did you mean 'sendfile'?"),
        ({"via": "pigeon"}, "one of read_send"),
        ({"chunk": 0}, "a chunk of 0 bytes"),
        ({"chunk": 1 << 40}, "choose 1..2147479552 bytes"),
    ],
)
def test_usage_errors_of_send(arguments, words, file, tmp_path, monkeypatch):
    """What cannot be sent is refused before anything is connected, exit code 2, in words that say what to do."""
    monkeypatch.chdir(tmp_path)
    defaults = {"path": str(file(1)), "where": "127.0.0.1:1", "via": "sendfile"}
    with pytest.raises(ConfigError) as caught:
        send(**(defaults | arguments))
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unreadable_file_is_a_usage_error(file, monkeypatch):
    """A file without permission to read is named with the reason."""

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    path = str(file(1))
    monkeypatch.setattr(SEND.os, "open", refuse)  # root may read everything, so the refusal is made
    with pytest.raises(ConfigError, match="payload-1: permission denied"):
        SEND.open_file(path)
    monkeypatch.undo()


@pytest.mark.parametrize(("script", "words"), [("copyclient", "--via slurp_send"), ("zerocopyclient", "--via sendfile --chunk 64KiB")])
def test_the_scripts_of_2015_are_known_by_name(script, words, file):
    """Who types the name of a script of 2015 as a mechanism is told what it is called here."""
    with pytest.raises(ConfigError, match=f"{script}' is not a mechanism .in these words: {words}"):
        send(str(file(1)), "127.0.0.1:1", via=script)


def test_a_mechanism_this_host_lacks(file, monkeypatch):
    """A mechanism that cannot run here is refused with its own reason and remedy."""
    monkeypatch.setattr(MECHANISMS["splice"], "probe", classmethod(lambda cls: Unavailable("the kernel says no", "ask it nicely")))
    with pytest.raises(MechanismUnavailableError, match=r"splice: the kernel says no \(ask it nicely\)"):
        send(str(file(1)), "127.0.0.1:1", via="splice")


def test_a_copy_that_does_not_fit_is_refused(file, monkeypatch):
    """A mechanism that would need more memory than there is is refused before it takes it."""
    monkeypatch.setattr(SEND, "available_memory", lambda: 300 << 20)
    path = file(0)
    os.truncate(path, 1 << 30)  # a hole: nothing is written
    with pytest.raises(ConfigError, match="slurp_send needs 1 GiB of memory"):
        send(str(path), "127.0.0.1:1", via="slurp_send")


def test_an_unknown_host_is_a_usage_error_of_send(file):
    """The name is looked up in the sending process, and its failure is still a usage error."""
    with pytest.raises(ConfigError, match="unknown host 'no such host'"):
        send(str(file(1)), "no such host:1", via="sendfile")


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("192.0.2.1:10000", "cannot listen on 192.0.2.1:10000: not an address of this machine"),
        ("127.0.0.1:{taken}", "the port is in use (choose another, or 0 for any free one)"),
    ],
)
def test_receive_where_it_cannot_listen(where, words):
    """A port or address that cannot be had is one line with the remedy, exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StudyError) as caught:
        receive(where.format(taken=taken.getsockname()[1]), listening=pytest.fail, received=pytest.fail, failed=pytest.fail)
    assert words in str(caught.value)


def test_receive_refuses_a_chunk_of_nothing():
    """A chunk of no bytes would look like the end of the stream: it is refused."""
    with pytest.raises(ConfigError, match="a chunk of 0 bytes"):
        receive("127.0.0.1:0", chunk=0, listening=pytest.fail, received=pytest.fail, failed=pytest.fail)


def interruptible(work):
    """Return the body of a worker that runs *work(control)* with the command line's signal handling and tells how it ended."""

    def run(control):
        interrupt.requested = None
        interrupt.install()
        try:
            work(control)
        except ZcloadError as error:
            try:
                left = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                left = None
            send_message(control, ended=str(error), code=error.exit_code, left=left)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("via", PAYLOAD)
def test_ctrl_c_ends_a_send_that_stands_still(via, peer, workers, large_file):
    """One Ctrl-C ends a send whose receiver takes nothing, whatever the mechanism; no process stays, and the receiver sees a reset."""

    def body(sock, control):
        sock.recv(1)
        send_message(control, started=True)
        wait_until_broken(sock)
        try:
            while sock.recv(1 << 20):
                pass
            send_message(control, end="orderly")
        except ConnectionResetError:
            send_message(control, end="reset")

    receiver, where = peer(body)
    workers.append(spawn("test", "send", 0, interruptible(lambda control: send(str(large_file), where, via=via)), [], None))
    receiver.receive(60, "the first byte")
    time.sleep(0.3)
    os.kill(workers[-1].pid, signal.SIGINT)
    assert workers[-1].receive(60, "its end") == {"ended": "interrupted by SIGINT", "code": 130, "left": None}
    assert receiver.receive(60, "how it ended") == {"end": "reset"}


@pytest.mark.parametrize("connected", [False, True])
def test_ctrl_c_ends_a_receive_that_waits(connected, workers):
    """One signal ends a wait for a connection, and one for bytes in the middle of a transfer, which is then reported."""

    def work(control):
        receive(
            "127.0.0.1:0",
            listening=lambda where: send_message(control, where=where),
            received=lambda record: send_message(control, record=True),
            failed=lambda error: send_message(control, broken=str(error)),
        )

    worker = spawn("test", "receive", 0, interruptible(work), [], None)
    workers.append(worker)
    where = worker.receive(60, "its address")["where"]
    with socket.socket() as sock:
        if connected:
            sock.connect(parse_address(where))
            sock.sendall(b"12345")
            wait_until_read(sock)
        else:
            time.sleep(0.1)
        os.kill(worker.pid, signal.SIGTERM)
        if connected:
            assert "interrupted: 5 bytes had come from 127.0.0.1:" in worker.receive(60, "the broken transfer")["broken"]
        assert worker.receive(60, "its end") == {"ended": "interrupted by SIGTERM", "code": 143, "left": None}


def test_the_sending_process_dies_with_its_coordinator(peer, workers, large_file):
    """kill -9 of the process that runs `send` ends the sending process too: the receiver sees a reset at once."""

    def body(sock, control):
        sock.recv(1)
        send_message(control, started=True)
        wait_until_broken(sock)
        try:
            while sock.recv(1 << 20):
                pass
            send_message(control, end="orderly")
        except ConnectionResetError:
            send_message(control, end="reset")

    receiver, where = peer(body)
    workers.append(spawn("test", "send", 0, lambda control: send(str(large_file), where, via="sendfile"), [], None))
    receiver.receive(60, "the first byte")
    os.kill(workers[-1].pid, signal.SIGKILL)
    assert receiver.receive(60, "how it ended") == {"end": "reset"}


def test_progress_comes_at_most_once_a_second(monkeypatch):
    """Whatever the chunk, the viewer is called once a second, with what is done and how far it is."""
    clock = iter(range(0, 100_000, 100))
    monkeypatch.setattr(progress_pace.time, "monotonic", lambda: next(clock) / 1000)  # every look at the clock takes 0.1 s
    seen = []
    teller = progress_pace.Pace(seen.append)
    for done in range(1, 36):
        teller.report("sending", done * 1_000_000, 100_000_000)
    teller.report("receiving", 5)
    assert [(p.phase, p.detail, p.fraction) for p in seen] == [
        ("sending", "10 MB of 100 MB", 0.1),
        ("sending", "20 MB of 100 MB", 0.2),
        ("sending", "30 MB of 100 MB", 0.3),
    ]


def test_progress_of_an_unknown_size_has_no_fraction(monkeypatch):
    """A receiver does not know how much will come, and says only how much has."""
    clock = iter((0.0, 2.0))
    monkeypatch.setattr(progress_pace.time, "monotonic", lambda: next(clock))
    seen = []
    progress_pace.Pace(seen.append).report("receiving", 1_500_000)
    assert [(p.phase, p.detail, p.fraction) for p in seen] == [("receiving", "1.5 MB", None)]


def test_a_killed_sending_process_is_named(file, monkeypatch):
    """A sending process that is killed from outside is one line with its role, its pid and the signal."""

    def die(control, job, sent):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(SEND, "stream", die)
    with pytest.raises(StudyError, match=r"sendfile, sender 0 \(pid \d+\): killed by SIGKILL"):
        send(str(file(1)), "127.0.0.1:1", via="sendfile")
